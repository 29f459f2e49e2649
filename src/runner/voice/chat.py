"""One call by text, from its greeting to its end."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from typing import Protocol

from livekit.agents.utils import http_context

from runner.definition.spec import AgentSpec, Backend, Greeting
from runner.voice import rehearsal, text_line
from runner.voice.call import begin
from runner.voice.failover import Observer
from runner.voice.text_line import TextLine


class Screen(text_line.Screen, Protocol):
    """Where a whole call is shown."""

    def note(self, text: str) -> None:
        """Show something that nobody has said."""


async def hold(spec: AgentSpec, said: AsyncIterator[str], screen: Screen) -> None:
    """Hold a call with `spec`: all that is `said`, until the agent hangs up."""
    if missing := rehearsal.missing_keys(spec):
        screen.note(f"{', '.join(missing)} not set: a rehearsal without a model")
        spec = rehearsal.rehearsed(spec)
    # What matters of it is on the screen.
    logging.getLogger("livekit").setLevel(logging.CRITICAL)
    logging.getLogger("runner").setLevel(logging.ERROR)
    greets = spec.greeting != Greeting()
    line = TextLine(f"chat-{uuid.uuid4().hex[:12]}", screen, greets=greets)
    async with http_context.open():
        call = await begin(line, spec, {}, "chat", [_Spectator(screen)])
        try:
            await call.run()
            await line.settled()
            while (text := await _next(said, line.over)) is not None:
                await line.say(text)
        finally:
            await line.end()


async def _next(said: AsyncIterator[str], over: asyncio.Event) -> str | None:
    """Return what is said next; None if nothing is, or the call is over before."""
    if over.is_set():
        return None
    saying = asyncio.ensure_future(anext(said, None))
    ending = asyncio.ensure_future(over.wait())
    await asyncio.wait({saying, ending}, return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    if not saying.done():
        saying.cancel()
        return None
    return saying.result()


class _Spectator(Observer):
    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def left(self, backend: Backend, reason: str) -> None:
        self._screen.note(f"{backend.name} failed: {reason}")

    def entered(self, backend: Backend) -> None:
        self._screen.note(f"answered by {backend.name}")
