"""OpenAI text to speech, for every kind of backend that speaks a text."""

from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, APIError
from livekit.agents.tts import AudioEmitter
from livekit.plugins import openai

from runner.definition.spec import Part
from runner.voice.backends.clients import client


def text_to_speech(part: Part, voice: str) -> openai.TTS:
    """Build the TTS of `part`.

    Raises:
        MissingKeyError: its key is missing.
        ValueError: its `base_url` is no address.
    """
    return _Speech(
        model=part.model,
        voice=voice,
        client=client(part.base_url, part.api_key_env),
    )


class _Speech(openai.TTS):
    """Never begins a sentence again of which a part was heard."""

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> openai.tts.ChunkedStream:
        return _Sentence(tts=self, input_text=text, conn_options=conn_options)


class _Sentence(openai.tts.ChunkedStream):
    async def _run(self, output_emitter: AudioEmitter) -> None:
        try:
            await super()._run(output_emitter)
        except APIError as error:
            # LiveKit would try again all the same.
            error.retryable = error.retryable and output_emitter.pushed_duration() == 0
            raise
