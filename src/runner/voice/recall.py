"""The caller's last seconds of sound, for a backend that comes too late to have heard them."""

import asyncio
from collections import deque

from livekit import rtc
from livekit.agents.voice.io import AudioInput

_KEPT = 20.0


class Recall(AudioInput):
    """Passes the caller's sound on; after `rewind` a part of it once more, before what follows.

    It has the last 20 seconds, and whatever follows `keep`.
    """

    def __init__(self, source: AudioInput) -> None:
        super().__init__(label="Recall", source=source)
        self._loop = asyncio.get_running_loop()
        self._past: deque[tuple[float, rtc.AudioFrame]] = deque()
        self._again: deque[rtc.AudioFrame] = deque()
        self._keeping = False

    async def __anext__(self) -> rtc.AudioFrame:
        """Return the next frame, in the order in which the caller is to be heard."""
        if not self._again:
            self._again.append(await self._live())
        return self._again.popleft()

    def keep(self) -> None:
        """Forget nothing until the next `rewind`: a tool may take longer than what is kept."""
        self._keeping = True

    def rewind(self, since: float) -> None:
        """Let everything since then, by the loop's clock, be heard once more."""
        self._keeping = False
        self._again.extend(frame for time, frame in self._past if time >= since)

    async def _live(self) -> rtc.AudioFrame:
        frame = await super().__anext__()
        now = self._loop.time()
        self._past.append((now, frame))
        while not self._keeping and self._past[0][0] < now - _KEPT:
            self._past.popleft()
        return frame
