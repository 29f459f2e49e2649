"""Which tool a sentence asks for, and with which arguments: by words, without a model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.definition.spec import ToolStub

_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_SPOKEN = {"true": ("yes", "true"), "false": ("no", "false", "not", "without")}
#: Words that say nothing of what is wanted.
IDLE = frozenset({
    "a", "an", "and", "are", "at", "can", "do", "for", "from", "get", "have", "i", "in", "is", "it",
    "look", "me", "my", "of", "on", "or", "please", "tell", "that", "the", "there", "this", "to",
    "up", "use", "want", "what", "when", "where", "which", "will", "with", "would", "you", "your",
})  # fmt: skip
# One word of a tool's name, or two of its description.
_NAMED, _DESCRIBED, _ENOUGH = 2, 1, 2


@dataclass(frozen=True, slots=True)
class Wish:
    """A tool to call, the arguments that were found, and the names of those still to be asked for.

    `words` is all that was said about it.
    """

    tool: ToolStub
    words: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def wish(text: str, tools: Sequence[ToolStub], pending: Wish | None = None) -> Wish | None:
    """Return what `text` asks for; with `pending`, it may be the answer to what was missing."""
    if tool := _best(text, tools):
        return _filled(tool, text)
    return _filled(pending.tool, f"{pending.words} {text}") if pending else None


def _best(text: str, tools: Sequence[ToolStub]) -> ToolStub | None:
    said = _stems(text)
    scores = [
        _NAMED * len(said & _stems(tool.name)) + _DESCRIBED * len(said & _stems(tool.description))
        for tool in tools
    ]
    best = max(scores, default=0)
    return tools[scores.index(best)] if best >= _ENOUGH else None


def _filled(tool: ToolStub, text: str) -> Wish:
    schemas = tool.parameters["properties"]
    found = {name: _value(name, schema, text) for name, schema in schemas.items()}
    arguments = {name: value for name, value in found.items() if value is not None}
    wanted = tool.parameters.get("required", ())
    return Wish(tool, text, arguments, tuple(name for name in wanted if name not in arguments))


def _value(name: str, schema: Mapping[str, Any], text: str) -> Any:
    """Return the value in `text` that fits `schema`, None if there is none."""
    match schema:
        case {"enum": options}:
            return next((option for option in options if _holds(text, str(option))), None)
        case {"type": "array", "items": {"enum": options}}:
            return [option for option in options if _holds(text, str(option))] or None
        case {"type": "integer"}:
            return next((int(one) for one in _NUMBER.findall(text) if "." not in one), None)
        case {"type": "number"}:
            return next((float(one) for one in _NUMBER.findall(text)), None)
        case {"type": "boolean"}:
            said = [value for value, words in _SPOKEN.items() if set(words) & _words(text)]
            return said[-1] == "true" if said else None
        case {"pattern": pattern}:
            words = (word.strip(".,;:!?") for word in text.split())
            return next((word for word in words if re.search(pattern, word)), None)
        case {"type": "string"}:
            return _after(name, text)
    return None


def _after(name: str, text: str) -> str | None:
    """Return what follows the parameter's name: `name Ada` for `caller_name`."""
    last = name.split("_")[-1]
    found = re.search(rf"\b{re.escape(last)}\b\W+(?:is\s+)?(.+)", text, re.IGNORECASE)
    return found[1].strip(" .,!?") or None if found else None


def _holds(text: str, option: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(option)}(?!\w)", text, re.IGNORECASE) is not None


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}


def _stems(text: str) -> set[str]:
    """Return the words that say something, without a plural's or a verb's ending."""
    return {re.sub(r"(?:ing|ed|s)$", "", word) for word in _words(text) - IDLE}
