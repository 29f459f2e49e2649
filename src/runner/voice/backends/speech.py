"""OpenAI text to speech, for every kind of backend that speaks a text."""

from livekit.plugins import openai

from runner.definition.spec import Part, RealtimeBackend
from runner.voice.backends.clients import client

#: Speaks where a file names no model of its own: beside a realtime model, and announcements.
DEFAULT_TTS = "gpt-4o-mini-tts"


def speech_beside(backend: RealtimeBackend) -> Part:
    """Return the TTS that speaks word for word beside a realtime model: same server, same key."""
    return Part(model=DEFAULT_TTS, base_url=backend.base_url, api_key_env=backend.api_key_env)


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
