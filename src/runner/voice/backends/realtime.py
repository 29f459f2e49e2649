"""Speech to speech by the OpenAI Realtime API."""

from typing import Any

from livekit.agents import NOT_GIVEN, APIConnectOptions, TurnHandlingOptions
from livekit.plugins.openai import realtime
from openai.types.realtime import AudioTranscription

from runner.catalog.backends import speech_beside
from runner.definition.kinds import realtime_temperature
from runner.definition.spec import AgentSpec, RealtimeBackend
from runner.voice.backends.agent import BackendAgent
from runner.voice.backends.clients import api_key
from runner.voice.backends.guard import guarded
from runner.voice.backends.speech import text_to_speech

_TRANSCRIPTION = "gpt-4o-mini-transcribe"


class RealtimeAgent(BackendAgent):
    """A realtime model, and a TTS beside it for what is spoken word for word.

    Raises:
        MissingKeyError: the key is missing.
    """

    def __init__(self, backend: RealtimeBackend, spec: AgentSpec) -> None:
        super().__init__(
            backend,
            {
                "voice": backend.voice,
                "temperature": realtime_temperature(backend.temperature),
                "temperature_sent": False,
            },
            llm=guarded(_model(backend, spec)),
            tts=text_to_speech(speech_beside(backend), backend.voice),
            turn_handling=_turn_handling(spec),
        )
        # Otherwise it is LiveKit that ends the caller's turn, after a pause of its own.
        self.answers_silence = spec.turn_taking.allow_interruptions


def _model(backend: RealtimeBackend, spec: AgentSpec) -> realtime.RealtimeModel:
    # No temperature: the present Realtime API takes none.
    return realtime.RealtimeModel(
        model=backend.model,
        voice=backend.voice,
        base_url=backend.base_url or NOT_GIVEN,
        api_key=api_key(backend.api_key_env),
        input_audio_transcription=_transcription(spec),
        # The plugin's own retries would go on for ever on a refused model.
        conn_options=APIConnectOptions(max_retry=0, timeout=3.0),
    )


def _transcription(spec: AgentSpec) -> Any:
    if spec.language is None:
        return NOT_GIVEN
    return AudioTranscription(model=_TRANSCRIPTION, language=spec.language.split("-")[0].lower())


def _turn_handling(spec: AgentSpec) -> TurnHandlingOptions:
    if spec.turn_taking.allow_interruptions:
        return {}
    # OpenAI's own turn detection always lets the caller interrupt, and LiveKit refuses the
    # combination; with LiveKit's VAD it is off.
    return {"turn_detection": "vad", "interruption": {"enabled": False}}
