"""OpenAI text to speech, for every kind of backend that speaks a text."""

from livekit.plugins import openai

from runner.definition.spec import Part
from runner.voice.backends.clients import client


def text_to_speech(part: Part, voice: str) -> openai.TTS:
    """Build the TTS of `part`.

    Raises:
        MissingKeyError: its key is missing.
    """
    return openai.TTS(
        model=part.model,
        voice=voice,
        client=client(part.base_url, part.api_key_env),
    )
