"""OpenAI text to speech, for every kind of backend that speaks a text."""

from livekit.plugins import openai

from runner.definition.spec import Part
from runner.voice.backends.clients import client

#: Speaks where a file names no model of its own: beside a realtime model, and announcements.
DEFAULT_TTS = "gpt-4o-mini-tts"


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
