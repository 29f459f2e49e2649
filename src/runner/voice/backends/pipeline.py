"""Speech to text, a language model and text to speech, by OpenAI or a server like it."""

import asyncio
from contextlib import suppress

from livekit.agents import NOT_GIVEN
from livekit.plugins import openai
from openai import AsyncClient, OpenAIError

from runner.definition.kinds import llm_takes_temperature, llm_temperature
from runner.definition.spec import AgentSpec, Part, PipelineBackend
from runner.voice.backends.agent import BackendAgent, turns_by_vad
from runner.voice.backends.clients import client
from runner.voice.backends.speech import Speech


class PipelineAgent(BackendAgent):
    """Three models; LiveKit's bundled VAD says when the caller is done.

    Raises:
        MissingKeyError: a key is missing.
    """

    def __init__(self, backend: PipelineBackend, spec: AgentSpec) -> None:
        self._model = _LanguageModel(backend.llm, backend.temperature)
        self._speech = Speech(backend.tts, backend.voice)
        super().__init__(
            backend,
            {
                "voice": backend.voice,
                "temperature": llm_temperature(backend.temperature),
                "temperature_sent": llm_takes_temperature(backend.llm.model),
            },
            stt=_speech_to_text(backend.stt, spec.language),
            llm=self._model,
            tts=self._speech,
            turn_handling=turns_by_vad(spec.turn_taking),
        )
        self._parts = (backend.stt, backend.llm, backend.tts)

    async def connect(self) -> None:
        """Open a connection for each of the three, who may be asked at the same time."""
        self._model.connected = self._speech.connected = True
        await asyncio.gather(*(_open_connection(client(part)) for part in self._parts))


class _LanguageModel(openai.LLM):
    """It is `connected` when a connection is open that its first question is to find."""

    def __init__(self, part: Part, percent: float) -> None:
        takes_temperature = llm_takes_temperature(part.model)
        super().__init__(
            model=part.model,
            temperature=llm_temperature(percent) if takes_temperature else NOT_GIVEN,
            client=client(part),
        )
        self.connected = False

    def prewarm(self, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        if not self.connected:
            super().prewarm(loop=loop)


async def _open_connection(to: AsyncClient) -> None:
    # As LiveKit's own TTS does; what is answered does not matter.
    with suppress(OpenAIError):
        await to.get("/", cast_to=str)


def _speech_to_text(part: Part, language: str | None) -> openai.STT:
    return openai.STT(
        model=part.model,
        language=language or "",
        detect_language=language is None,
        client=client(part),
    )
