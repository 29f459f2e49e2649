"""Specs for tests that need no file."""

from __future__ import annotations

from typing import Any

from runner.definition.spec import AgentSpec, Answers, Greeting, RealtimeBackend, TurnTaking


def a_spec(id_: str, **changes: Any) -> AgentSpec:
    """Return a complete agent; `changes` replace its fields."""
    fields: dict[str, Any] = {
        "id": id_,
        "name": id_,
        "description": "",
        "prompt": "Talk to {{ caller_name }}.",
        "variables": {"caller_name": "there", "city": "", "number": 0},
        "greeting": Greeting(generate="Greet."),
        "language": None,
        "voice": "coral",
        "temperature": 80,
        "response_length": "medium",
        "turn_taking": TurnTaking(),
        "backends": (
            RealtimeBackend(
                name="primary",
                first_audio_timeout=4.0,
                model="gpt-realtime",
                voice="coral",
                temperature=80,
                base_url=None,
                api_key_env="OPENAI_API_KEY",
            ),
        ),
        "tools": (),
        "answers": Answers(rooms=(id_, f"{id_}-*")),
    }
    return AgentSpec(**fields | changes)
