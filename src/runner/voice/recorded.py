"""Sentences that are there as files: they need no network, no key and no model."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path

from livekit import rtc
from livekit.agents.utils.codecs import AudioStreamDecoder

_RATE = 24_000
#: LiveKit loses the beginning of a sound whose form it has to guess.
_FORMS: Mapping[str, str] = {".wav": "audio/wav", ".ogg": "audio/ogg"}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A sentence, and the file that speaks it."""

    sentence: str
    path: Path

    async def frames(self) -> AsyncGenerator[rtc.AudioFrame, None]:
        """Yield its sound at 24 kHz, whatever the file's rate is."""
        form = _FORMS[self.path.suffix]
        decoder = AudioStreamDecoder(sample_rate=_RATE, num_channels=1, format=form)
        try:
            decoder.push(await asyncio.to_thread(self.path.read_bytes))
            decoder.end_input()
            async for frame in decoder:
                yield frame
        finally:
            await decoder.aclose()


#: Ships with the package; it was made with espeak-ng.
SORRY = Recorded(
    "I'm sorry, something went wrong on our side, and this call cannot go on. "
    "Please ring again in a few minutes.",
    Path(__file__).with_name("sorry.ogg"),
)
