"""What a backend hears again that came too late for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit import rtc
from livekit.agents.voice.io import AudioInput

from runner.voice import recall
from runner.voice.recall import Recall

if TYPE_CHECKING:
    import pytest


class Microphone(AudioInput):
    """Each of its frames is longer by a sample than the one before."""

    def __init__(self) -> None:
        super().__init__(label="Microphone")
        self.number = 0

    async def __anext__(self) -> rtc.AudioFrame:
        self.number += 1
        return rtc.AudioFrame.create(24_000, 1, self.number)


async def heard(one: Recall, count: int) -> list[int]:
    """Return the numbers of the next frames."""
    return [(await anext(one)).samples_per_channel for _ in range(count)]


async def test_what_was_heard_is_heard_again_before_what_follows() -> None:
    one = Recall(Microphone())
    assert await heard(one, 3) == [1, 2, 3]
    one.rewind(0.0)
    assert await heard(one, 5) == [1, 2, 3, 4, 5]


async def test_nothing_is_forgotten_while_a_switch_takes_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recall, "_KEPT", 0.0)
    one = Recall(Microphone())
    await heard(one, 3)
    one.keep()
    await heard(one, 3)
    one.rewind(0.0)
    assert await heard(one, 5) == [3, 4, 5, 6, 7]
    one.rewind(0.0)
    assert await heard(one, 2) == [7, 8]
