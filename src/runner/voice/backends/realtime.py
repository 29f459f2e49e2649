"""Speech to speech by the OpenAI Realtime API."""

import os
from contextlib import suppress
from typing import Any

import aiohttp
from livekit.agents import NOT_GIVEN, APIConnectOptions, TurnHandlingOptions
from livekit.agents.utils import http_context
from livekit.plugins.openai import realtime
from openai.types.realtime import AudioTranscription

from runner.catalog.backends import address, parts, speech_beside
from runner.definition.kinds import realtime_temperature
from runner.definition.spec import AgentSpec, RealtimeBackend
from runner.voice.backends.agent import BackendAgent
from runner.voice.backends.clients import api_key
from runner.voice.backends.ear import Ear
from runner.voice.backends.guard import guarded
from runner.voice.backends.speech import Speech

# Seconds between two pings on a silent connection, at least.
_SHORTEST = 2.0
# Seconds of speech that may go by before a server says that its caller speaks.
_UNNOTICED = 1.0
_TRANSCRIPTION = "gpt-4o-mini-transcribe"


class RealtimeAgent(BackendAgent):
    """A realtime model, and a TTS beside it for what is spoken word for word.

    Raises:
        MissingKeyError: the key is missing.
    """

    def __init__(self, backend: RealtimeBackend, spec: AgentSpec) -> None:
        pinging = _Pinging(backend.first_audio_timeout)
        self._ear = Ear(backend.first_audio_timeout)
        super().__init__(
            backend,
            {
                "voice": backend.voice,
                "temperature": realtime_temperature(backend.temperature),
                "temperature_sent": False,
            },
            llm=guarded(_model(backend, spec, pinging), self._ear),
            tts=Speech(speech_beside(backend), backend.voice),
            turn_handling=_turn_handling(spec),
        )
        # Otherwise it is LiveKit that ends the caller's turn, after a pause of its own.
        self.answers_silence = spec.turn_taking.allow_interruptions
        self.may_miss = pinging.limit + _UNNOTICED
        self._address = address(parts(backend)[0], os.environ)

    @property
    def unnoticed(self) -> tuple[float, float | None] | None:
        """What the ear beside its server tells."""
        return self._ear.unnoticed

    async def connect(self) -> None:
        """Open a connection that its WebSocket will take over; whether that works or not."""
        with suppress(aiohttp.ClientError, OSError, ValueError):
            async with http_context.http_session().get(self._address) as answer:
                # One that is left unread costs the connection.
                await answer.read()


class _Pinging:
    """LiveKit's HTTP session; a WebSocket of it that answers no ping is lost within `patience`.

    `limit` is how many seconds may pass from its last sign of life until that is known.

    A connection that swallows everything would otherwise be silent for ever: it is the server that
    says when its caller has spoken.
    """

    def __init__(self, patience: float) -> None:
        # Half as long again may pass until the answer is given up. More often, a hiccup would do.
        self._interval = max(patience / 1.5, _SHORTEST)
        self.limit = 1.5 * self._interval

    async def ws_connect(self, **request: Any) -> Any:
        """Open a WebSocket."""
        return await http_context.http_session().ws_connect(heartbeat=self._interval, **request)


def _model(backend: RealtimeBackend, spec: AgentSpec, http_session: Any) -> realtime.RealtimeModel:
    # No temperature: the present Realtime API takes none.
    return realtime.RealtimeModel(
        model=backend.model,
        voice=backend.voice,
        base_url=backend.base_url or NOT_GIVEN,
        api_key=api_key(backend.api_key_env),
        input_audio_transcription=_transcription(spec),
        # The plugin's own retries would go on for ever on a refused model.
        conn_options=APIConnectOptions(max_retry=0, timeout=3.0),
        http_session=http_session,
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
