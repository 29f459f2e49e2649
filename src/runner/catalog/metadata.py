"""What the metadata of a dispatch or a room asks for. Anybody may write it: trust nothing."""

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

#: The longest metadata that is read, in characters.
LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Wish:
    """The agent and the variables asked for; `ignored` says why a text was not understood."""

    agent: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    ignored: str = ""


def read(text: str, agents: Container[str]) -> Wish:
    """Read an agent's id, or JSON `{"agent": ..., "variables": {...}}`; ignore all else."""
    if not text.strip():
        return Wish()
    if len(text) > LIMIT:
        return Wish(ignored=f"longer than {LIMIT} characters")
    if text.strip() in agents:
        return Wish(agent=text.strip())
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return Wish(ignored="neither an agent's id nor JSON")
    return _from_json(value)


def _from_json(value: Any) -> Wish:
    if not isinstance(value, dict):
        return Wish(ignored="JSON, but no object")
    agent, variables = value.get("agent", ""), value.get("variables", {})
    if not isinstance(agent, str) or not isinstance(variables, dict):
        return Wish(ignored="JSON whose agent is no text or whose variables are no object")
    return Wish(agent=agent, variables=variables)
