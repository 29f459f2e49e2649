"""A caller in a room: speaks in real time, and hears the agent as spans of tone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from livekit import rtc

from . import sound, speech

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

KNOWN_TONES = (440.0, 660.0, 880.0, 1100.0)
OTHER = 0.0
FRAME_SECONDS = 0.02
MICROPHONE_SECONDS = 0.05  # shorter ones take a processor's time from those who are heard
QUIET = 150
Found = TypeVar("Found")
EDGE_FRAMES = 3  # a tone that begins or ends within a frame is not pure in it
SIZE = 4096


@dataclass
class Span:
    """A stretch of sound: seconds since `join` began, and the tone; 0 Hz is any other sound."""

    start: float
    end: float
    hz: float

    @property
    def seconds(self) -> float:
        """How long it sounded."""
        return self.end - self.start


@dataclass(frozen=True)
class Happening:
    """Something that happened in the room: a LiveKit event's name and whom or what it was about."""

    time: float
    name: str
    about: str


class Caller:
    """One participant; all times are seconds since `join` began."""

    def __init__(self, identity: str = "caller", *, tones: Sequence[float] = KNOWN_TONES) -> None:
        self.identity = identity
        self.room = rtc.Room()
        self.spans: list[Span] = []
        self.said: list[tuple[float, float]] = []
        self.happenings: list[Happening] = []
        self.captions: list[tuple[float, str, str]] = []
        #: The words of every transcription as far as they have come, by its stream.
        self.shown: dict[str, str] = {}
        self._tones = np.array(tones)
        self._window = np.hanning(round(sound.RATE * FRAME_SECONDS))
        self._changed = asyncio.Condition()
        self._speech = bytearray()
        self._spoken = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._began = time.monotonic()

    @property
    def now(self) -> float:
        """Seconds since `join` began."""
        return time.monotonic() - self._began

    @property
    def agent(self) -> rtc.RemoteParticipant | None:
        """The agent in the room, if there is one."""
        agents = [
            participant
            for participant in self.room.remote_participants.values()
            if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        ]
        return agents[0] if agents else None

    @property
    def attributes(self) -> dict[str, str]:
        """The agent's participant attributes."""
        return dict(self.agent.attributes) if self.agent else {}

    async def join(
        self, url: str, token: str, *, microphone: bool = True, subscribe: bool = True
    ) -> None:
        """Join the room; `subscribe=False` leaves the hearing to a later `listen()`."""
        self._began = time.monotonic()
        for name in (
            "participant_connected", "participant_disconnected", "track_published",
            "track_unpublished", "track_subscribed", "track_unsubscribed", "disconnected",
            "reconnecting", "reconnected", "participant_attributes_changed",
            "participant_name_changed",
        ):  # fmt: skip
            self.room.on(name, self._noting(name))
        self.room.on("track_subscribed", self._hear)
        self.room.register_text_stream_handler("lk.transcription", self._caption)
        await self.room.connect(url, token, rtc.RoomOptions(auto_subscribe=subscribe))
        self._note("joined", self.room.name)
        if microphone:
            source = rtc.AudioSource(sound.RATE, 1, queue_size_ms=100)
            track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
            await self.room.local_participant.publish_track(track, options)
            self._go(self._microphone(source))

    def listen(self) -> None:
        """Subscribe to everything, now and later."""
        self.room.on("track_published", lambda publication, _: publication.set_subscribed(True))
        for participant in self.room.remote_participants.values():
            for publication in participant.track_publications.values():
                publication.set_subscribed(True)

    async def say(self, what: str | bytes | Path) -> tuple[float, float]:
        """Speak a text, or play a WAV, in real time; return when it began and ended."""
        if isinstance(what, str):
            what = await asyncio.to_thread(speech.spoken, what)
        pcm = sound.from_wav(what if isinstance(what, bytes) else what.read_bytes())
        count = len(self.said)
        self._spoken.clear()
        self._speech += pcm
        await self._spoken.wait()
        return self.said[count]

    async def type(self, text: str) -> None:
        """Send a chat message to the agent."""
        await self.room.local_participant.send_text(text, topic="lk.chat")

    async def wait_heard(
        self, hz: float | None = None, *, after: float = 0.0, seconds: float = 0.2,
        within: float = 10.0,
    ) -> Span:  # fmt: skip
        """Return the first span of a tone that sounded for `seconds` after `after`.

        Without `hz` any sound counts. The span is the live one: it grows while it sounds.
        """

        def found() -> Span | None:
            for span in self.spans:
                if hz in (None, span.hz) and span.end - max(span.start, after) >= seconds:
                    return span
            return None

        return await self._wait(found, within, f"{hz or 'any'} Hz for {seconds} s after {after}")

    async def wait_silence(
        self, seconds: float = 0.5, *, after: float = 0.0, within: float = 10.0
    ) -> float:
        """Return when a silence of `seconds` began that is still lasting, or began by `after`."""

        def found() -> float | None:
            began = max([after, *(span.end for span in self.spans)])
            return began if self.now - began >= seconds else None

        return await self._wait(found, within, f"{seconds} s of silence")

    async def wait_happening(
        self, name: str, *, about: str = "", after: float = 0.0, within: float = 10.0
    ) -> Happening:
        """Return the first event of this name in the room, whose subject contains `about`."""

        def found() -> Happening | None:
            for seen in self.happenings:
                if seen.name == name and about in seen.about and seen.time >= after:
                    return seen
            return None

        return await self._wait(found, within, f"{name} {about}")

    async def wait_named(self, name: str, *, within: float = 10.0) -> rtc.RemoteParticipant:
        """Return the agent, once it is there and has this name."""

        def found() -> rtc.RemoteParticipant | None:
            return self.agent if self.agent and self.agent.name == name else None

        return await self._wait(found, within, f"an agent that is called {name}")

    async def wait_caption(
        self, part: str, *, after: float = 0.0, within: float = 10.0
    ) -> tuple[float, str, str]:
        """Return the first transcription (time, identity, text) that contains `part`."""

        def found() -> tuple[float, str, str] | None:
            hits = [seen for seen in self.captions if part in seen[2] and seen[0] >= after]
            return hits[0] if hits else None

        return await self._wait(found, within, f"caption {part!r}")

    def longest_gap(self, start: float, end: float, hz: float | None = None) -> float:
        """Return the longest time without sound (of `hz`) between two times."""
        gap, quiet_since = 0.0, start
        for span in sorted(self.spans, key=lambda span: span.start):
            if hz in (None, span.hz) and span.end > start and span.start < end:
                gap = max(gap, span.start - quiet_since)
                quiet_since = max(quiet_since, span.end)
        return max(gap, end - quiet_since)

    def heard(self, hz: float, start: float = 0.0, end: float = float("inf")) -> float:
        """Return for how many seconds a tone sounded between two times."""
        overlaps = (
            min(span.end, end) - max(span.start, start) for span in self.spans if span.hz == hz
        )
        return sum(overlap for overlap in overlaps if overlap > 0)

    async def leave(self) -> None:
        """Leave the room."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()

    async def _wait(self, found: Callable[[], Found | None], within: float, what: str) -> Found:
        deadline = time.monotonic() + within
        async with self._changed:
            while (result := found()) is None:
                left = deadline - time.monotonic()
                if left <= 0:
                    msg = (
                        f"{self.identity} waited {within} s for {what}; heard {self.spans}, "
                        f"said {self.said}, saw {self.happenings}"
                    )
                    raise AssertionError(msg)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), min(left, 0.1))
        return result

    def _go(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _noting(self, name: str) -> Callable[..., None]:
        def note(*subjects: Any) -> None:
            names = (getattr(subject, "identity", None) or subject for subject in subjects)
            self._note(name, " ".join(str(subject) for subject in names))

        return note

    def _note(self, name: str, about: str) -> None:
        self.happenings.append(Happening(self.now, name, about))
        self._go(self._tell())

    def _caption(self, reader: rtc.TextStreamReader, identity: str) -> None:
        async def read() -> None:
            stream = reader.info.stream_id
            self.shown[stream] = ""
            async for piece in reader:
                self.shown[stream] += piece
            self.captions.append((self.now, identity, self.shown[stream]))
            await self._tell()

        self._go(read())

    async def _microphone(self, source: rtc.AudioSource) -> None:
        samples = round(sound.RATE * MICROPHONE_SECONDS)
        start = end = 0.0
        while True:
            pcm = bytes(self._speech[: 2 * samples])
            del self._speech[: 2 * samples]
            played = self.now + source.queued_duration
            if pcm:
                start = start or played
                end = played + len(pcm) / 2 / sound.RATE
            elif start:
                self.said.append((start, end))
                start = 0.0
                self._spoken.set()
            pcm = pcm.ljust(2 * samples, b"\0")
            await source.capture_frame(rtc.AudioFrame(pcm, sound.RATE, 1, samples))

    def _hear(self, track: rtc.Track, *_: Any) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            stream = rtc.AudioStream(
                track, sample_rate=sound.RATE, num_channels=1, frame_size_ms=20
            )
            self._go(self._analyse(stream))

    async def _analyse(self, stream: AsyncIterator[rtc.AudioFrameEvent]) -> None:
        impure = 0
        async for event in stream:
            hz = self._tone(np.frombuffer(event.frame.data, "<i2").astype(float))
            impure = impure + 1 if hz == OTHER else 0
            if hz is None or 0 < impure < EDGE_FRAMES:
                continue
            now = self.now
            last = next((span for span in reversed(self.spans) if span.hz == hz), None)
            if last and now - FRAME_SECONDS - last.end < 0.1:
                last.end = now
            else:
                self.spans.append(Span(now - FRAME_SECONDS, now, hz))
            await self._tell()

    def _tone(self, samples: Any) -> float | None:
        if len(samples) != len(self._window) or np.sqrt(np.mean(samples**2)) < QUIET:
            return None
        spectrum = np.abs(np.fft.rfft(samples * self._window, SIZE))
        peak = float(np.argmax(spectrum)) * sound.RATE / SIZE
        nearest = float(self._tones[np.argmin(np.abs(self._tones - peak))])
        power = spectrum**2
        around = round(100 * SIZE / sound.RATE)
        middle = int(np.argmax(power))
        pure = power[max(0, middle - around) : middle + around].sum() > 0.8 * power.sum()
        return nearest if pure and abs(nearest - peak) <= 60 else OTHER
