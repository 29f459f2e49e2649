"""Sentences from files, as LiveKit plays them."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest

from runner.voice.recorded import SORRY, Recorded

if TYPE_CHECKING:
    from pathlib import Path

    from livekit import rtc


def samples(frames: list[rtc.AudioFrame]) -> list[int]:
    return [int(one) for frame in frames for one in np.frombuffer(frame.data, "<i2")]


async def test_a_recording_is_played_from_its_first_sample_to_its_last(tmp_path: Path) -> None:
    path = tmp_path / "counted.wav"
    counted = list(range(1, 30_001))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(np.array(counted, "<i2").tobytes())
    assert samples([frame async for frame in Recorded("", path).frames()]) == counted


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
async def test_a_recording_of_another_rate_sounds_as_long(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "rate.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(b"\1\2" * (2 * rate))
    frames = [frame async for frame in Recorded("", path).frames()]
    assert {(frame.sample_rate, frame.num_channels) for frame in frames} == {(24_000, 1)}
    assert sum(frame.duration for frame in frames) == pytest.approx(2.0, abs=0.01)


async def test_the_packages_own_recording_is_there() -> None:
    frames = [frame async for frame in SORRY.frames()]
    assert {(frame.sample_rate, frame.num_channels) for frame in frames} == {(24_000, 1)}
    assert sum(frame.duration for frame in frames) == pytest.approx(7.13, abs=0.03)
    assert max(samples(frames)) > 5000
