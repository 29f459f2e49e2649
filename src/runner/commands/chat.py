"""`runner chat`: talk with an agent by text, in the terminal."""

import argparse
import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress

from runner.commands import environment, named
from runner.definition.loader import load
from runner.definition.reporters import as_text
from runner.definition.spec import AgentSpec
from runner.errors import RunnerError

_CLEAN, _DIAGNOSTICS = 0, 1
_PROMPT = "> "


def chat(options: argparse.Namespace) -> int:
    """Hold one call with `options.agent`; 1 if its file has errors.

    Options: `agent` (a file or an id), `say` (what to say; else it is read from standard input),
    `state` (Path or None).

    Raises:
        RunnerError: there is no such agent, or what a call needs is not installed.
    """
    loaded = load([named.file_of(options.agent)])
    if loaded.has_errors:
        print(as_text(loaded), file=sys.stderr)
        return _DIAGNOSTICS
    try:
        from runner.catalog.store import STATE_VARIABLE, state_folder
        from runner.voice import chat as voice
    except ModuleNotFoundError as error:
        raise RunnerError(
            f"{error.name} is not installed; pip install 'voice-runner[serve]'"
        ) from error
    environment.load()
    (spec,) = loaded.specs.values()
    os.environ[STATE_VARIABLE] = str(state_folder(options.state).resolve())
    asyncio.run(voice.hold(spec, _said(options.say), Terminal(spec)))
    return _CLEAN


class Terminal:
    """Shows a call in a terminal, each turn in a line of its own."""

    def __init__(self, spec: AgentSpec) -> None:
        self._name = spec.name
        self._in_words = False

    def words(self, text: str) -> None:
        """Print the next words of what the agent says."""
        if not self._in_words:
            print(f"{self._name}: ", end="")
        self._in_words = True
        print(_plain(text), end="", flush=True)

    def end_of_words(self) -> None:
        """Print the end of the line."""
        if self._in_words:
            print(flush=True)
        self._in_words = False

    def note(self, text: str) -> None:
        """Print what is not said by anybody."""
        self.end_of_words()
        print(f"  [{_plain(text)}]", flush=True)

    def tool(self, name: str, arguments: str) -> None:
        """Print the call of a tool."""
        self.note(f"{name} {arguments}")

    def tool_answer(self, name: str, answer: str) -> None:
        """Print the answer of a tool."""
        self.note(f"{name}: {answer}")


async def _said(texts: list[str]) -> AsyncIterator[str]:
    for text in texts:
        print(f"{_PROMPT}{text}")
        yield text
    while not texts:
        line = await _line()
        if line is None:
            return
        if line.strip():
            yield line.strip()


async def _line() -> str | None:
    """Return the next line; a thread of its own waits for it, which nobody waits for at the end."""
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[str | None] = loop.create_future()

    def settle(line: str | None) -> None:
        if not typed.done():
            typed.set_result(line)

    def ask() -> None:
        line = b""
        # Without a buffer: its lock, held by a thread that nobody waits for, ends Python fatally.
        with suppress(OSError), open(0, "rb", buffering=0, closefd=False) as stdin:
            line = stdin.readline()
        # The call may be over, and the loop with it.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, line.decode(errors="replace") if line else None)

    print(_PROMPT, end="", flush=True)
    threading.Thread(target=ask, daemon=True).start()
    return await typed


def _plain(text: str) -> str:
    """Leave out what would steer the terminal."""
    return "".join(sign for sign in text if sign.isprintable() or sign == "\n")
