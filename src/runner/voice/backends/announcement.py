"""Says one sentence, then ends or transfers the call."""

from collections.abc import Iterator

from livekit.plugins import openai

from runner.definition.spec import (
    AgentSpec,
    AnnouncementBackend,
    Part,
    PipelineBackend,
    RealtimeBackend,
)
from runner.voice.backends.agent import BackendAgent
from runner.voice.backends.clients import MissingKeyError
from runner.voice.backends.speech import DEFAULT_TTS, speech_beside, text_to_speech
from runner.voice.line import Line
from runner.voice.words import Words


class AnnouncementAgent(BackendAgent):
    """A voice that hears nothing.

    Raises:
        MissingKeyError: no key of a voice is there.
    """

    def __init__(self, backend: AnnouncementBackend, spec: AgentSpec) -> None:
        super().__init__(
            backend,
            {"voice": spec.voice},
            stt=None,
            llm=None,
            vad=None,
            tts=_voice(spec),
            turn_handling={"turn_detection": None},
        )
        self._sentence = backend.say
        self._transfer = backend.transfer

    async def open(self, _: Words, line: Line) -> None:
        """Speak to the end, then let the caller go."""
        await self.session.say(self._sentence, allow_interruptions=False)
        if self._transfer is None or not await line.transfer(self._transfer):
            await line.hang_up("announced")


def _voice(spec: AgentSpec) -> openai.TTS:
    """Build the first voice of the agent whose key is there."""
    missing: list[MissingKeyError] = []
    for part, voice in _voices(spec):
        try:
            return text_to_speech(part, voice)
        except MissingKeyError as error:
            missing.append(error)
    raise missing[-1]


def _voices(spec: AgentSpec) -> Iterator[tuple[Part, str]]:
    for backend in spec.backends:
        if isinstance(backend, PipelineBackend):
            yield backend.tts, backend.voice
        elif isinstance(backend, RealtimeBackend):
            yield speech_beside(backend), backend.voice
    yield Part(model=DEFAULT_TTS, base_url=None, api_key_env="OPENAI_API_KEY"), spec.voice
