"""The rehearsal's ears and voice by themselves: words in, sound out, and back again."""

from __future__ import annotations

import multiprocessing
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rig import speech

from runner.definition.spec import ToolStub
from runner.voice.rehearsal import voice
from runner.voice.rehearsal.hearing import RATE, Hearing, HearingError
from runner.voice.rehearsal.phrases import figures, phrases

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = {"type": "string", "enum": ["monday", "tuesday", "wednesday", "thursday", "friday"]}
NUMBER = {"type": "string", "pattern": "^[0-9]{4}$"}


def stub(name: str, description: str, **properties: object) -> ToolStub:
    parameters = {"type": "object", "properties": properties}
    return ToolStub(name=name, description=description, parameters=parameters, returns="")


APPOINTMENTS = phrases([stub("check_availability", "Look up free appointments.", day=DAY)])
PARCELS = phrases([stub("track_parcel", "Look up where it is.", number=NUMBER)])


@pytest.fixture(scope="module")
def hearing() -> Iterator[Hearing]:
    """One process for all tests of the module; it ends with the last of its owners."""
    before = set(multiprocessing.active_children())
    yield Hearing()
    for child in set(multiprocessing.active_children()) - before:
        child.kill()
        child.join()


def sound_of(text: str, *, speaker: str) -> bytes:
    """Return `text` as 16 kHz PCM, spoken by espeak-ng or by the rehearsal's own voice."""
    pcm = voice.spoken(text) if speaker == "hibari" else speech.spoken(text)[44:]
    samples = np.frombuffer(pcm, "<i2").astype(float)
    at = np.arange(len(samples) * RATE // voice.RATE) * voice.RATE / RATE
    return np.interp(at, np.arange(len(samples)), samples).astype("<i2").tobytes()


@pytest.mark.parametrize("speaker", ["espeak", "hibari"])
@pytest.mark.parametrize(
    ("known", "text"),
    [
        (APPOINTMENTS, "check availability on monday"),
        (APPOINTMENTS, "i would like to check availability for friday"),
        (APPOINTMENTS, "tuesday"),
        (PARCELS, "track parcel"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_words_of_the_agent_are_made_out(
    hearing: Hearing, known: tuple[str, ...], text: str, speaker: str
) -> None:
    """A sentence and a single word, by a voice that is easy to hear and one that is not."""
    words, likelihood = hearing.listen(known, sound_of(text, speaker=speaker))
    assert words == text
    assert likelihood > 0.3


def test_numbers_are_heard_digit_by_digit(hearing: Hearing) -> None:
    """A parcel's number comes as figures, as its pattern wants it."""
    words, _ = hearing.listen(
        PARCELS, sound_of("track parcel four two zero nine", speaker="hibari")
    )
    assert figures(words) == "track parcel 4209"


def test_other_words_are_not_likely(hearing: Hearing) -> None:
    """What was never to be expected is forced into known words, and found unlikely."""
    sound = sound_of("nobody ever expected purple mountains", speaker="hibari")
    _, likelihood = hearing.listen(APPOINTMENTS, sound)
    assert likelihood < 0.3


def test_ears_that_have_died_come_back() -> None:
    """One utterance is lost with the process, the next one starts another."""
    sound = sound_of("tuesday", speaker="hibari")
    before = set(multiprocessing.active_children())
    hearing = Hearing()
    hearing.start()
    (child,) = set(multiprocessing.active_children()) - before
    child.kill()
    child.join()
    with pytest.raises(HearingError):
        hearing.listen(APPOINTMENTS, sound)
    assert hearing.listen(APPOINTMENTS, sound)[0] == "tuesday"


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("one two three", "123"),
        ("a table for four", "a table for 4"),
        ("twenty one", "21"),
        ("twenty eleven", "20 11"),
        ("thirty zero", "30 0"),
        ("twelve three", "12 3"),
        ("twenty one two", "21 2"),
        ("yes please", "yes please"),
        ("", ""),
    ],
)
def test_numbers_are_written_in_figures(said: str, written: str) -> None:
    """Digits in a row are one number, as in a parcel's; tens take their ones."""
    assert figures(said) == written


def test_what_may_be_said_comes_from_the_tools() -> None:
    """Names, descriptions and values are known; digits only where a parameter wants them."""
    words = {word for one in APPOINTMENTS for word in one.split()}
    assert {"check", "availability", "appointments", "thursday", "please"} <= words
    assert "seven" not in words
    assert "seven seven" in PARCELS
    assert all(re.fullmatch(r"[a-z' ]+", one) for one in (*APPOINTMENTS, *PARCELS))


@pytest.mark.parametrize("text", ["", "你好", "🙂", "..."])
def test_what_cannot_be_spoken_is_a_pause(text: str) -> None:
    """LiveKit takes a voice without any sound for one that has failed."""
    assert 0.05 < len(voice.spoken(text)) / 2 / voice.RATE < 1


def test_a_sentence_takes_its_time() -> None:
    """Speech that can be listened to has three to thirty letters a second, and is not clipped."""
    text = "Hello there, thanks for calling Harbour Dental. How can I help?"
    samples = np.frombuffer(voice.spoken(text), "<i2")
    assert 3 < len(text) / (len(samples) / voice.RATE) < 30
    assert 3_000 < np.abs(samples.astype(int)).max() < 32_767
