"""Backends for tests that need no file."""

from __future__ import annotations

from typing import Any

from runner.definition.spec import AnnouncementBackend, Part, PipelineBackend, RealtimeBackend


def realtime(name: str = "primary", **changes: Any) -> RealtimeBackend:
    fields: dict[str, Any] = {
        "first_audio_timeout": 4.0, "model": name, "voice": "coral", "temperature": 80,
        "base_url": None, "api_key_env": "OPENAI_API_KEY",
    }  # fmt: skip
    return RealtimeBackend(name=name, **fields | changes)


def pipeline(name: str = "second", **changes: Any) -> PipelineBackend:
    part = Part(model=name, base_url=None, api_key_env="OPENAI_API_KEY")
    fields: dict[str, Any] = {
        "first_audio_timeout": 4.0, "voice": "coral", "temperature": 80,
        "stt": part, "llm": part, "tts": part,
    }  # fmt: skip
    return PipelineBackend(name=name, **fields | changes)


def announcement(name: str = "sorry", *, say: str = "Sorry.") -> AnnouncementBackend:
    return AnnouncementBackend(name=name, first_audio_timeout=4.0, say=say, transfer=None)
