"""Which silence of a realtime server says that it is deaf."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from livekit import rtc
from rig import sound
from rig.speech import spoken

from runner.voice.backends.ear import Ear

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENCE = 0.4
QUESTION = sound.from_wav(spoken("What can you do for me today?"))
CONFIRMED = {"type": "session.updated"}


class Session(rtc.EventEmitter[Any]):
    """A realtime session on which only the test says what its server does."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.ended = asyncio.Event()
        self.asked_for = ""
        self.reason: Exception | None = None
        self.on("error", self._on_error)

    def send_event(self, event: Any) -> None:
        """Be asked something."""
        assert event["type"] == "session.update"
        self.asked_for = event["event_id"]
        self.asked.set()

    def tell(self, event: dict[str, Any]) -> None:
        """Let the server say something."""
        self.emit("openai_server_event_received", event)

    def _on_error(self, error: Any) -> None:
        assert not error.recoverable
        self.reason = error.error
        self.ended.set()


@pytest.fixture
async def session() -> Session:
    return Session()


@pytest.fixture
async def ear(session: Session) -> AsyncIterator[Ear]:
    ear = Ear(PATIENCE)
    ear.attach(session, "a model")
    yield ear
    await ear.close()


def say(ear: Ear, pcm: bytes = QUESTION + bytes(2 * sound.RATE)) -> None:
    """Let the ear hear a question and a second of silence, all at once."""
    step = sound.RATE // 20
    for at in range(0, len(pcm) - 2 * step + 1, 2 * step):
        ear.hear(rtc.AudioFrame(pcm[at : at + 2 * step], sound.RATE, 1, step))


async def another_is_given_up() -> None:
    """Let one that has confirmed its settings be given up for the same words, from now on."""
    beside, other = Ear(PATIENCE), Session()
    beside.attach(other, "another model")
    other.tell(CONFIRMED)
    say(beside)
    await asyncio.wait_for(other.ended.wait(), 5)
    await beside.close()


async def test_a_server_that_does_not_answer_is_given_up(ear: Ear, session: Session) -> None:
    began = asyncio.get_running_loop().time()
    session.tell(CONFIRMED)
    say(ear)
    await asyncio.wait_for(session.ended.wait(), 5)
    assert session.asked.is_set()
    assert isinstance(session.reason, TimeoutError)
    assert ear.unnoticed is not None
    since, until = ear.unnoticed
    assert since >= began
    assert until is not None


async def test_whatever_a_server_says_it_is_there(ear: Ear, session: Session) -> None:
    session.tell(CONFIRMED)
    say(ear)
    await asyncio.wait_for(session.asked.wait(), 5)
    session.tell({"type": "rate_limits.updated"})
    session.asked.clear()
    say(ear)
    await asyncio.wait_for(session.asked.wait(), 5)
    assert not session.ended.is_set()
    assert ear.unnoticed is None


async def test_a_server_that_refuses_to_confirm_is_not_asked_again(
    ear: Ear, session: Session
) -> None:
    """Each refusal would be an error, and too many errors the end of it."""
    session.tell(CONFIRMED)
    say(ear)
    await asyncio.wait_for(session.asked.wait(), 5)
    session.tell({"type": "error", "error": {"event_id": session.asked_for}})
    session.asked.clear()
    say(ear)
    await another_is_given_up()
    assert not session.asked.is_set()
    assert not session.ended.is_set()


async def test_a_server_that_never_confirms_anything_is_not_asked(
    ear: Ear, session: Session
) -> None:
    """Its silence would say nothing; one beside it that does is given up for the same words."""
    session.tell({"type": "session.created"})
    say(ear)
    await another_is_given_up()
    assert not session.asked.is_set()
