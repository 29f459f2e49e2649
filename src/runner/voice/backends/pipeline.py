"""Speech to text, a language model and text to speech, by OpenAI or a server like it."""

from livekit.agents import NOT_GIVEN
from livekit.plugins import openai

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
        llm = _language_model(backend.llm, backend.temperature)
        tts = text_to_speech(backend.tts, backend.voice)
        super().__init__(
            backend,
            {
                "voice": backend.voice,
                "temperature": llm_temperature(backend.temperature),
                "temperature_sent": llm_takes_temperature(backend.llm.model),
            },
            stt=_speech_to_text(backend.stt, spec.language),
            llm=llm,
            tts=tts,
            turn_handling=turns_by_vad(spec.turn_taking),
        )
        self._prewarmed = (llm, tts)

    async def connect(self) -> None:
        """Open connections for the model and the voice, who are asked at the same time."""
        for part in self._prewarmed:
            part.prewarm()


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
