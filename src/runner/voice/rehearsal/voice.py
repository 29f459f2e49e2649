"""The rehearsal's voice: LiveKit's text to speech over hibari, offline. It speaks English alone."""

import asyncio
import threading
from functools import cache
from typing import Any

import numpy as np
from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, tts
from livekit.agents.utils import shortuuid

RATE = 24_000
# What has no sound must not look like a voice that failed: 0.1 s, 16 bit.
_PAUSE = bytes(2 * RATE // 10)

# hibari says nothing about threads.
_speaking = threading.Lock()


def load() -> None:
    """Load the voice, within a second; otherwise its first sentence waits for that."""
    spoken("Ready.")


def spoken(text: str) -> bytes:
    """Return `text` as speech, 24 kHz, 16 bit, mono; this takes some 10 ms a second of it."""
    with _speaking:
        samples = _hibari()(text)
    sound = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    return sound or _PAUSE


@cache
def _hibari() -> Any:
    from hibari import Hibari

    # Its own voice is in the package; any other would be downloaded.
    return Hibari()


class Voice(tts.TTS[Any]):
    """Speaks sentence by sentence."""

    def __init__(self) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False), sample_rate=RATE, num_channels=1
        )

    @property
    def model(self) -> str:
        """What the record of a call says."""
        return "hibari"

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        """Speak `text`."""
        return _Speech(tts=self, input_text=text, conn_options=conn_options)


class _Speech(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=shortuuid(), sample_rate=RATE, num_channels=1, mime_type="audio/pcm"
        )
        output_emitter.push(await asyncio.to_thread(spoken, self.input_text))
