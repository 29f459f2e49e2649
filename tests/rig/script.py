"""What a simulated model answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Tone:
    """A spoken answer; `{output}` in its text becomes the output of the tool call before it."""

    text: str = "Hello, how may I help you?"
    seconds: float = 1.0
    hz: float | None = None


@dataclass(frozen=True)
class Call:
    """A function call, what is said with it, and what when its output is there."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    then: Tone = Tone("The answer is: {output}")
    first: str = ""


Reply = Tone | Call


@dataclass(frozen=True)
class Turn:
    """What an answer is wanted to: `text` is what the caller said, "" for a greeting."""

    number: int
    text: str
    instructions: str
    model: str


Script = Sequence[Reply] | Mapping[str, Reply] | Callable[[Turn], Reply]
