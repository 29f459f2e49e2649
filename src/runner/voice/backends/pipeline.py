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
from runner.voice.backends.speech import text_to_speech


class PipelineAgent(BackendAgent):
    """Three models; LiveKit's bundled VAD says when the caller is done.

    Raises:
        MissingKeyError: a key is missing.
    """

    def __init__(self, backend: PipelineBackend, spec: AgentSpec) -> None:
        super().__init__(
            backend,
            {
                "voice": backend.voice,
                "temperature": llm_temperature(backend.temperature),
                "temperature_sent": llm_takes_temperature(backend.llm.model),
            },
            stt=_speech_to_text(backend.stt, spec.language),
            llm=_language_model(backend.llm, backend.temperature),
            tts=text_to_speech(backend.tts, backend.voice),
            turn_handling=turns_by_vad(spec.turn_taking),
        )
        self._parts = (backend.stt, backend.llm, backend.tts)

    async def connect(self) -> None:
        """Open a connection for each of the three, who may be asked at the same time."""
        clients = (client(part.base_url, part.api_key_env) for part in self._parts)
        await asyncio.gather(*map(_open_connection, clients))


async def _open_connection(to: AsyncClient) -> None:
    # As LiveKit's own TTS does; what is answered does not matter.
    with suppress(OpenAIError):
        await to.get("/", cast_to=str)


def _speech_to_text(part: Part, language: str | None) -> openai.STT:
    return openai.STT(
        model=part.model,
        language=language or "",
        detect_language=language is None,
        client=client(part.base_url, part.api_key_env),
    )


def _language_model(part: Part, percent: float) -> openai.LLM:
    takes_temperature = llm_takes_temperature(part.model)
    return openai.LLM(
        model=part.model,
        temperature=llm_temperature(percent) if takes_temperature else NOT_GIVEN,
        client=client(part.base_url, part.api_key_env),
    )
