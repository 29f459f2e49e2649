"""Says one sentence, then ends or transfers the call."""

from livekit.agents import get_job_context

from runner.definition.spec import AgentSpec, AnnouncementBackend, Part
from runner.voice import ending
from runner.voice.backends.agent import BackendAgent
from runner.voice.backends.speech import DEFAULT_TTS, text_to_speech
from runner.voice.words import Words

_SPEECH = Part(model=DEFAULT_TTS, base_url=None, api_key_env="OPENAI_API_KEY")


class AnnouncementAgent(BackendAgent):
    """A voice that hears nothing.

    Raises:
        MissingKeyError: the key of the voice is missing.
    """

    def __init__(self, backend: AnnouncementBackend, spec: AgentSpec) -> None:
        super().__init__(
            backend,
            {"voice": spec.voice},
            stt=None,
            llm=None,
            vad=None,
            tts=text_to_speech(_SPEECH, spec.voice),
            turn_handling={"turn_detection": None},
        )
        self._template = backend.say
        self._transfer = backend.transfer
        self._sentence = ""

    async def brief(self, words: Words) -> None:
        """Take the call's sentence, before the session starts."""
        self._sentence = words.text(self._template)

    async def on_enter(self) -> None:
        """Speak to the end, then let the caller go."""
        await self.session.say(self._sentence, allow_interruptions=False)
        ctx = get_job_context()
        if self._transfer is None or not await ending.transfer(ctx, self._transfer):
            await ending.hang_up(ctx, "announced")
