"""Announcements spoken beforehand: by which voice, and kept on disk by content. No LiveKit."""

import hashlib
import io
import json
import os
import time
import wave
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from runner.catalog import files
from runner.catalog.backends import DEFAULT_TTS, address, speech_beside
from runner.definition.spec import (
    AgentSpec,
    AnnouncementBackend,
    Part,
    PipelineBackend,
    RealtimeBackend,
)

_FOLDER = "announcements"
#: Seconds for which a recording stays that no host wants any more: a call may still be about to
#: play it, and another host on the same folder may be stopped for a while.
_KEPT = 30 * 24 * 3600.0
#: What is kept: 16 bits a sample.
_SAMPLE = 2


@dataclass(frozen=True, slots=True)
class Take:
    """A sentence as one TTS speaks it."""

    part: Part
    voice: str
    sentence: str

    def can_be_made(self, environment: Mapping[str, str]) -> bool:
        """Tell whether the key is there; a server that wants none can always be asked."""
        variable = self.part.api_key_env
        return variable is None or bool(environment.get(variable))


@dataclass(frozen=True, slots=True)
class Announcement:
    """The ways in which an agent's announcement may be spoken.

    `listed` are the voices of the agent's other backends, in their order; `otherwise` is OpenAI's
    TTS with the agent's own voice.
    """

    listed: tuple[Take, ...]
    otherwise: Take

    @property
    def takes(self) -> tuple[Take, ...]:
        """All of them, the best first."""
        return tuple(dict.fromkeys((*self.listed, self.otherwise)))

    def askable(self, environment: Mapping[str, str]) -> list[Take]:
        """Return those that can be made; OpenAI's only where no voice of the agent's list can.

        So an agent that lives on servers of its own is not taken to OpenAI's while they are down.
        """
        for wanted in (self.listed, (self.otherwise,)):
            if found := [take for take in wanted if take.can_be_made(environment)]:
                return found
        return []


def announcement(spec: AgentSpec, backend: AnnouncementBackend) -> Announcement:
    """Return how the announcement of an agent may be spoken."""
    part = Part(model=DEFAULT_TTS, base_url=None, api_key_env="OPENAI_API_KEY")
    return Announcement(
        listed=tuple(Take(part, voice, backend.say) for part, voice in _voices(spec)),
        otherwise=Take(part, spec.voice, backend.say),
    )


def _voices(spec: AgentSpec) -> Iterator[tuple[Part, str]]:
    for backend in spec.backends:
        if isinstance(backend, PipelineBackend):
            yield backend.tts, backend.voice
        elif isinstance(backend, RealtimeBackend):
            yield speech_beside(backend), backend.voice


@dataclass(frozen=True, slots=True)
class Announcements:
    """The recordings below one state folder; a host makes them, calls and doctor look for them."""

    state: Path
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def find(self, take: Take) -> Path | None:
        """Return the recording of a take; None if it has not been made, or is damaged."""
        path = self._path(take)
        with suppress(OSError, EOFError, wave.Error), wave.open(str(path)) as sound:
            return path if sound.getnframes() else None
        return None

    def best(self, wanted: Announcement) -> tuple[Take, Path] | None:
        """Return the best take that has been made, and its recording."""
        found = ((take, self.find(take)) for take in wanted.takes)
        return next(((take, path) for take, path in found if path), None)

    def keep(self, take: Take, sound: bytes) -> None:
        """Keep the WAV that a TTS has spoken for a take.

        Raises:
            ValueError: it is no WAV with 16 bits a sample, or a silent one.
            OSError: the state folder cannot be written.
        """
        files.folder(self.state, _FOLDER)
        files.replace(self._path(take), _whole(sound), durable=True)

    def tidy(self, wanted: Iterable[Announcement]) -> None:
        """Note what is still wanted; remove what nobody has wanted for a month."""
        used = {self._path(take) for one in wanted for take in one.takes}
        latest = time.time() - _KEPT
        folder = self.state / _FOLDER
        for path in [*folder.glob("*.wav"), *folder.glob(".*")]:
            with suppress(OSError):
                if path in used:
                    os.utime(path)
                elif path.stat().st_mtime < latest:
                    path.unlink()

    def _path(self, take: Take) -> Path:
        """Return a name made of all that makes the sound."""
        server = address(take.part, self.environment)
        made_of = json.dumps([server, take.part.model, take.voice, take.sentence])
        digest = hashlib.sha256(made_of.encode()).hexdigest()
        return self.state / _FOLDER / f"{digest[:32]}.wav"


def _whole(sound: bytes) -> bytes:
    """Return a WAV with the right lengths in it, and one channel.

    A server that streams does not know the lengths.
    """
    try:
        with wave.open(io.BytesIO(sound)) as spoken:
            form, samples = spoken.getparams(), spoken.readframes(spoken.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"this is no WAV: {error}") from error
    samples = samples[: len(samples) // _SAMPLE * _SAMPLE]
    if form.sampwidth != _SAMPLE or not any(samples):
        raise ValueError("this is no sound of 16 bits")
    kept = io.BytesIO()
    with wave.open(kept, "wb") as file:
        file.setparams(form._replace(nchannels=1, nframes=0))
        file.writeframes(array("h", samples)[:: form.nchannels].tobytes())
    return kept.getvalue()
