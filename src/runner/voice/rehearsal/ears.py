"""The rehearsal's ears: LiveKit's speech to text over `hearing`. They understand English alone."""

import asyncio
from collections.abc import Sequence
from typing import Any

from livekit import rtc
from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectionError,
    APIConnectOptions,
    NotGivenOr,
    stt,
)
from livekit.agents.language import LanguageCode
from livekit.agents.utils import AudioBuffer

from runner.definition.spec import ToolStub
from runner.voice.rehearsal import hearing
from runner.voice.rehearsal.hearing import RATE, Hearing, HearingError
from runner.voice.rehearsal.phrases import figures, phrases

#: What stands for words that could not be made out.
UNCLEAR = "[unclear]"
# Measured: what callers of an agent say reaches it, most of what else may be said does not.
_LIKELY = 0.3

#: One for all calls of this process.
HEARING = Hearing()


def ears(tools: Sequence[ToolStub]) -> "Ears | None":
    """Return ears for the callers of an agent with `tools`; None where nothing can hear."""
    return Ears(phrases(tools)) if hearing.is_installed() else None


class Ears(stt.STT[Any]):
    """Hears words of phrases that are known; what is hardly one of those is `UNCLEAR`."""

    def __init__(self, known: tuple[str, ...]) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))
        self._known = known

    @property
    def model(self) -> str:
        """What the record of a call says."""
        return "pocketsphinx"

    async def _recognize_impl(
        self,
        buffer: AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.SpeechEvent:
        frame = rtc.combine_audio_frames(buffer)
        try:
            text = await asyncio.to_thread(_words, self._known, frame)
        except HearingError as error:
            raise APIConnectionError(str(error)) from error
        return stt.SpeechEvent(
            type=stt.SpeechEventType.FINAL_TRANSCRIPT,
            alternatives=[stt.SpeechData(language=LanguageCode("en"), text=text)],
        )


def _words(known: tuple[str, ...], frame: rtc.AudioFrame) -> str:
    words, likelihood = HEARING.listen(known, _resampled(frame))
    return figures(words) if likelihood >= _LIKELY else UNCLEAR


def _resampled(frame: rtc.AudioFrame) -> bytes:
    if frame.sample_rate == RATE:
        return bytes(frame.data)
    resampler = rtc.AudioResampler(frame.sample_rate, RATE)
    return b"".join(bytes(one.data) for one in (*resampler.push(frame), *resampler.flush()))
