"""What each backend kind accepts: voices and temperatures. The one place for these lists."""

REALTIME = "openai-realtime"
PIPELINE = "openai-pipeline"
ANNOUNCEMENT = "announcement"
#: No file can name it.
REHEARSAL = "rehearsal"

#: The voices of OpenAI's own servers, by kind, as of 2026-11-01. Source: the voice literals of the
#: official SDK (openai 3.54: `types/realtime/realtime_audio_config_output.py` and
#: `types/audio/speech_create_params.py`). A server behind a `base_url` may have others.
VOICES: dict[str, tuple[str, ...]] = {
    REALTIME: (
        "alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar",
    ),
    PIPELINE: (
        "alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer",
        "verse", "marin", "cedar",
    ),
}  # fmt: skip

_REASONING_MODELS = ("o1", "o3", "o4", "gpt-5")


def realtime_temperature(percent: float) -> float:
    """Convert percent to the Realtime API's range: `0.6 + percent / 100 * 0.6`, 0.6 to 1.2."""
    return max(0.6, min(1.2, 0.6 + percent / 100 * 0.6))


def llm_temperature(percent: float) -> float:
    """Convert percent to a language model's range: `percent / 100 * 2.0`, 0.0 to 2.0."""
    return max(0.0, min(2.0, percent / 100 * 2.0))


def llm_takes_temperature(model: str) -> bool:
    """Tell whether a chat model accepts a temperature; OpenAI's reasoning models refuse one."""
    return "chat" in model or not model.startswith(_REASONING_MODELS)
