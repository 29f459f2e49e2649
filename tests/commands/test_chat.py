"""`runner chat`: the same agent in the terminal, by text."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
from rig.openai_http import HTTPFault
from rig.openai_realtime import Fault
from rig.script import Call, Tone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rig.openai_service import OpenAIService

    Chat = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).parent.parent.parent
FAILING = ROOT / "tests" / "host" / "failing"
CAREFUL = """\
prompt: You book tables.
greeting: false
tools:
  - name: book_table
    description: Reserve seats.
    parameters:
      guests: {type: integer, minimum: 1, maximum: 12}
      place: {type: object, properties: {city: {type: string}}}
    returns: Booked.
"""
LEAVING = """\
prompt: You answer the phone.
backends:
  - openai-realtime
  - {kind: announcement, say: Please ring again.}
"""
PROXY = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


@pytest.fixture
def chat(tmp_path: Path) -> Chat:
    """Run `runner chat` on a machine where nothing else is set."""

    def run(
        agent: Path | str, *said: str, typed: str = "", environment: Mapping[str, str] = PROXY
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            **invocation(agent, *said, state=tmp_path / "state", environment=environment),
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def invocation(
    agent: Path | str, *said: str, state: Path, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Return how `subprocess` is to start `runner chat`."""
    command = [sys.executable, "-m", "runner", "chat", str(agent)]
    return {
        "args": [*command, *(word for text in said for word in ("--say", text))],
        "cwd": ROOT,
        "env": {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT / "src"),
            "RUNNER_STATE_DIR": str(state),
            **environment,
        },
    }


def come(stream: IO[bytes], *words: bytes) -> list[float]:
    """Return when each of the words had come out of a pipe, in seconds."""
    text, times = b"", []
    for word in words:
        while word not in text:
            piece = os.read(stream.fileno(), 4096)
            assert piece, text
            text += piece
        times.append(time.monotonic())
    return times


def test_without_a_key_the_agent_is_rehearsed(chat: Chat) -> None:
    """It greets word for word, calls the tool with what was said, and says what it is."""
    done = chat("front-desk", "can you check availability on monday", "tell me a joke")
    assert done.stdout.splitlines() == [
        "  [OPENAI_API_KEY not set: a rehearsal without a model]",
        "  [answered by rehearsal]",
        "Harbour Dental: Hello there, thanks for calling Harbour Dental. How can I help?",
        "> can you check availability on monday",
        '  [check_availability {"day": "monday"}]',
        "  [check_availability: On monday we have 9:00, 11:30 and 15:00.]",
        "Harbour Dental: Check availability says: On monday we have 9:00, 11:30 and 15:00.",
        "> tell me a joke",
        "Harbour Dental: This is a rehearsal: no model runs. A model would be told the "
        'instructions and "tell me a joke". Here you can ask for a tool: check availability.',
    ]
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_typed_is_answered_until_the_end_of_input(chat: Chat) -> None:
    """What a tool still needs is asked for, and may be the next line."""
    done = chat("front-desk", typed="availability\n\ntuesday\n")
    assert "Check availability needs the day: monday, tuesday" in done.stdout
    assert "[check_availability: On tuesday we have" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def test_what_does_not_fit_is_asked_for_with_what_does(chat: Chat, tmp_path: Path) -> None:
    """A tool is never called with it, and what cannot be said is said to be so."""
    agent = tmp_path / "careful.yaml"
    agent.write_text(CAREFUL)
    done = chat(agent, "book a table for 99", "for 4", "in Leeds", '{"city": "Leeds"}')
    asked = [line for line in done.stdout.splitlines() if "needs the" in line]
    assert asked == [
        "Careful: Book table needs the guests: at least 1, at most 12.",
        "Careful: Book table needs the place: it cannot be said, only typed as JSON.",
        "Careful: Book table needs the place: it cannot be said, only typed as JSON.",
    ]
    assert '  [book_table {"guests": 4, "place": {"city": "Leeds"}}]' in done.stdout


def test_a_greeting_of_the_model_s_own_is_told_not_made_up(chat: Chat) -> None:
    """The rehearsal says what the model would be told."""
    done = chat("assistant", "What can you do?")
    assert 'A model would now be told: "Greet the user warmly' in done.stdout


@pytest.mark.parametrize("agent", ["spoken", "typed"])
def test_with_a_key_the_agents_own_backends_answer(
    chat: Chat, openai_service: OpenAIService, agent: str
) -> None:
    """Realtime or pipeline, with the tool between question and answer."""
    call = Call("look_up_history", then=Tone("You had {output}"))
    openai_service.realtime.script = {"": Tone("Welcome."), "last": call}
    openai_service.http.answers({"": "Welcome.", "last": call})
    done = chat(FAILING / f"{agent}.yaml", "my last visit?", environment=openai_service.environment)
    lines = done.stdout.splitlines()
    assert lines[1] == f"{agent.capitalize()}: Welcome."
    assert "  [look_up_history: A check-up in May.]" in lines
    assert lines[-1].startswith(f"{agent.capitalize()}: You had")
    assert not openai_service.http.journal.of("tts")


def test_words_are_shown_while_the_rest_is_still_made(
    openai_service: OpenAIService, tmp_path: Path
) -> None:
    """Whoever reads along has the first words seconds before the model has made the last."""
    answer = "First we clean your teeth, then we look at them, and at last we talk about them."
    openai_service.http.answers({"": "Welcome.", "do for me": answer}, between=0.6)
    started = invocation(
        FAILING / "typed.yaml", "What can you do for me?",
        state=tmp_path / "state", environment=openai_service.environment,
    )  # fmt: skip
    with subprocess.Popen(**started, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first, last = come(process.stdout, b"First we", b"about them.")
        process.stdout.read()
    print(f"  the first words came {last - first:.2f} s before the last")
    assert last - first > 1.2
    assert process.returncode == 0


def test_a_backend_that_fails_is_left_as_in_a_call(
    chat: Chat, openai_service: OpenAIService
) -> None:
    """The fallback greets, and later answers, and both are said."""
    openai_service.realtime.fault = Fault("401")
    openai_service.http.answers({"": "Welcome here.", "do for me": "A lot."})
    done = chat(
        FAILING / "spoken.yaml", "What can you do for me?", environment=openai_service.environment
    )
    lines = done.stdout.splitlines()
    assert "  [openai-realtime-1 failed: unauthorized]" in lines
    assert "Spoken: Welcome here." in lines
    assert lines[-1] == "Spoken: A lot."
    assert done.stderr == ""


def test_a_call_that_nothing_can_carry_ends(chat: Chat, openai_service: OpenAIService) -> None:
    """The last words are shown, and the command comes back."""
    openai_service.realtime.fault = Fault("401")
    openai_service.http.faults = {"chat": HTTPFault("401")}
    done = chat(FAILING / "spoken.yaml", "Hello?", environment=openai_service.environment)
    assert "I'm sorry, something went wrong on our side" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize("ends", ["agent", "interrupt"])
def test_a_call_that_ends_while_a_line_is_waited_for_ends_the_command(
    openai_service: OpenAIService, tmp_path: Path, ends: str
) -> None:
    """Whoever ends it, nothing is left to wait for standard input, which stays open."""
    agent = tmp_path / "leaving.yaml"
    agent.write_text(LEAVING)
    openai_service.realtime.script = [Tone("Welcome.")]
    started = invocation(agent, state=tmp_path / "state", environment=openai_service.environment)
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    # A command in a shell's background is started with interrupts ignored, and so would this be.
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(**started, **pipes, preexec_fn=heeds) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        come(process.stdout, b"Welcome.", b"> ")
        if ends == "agent":
            openai_service.reset()
        else:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == (0 if ends == "agent" else 130)
        assert process.stderr.read() == b""


def test_a_broken_agent_is_not_talked_with(chat: Chat) -> None:
    """Its findings are printed as `validate` prints them."""
    done = chat(ROOT / "tests/cases/err/voice.yaml")
    assert done.returncode == 1
    assert "did you mean" in done.stderr
