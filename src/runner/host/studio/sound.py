"""The ends of a call's audio at a page: its microphone, its loudspeaker, its transcript."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from livekit import rtc
from livekit.agents.voice.io import (
    AudioInput,
    AudioOutput,
    AudioOutputCapabilities,
    TextOutput,
)

from runner.host.studio.wire import Wire

#: Samples a second, both ways: 16 bit, one channel.
RATE = 24_000
#: Bytes of 100 ms, the longest piece that is sent at once: the page must be able to stop in it.
_PIECE = 2 * RATE // 10
#: Frames of a page's sound that wait to be heard, 2 to 5 s; older ones are dropped.
_HEARD_LATE = 100


class Microphone(AudioInput):
    """What the page hears."""

    def __init__(self) -> None:
        super().__init__(label="page")
        self._frames: asyncio.Queue[rtc.AudioFrame | None] = asyncio.Queue(_HEARD_LATE)

    def push(self, pcm: bytes) -> None:
        """Take in one frame of whole samples."""
        self._put(rtc.AudioFrame(pcm, RATE, 1, len(pcm) // 2))

    def close(self) -> None:
        """Let the sound end."""
        self._put(None)

    async def __anext__(self) -> rtc.AudioFrame:
        """Return the next frame."""
        frame = await self._frames.get()
        if frame is None:
            raise StopAsyncIteration
        return frame

    def _put(self, frame: rtc.AudioFrame | None) -> None:
        if self._frames.full():
            self._frames.get_nowait()
        self._frames.put_nowait(frame)


class Loudspeaker(AudioOutput):
    """What the page plays, in segments: the sound from one `flush` to the next.

    The page says once a segment how much of it was played. LiveKit asks for nothing else before
    it goes on, so a page that has gone must be answered for by `release`.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__(
            label="page", capabilities=AudioOutputCapabilities(pause=True), sample_rate=RATE
        )
        self.was_cut = False
        self._wire = wire
        self._segment = 0
        self._open = False
        self._cleared = False
        self._gone = False
        self._pushed = 0.0
        self._answer: float | None = None
        self._unanswered: dict[int, float] = {}

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Send sound that is to be played as soon as what came before it has been."""
        await super().capture_frame(frame)
        if not self._open:
            self._begin()
        if self._cleared or self._gone:
            return
        self._pushed += frame.duration
        sound = frame.data.tobytes()
        for start in range(0, len(sound), _PIECE):
            await self._wire.room()
            if self._cleared:
                return
            self._wire.play(sound[start : start + _PIECE])

    def flush(self) -> None:
        """Let the segment end here."""
        super().flush()
        if not self._open:
            return
        self._open = False
        if self._gone or self._answer is not None:
            self._finish(self._answer or 0.0, interrupted=True)
            return
        self._unanswered[self._segment] = self._pushed
        if not self._cleared:
            self._wire.tell("flush", segment=self._segment)

    def clear_buffer(self) -> None:
        """Let the page be silent at once."""
        if self._cleared or not (self._open or self._unanswered):
            return
        # Its words may end before the page has answered.
        self._cleared = self.was_cut = True
        self._wire.drop_sound()
        self._wire.tell("clear", segment=self._segment)

    def pause(self) -> None:
        """Let the page hold on."""
        super().pause()
        self._wire.tell("pause")

    def resume(self) -> None:
        """Let the page go on."""
        super().resume()
        self._wire.tell("resume")

    def played(self, answer: Mapping[str, Any]) -> None:
        """Take the page's answer for a segment; one that is not waited for is a late one."""
        segment, seconds = answer.get("segment"), answer.get("seconds")
        if not isinstance(segment, int) or not isinstance(seconds, int | float):
            return
        if segment in self._unanswered:
            pushed = self._unanswered.pop(segment)
            cut = bool(answer.get("interrupted")) or (self._cleared and segment == self._segment)
            self._finish(_between(seconds, pushed), interrupted=cut)
        elif self._open and self._cleared and segment == self._segment:
            self._answer = _between(seconds, self._pushed)

    def release(self) -> None:
        """Answer for a page that has gone: nothing more is played."""
        self._gone = True
        while self._unanswered:
            self._unanswered.popitem()
            self._finish(0.0, interrupted=True)

    def _begin(self) -> None:
        self._segment += 1
        self._open = True
        self._cleared = self.was_cut = False
        self._pushed = 0.0
        self._answer = None
        self.on_playback_started(created_at=time.time())

    def _finish(self, seconds: float, *, interrupted: bool) -> None:
        self.was_cut = interrupted
        self.on_playback_finished(playback_position=seconds, interrupted=interrupted)


class Captions(TextOutput):
    """What the agent says, as it is spoken; `was_cut` tells whether it was cut off there."""

    def __init__(self, wire: Wire, was_cut: Callable[[], bool]) -> None:
        super().__init__(label="page", next_in_chain=None)
        self._wire = wire
        self._was_cut = was_cut
        self._segment = 0
        self._text = ""

    async def capture_text(self, text: str) -> None:
        """Show some more words."""
        self._text += text
        self._tell(final=False, interrupted=False)

    def flush(self) -> None:
        """Let the sentence end here."""
        if self._text:
            self._tell(final=True, interrupted=self._was_cut())
        self._text = ""
        self._segment += 1

    def _tell(self, *, final: bool, interrupted: bool) -> None:
        self._wire.tell(
            "words",
            id=f"agent-{self._segment}",
            who="agent",
            text=self._text,
            final=final,
            interrupted=interrupted,
        )


def _between(seconds: float, pushed: float) -> float:
    # Not a number is not equal to itself.
    return min(max(seconds, 0.0), pushed) if seconds == seconds else 0.0
