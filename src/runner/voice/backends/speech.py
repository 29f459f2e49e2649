"""OpenAI text to speech, for every kind of backend that speaks a text."""

from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, APIError
from livekit.agents.tts import AudioEmitter
from livekit.plugins import openai

from runner.definition.spec import Part
from runner.voice.backends.clients import client


class Speech(openai.TTS):
    """The TTS of `part`. It never begins a sentence again of which a part was heard.

    It is `connected` when a connection is open that its first sentence is to find.

    Raises:
        MissingKeyError: its key is missing.
        ValueError: its `base_url` is no address.
    """

    def __init__(self, part: Part, voice: str) -> None:
        super().__init__(model=part.model, voice=voice, client=client(part))
        self.connected = False

    def prewarm(self) -> None:
        """Open a connection, as LiveKit wishes when an agent takes over, if none is open."""
        if not self.connected:
            super().prewarm()

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> openai.tts.ChunkedStream:
        """Speak a sentence."""
        return _Sentence(tts=self, input_text=text, conn_options=conn_options)


class _Sentence(openai.tts.ChunkedStream):
    async def _run(self, output_emitter: AudioEmitter) -> None:
        try:
            await super()._run(output_emitter)
        except APIError as error:
            # LiveKit would try again all the same.
            error.retryable = error.retryable and output_emitter.pushed_duration() == 0
            raise
