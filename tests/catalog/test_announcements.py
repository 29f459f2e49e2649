"""Announcements spoken beforehand, as they are kept."""

from __future__ import annotations

import io
import stat
import struct
import wave
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from catalog.backends import announcement as an_announcement
from catalog.backends import pipeline, realtime
from catalog.records import aged
from catalog.specs import a_spec

from runner.catalog.announcements import Announcement, Announcements, Take, announcement
from runner.definition.spec import Part

if TYPE_CHECKING:
    from pathlib import Path

    from runner.definition.spec import Backend

DAY = 24 * 3600.0
OPENAI = {"OPENAI_API_KEY": "sk-test"}
LOCAL = Part(model="kokoro", base_url="http://localhost:8880/v1", api_key_env=None)
KEYED = Part(model="tts-1", base_url="http://localhost:1/v1", api_key_env="OTHER_KEY")


def wanted(*backends: Backend) -> Announcement:
    last = an_announcement()
    return announcement(a_spec("desk", backends=(*backends, last)), last)


def a_wav(
    samples: bytes = b"\1\2" * 2400, *, channels: int = 1, bits: int = 16, rate: int = 24_000
) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(bits // 8)
        file.setframerate(rate)
        file.writeframes(samples)
    return out.getvalue()


def models(takes: list[Take] | tuple[Take, ...]) -> list[tuple[str, str]]:
    return [(take.part.model, take.voice) for take in takes]


def test_the_voices_are_those_of_the_list_and_then_the_agents_own() -> None:
    of_list = wanted(realtime(voice="marin"), pipeline(tts=LOCAL, voice="af_heart"))
    assert models(of_list.takes) == [
        ("gpt-4o-mini-tts", "marin"), ("kokoro", "af_heart"), ("gpt-4o-mini-tts", "coral"),
    ]  # fmt: skip


def test_a_voice_that_is_listed_twice_is_one() -> None:
    assert models(wanted(realtime(), realtime("again")).takes) == [("gpt-4o-mini-tts", "coral")]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (OPENAI, ["kokoro"]),
        (OPENAI | {"OTHER_KEY": "x"}, ["tts-1", "kokoro"]),
        ({}, ["kokoro"]),
    ],
)
def test_an_agent_that_lives_elsewhere_is_not_taken_to_openai(
    environment: dict[str, str], expected: list[str]
) -> None:
    found = wanted(pipeline(tts=KEYED), pipeline(tts=LOCAL)).askable(environment)
    assert [take.part.model for take in found] == expected


def test_openai_speaks_where_no_key_of_the_list_is_there() -> None:
    elsewhere = wanted(pipeline(tts=KEYED))
    assert models(elsewhere.askable(OPENAI)) == [("gpt-4o-mini-tts", "coral")]
    assert elsewhere.askable({}) == []


def test_what_makes_the_sound_makes_the_name_and_the_key_does_not(tmp_path: Path) -> None:
    kept = Announcements(tmp_path, OPENAI)
    take = wanted(realtime()).takes[0]
    kept.keep(take, a_wav())
    same = replace(take, part=replace(take.part, api_key_env="ANOTHER"))
    assert kept.find(same) == kept.find(take)
    for other in (
        replace(take, sentence="Another."),
        replace(take, voice="ash"),
        replace(take, part=replace(take.part, model="tts-1")),
        replace(take, part=replace(take.part, base_url="http://localhost:1/v1")),
    ):
        assert kept.find(other) is None
    assert Announcements(tmp_path, {"OPENAI_BASE_URL": "http://x/v1"}).find(take) is None


def test_the_best_that_was_made_is_played(tmp_path: Path) -> None:
    kept = Announcements(tmp_path, {})
    of_list = wanted(pipeline(tts=KEYED), pipeline(tts=LOCAL))
    assert kept.best(of_list) is None
    keyed, local, _ = of_list.takes
    kept.keep(local, a_wav())
    assert kept.best(of_list) == (local, kept.find(local))
    kept.keep(keyed, a_wav())
    assert kept.best(of_list) == (keyed, kept.find(keyed))


def test_a_recording_is_whole_and_its_owners_alone(tmp_path: Path) -> None:
    """A server that streams says nothing true of the length."""
    kept = Announcements(tmp_path / "state", {})
    take = wanted(realtime()).takes[0]
    streamed = bytearray(a_wav(rate=22_050))
    streamed[4:8] = streamed[40:44] = struct.pack("<I", 0xFFFFFFFF)
    kept.keep(take, bytes(streamed))
    path = kept.find(take)
    assert path
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnframes()) == (22_050, 2400)
    assert path.stat().st_size == 44 + 2 * 2400
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [path] == list(path.parent.iterdir())


def test_of_two_channels_the_first_is_kept(tmp_path: Path) -> None:
    kept = Announcements(tmp_path, {})
    take = wanted(realtime()).takes[0]
    kept.keep(take, a_wav(b"\1\2\3\4" * 2400, channels=2))
    with wave.open(str(kept.find(take))) as file:
        assert file.getnchannels() == 1
        assert file.readframes(5000) == b"\1\2" * 2400


@pytest.mark.parametrize(
    "sound",
    [b"", b"ID3 an MP3", a_wav()[:30], a_wav(b""), a_wav(bytes(4800)), a_wav(b"\1" * 4800, bits=8)],
    ids=["nothing", "mp3", "cut", "empty", "silence", "8 bits"],
)
def test_what_cannot_be_played_is_not_kept(tmp_path: Path, sound: bytes) -> None:
    kept = Announcements(tmp_path, {})
    take = wanted(realtime()).takes[0]
    with pytest.raises(ValueError, match="this is no"):
        kept.keep(take, sound)
    assert kept.find(take) is None


def test_what_nobody_wants_for_a_month_is_removed(tmp_path: Path) -> None:
    kept = Announcements(tmp_path, {})
    kept.tidy([])
    still, gone = wanted(realtime()), wanted(realtime(voice="ash"))
    for one in (still, gone):
        kept.keep(one.takes[0], a_wav())
    paths = [kept.find(one.takes[0]) for one in (still, gone)]
    aside = tmp_path / "announcements" / ".aside"
    aside.touch()
    for path in (*paths, aside):
        assert path
        aged(path, 29 * DAY)
    kept.tidy([still])
    for path in (paths[1], aside):
        assert path
        aged(path, 31 * DAY)
    kept.tidy([still])
    assert list((tmp_path / "announcements").iterdir()) == [paths[0]]
