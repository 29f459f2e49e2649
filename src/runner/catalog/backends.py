"""Where a backend lives: its servers, its keys, and what makes two backends the same. Pure."""

import hashlib
import json
from collections.abc import Mapping

from runner.definition.spec import Backend, Part, PipelineBackend, RealtimeBackend

#: Speaks where a file names no model of its own: beside a realtime model, and announcements.
DEFAULT_TTS = "gpt-4o-mini-tts"

_OPENAI = "https://api.openai.com/v1"


def parts(backend: Backend) -> tuple[Part, ...]:
    """Return the models that a backend asks; an announcement asks none."""
    match backend:
        case RealtimeBackend(model=model, base_url=base_url, api_key_env=variable):
            return (Part(model=model, base_url=base_url, api_key_env=variable),)
        case PipelineBackend(stt=stt, llm=llm, tts=tts):
            return (stt, llm, tts)
        case _:
            return ()


def speech_beside(backend: RealtimeBackend) -> Part:
    """Return the TTS that speaks word for word beside a realtime model: same server, same key."""
    return Part(model=DEFAULT_TTS, base_url=backend.base_url, api_key_env=backend.api_key_env)


def key_variables(backend: Backend) -> list[str]:
    """Return the variables that a backend names for its keys, each once."""
    names = [part.api_key_env for part in parts(backend)]
    return [name for name in dict.fromkeys(names) if name]


def address(part: Part, environment: Mapping[str, str]) -> str:
    """Return the `base_url` that a call would use."""
    found = part.base_url or environment.get("OPENAI_BASE_URL") or _OPENAI
    return found.rstrip("/")


def identity(backend: Backend, environment: Mapping[str, str]) -> str:
    """Return the same 16 hexadecimal digits for backends of one kind, address, model and key.

    They tell nothing of the key, but another key makes another identity.
    """
    asked = [
        (part.model, address(part, environment), part.api_key_env, _key(part, environment))
        for part in parts(backend)
    ]
    return _digest(json.dumps([backend.kind, asked]))


def _key(part: Part, environment: Mapping[str, str]) -> str:
    return _digest(environment.get(part.api_key_env or "", ""))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]
