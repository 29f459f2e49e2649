"""Which tool a sentence asks for, and with which arguments: by words, without a model."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator

from runner.definition.spec import ToolStub

_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_BESIDE = " .,;:!?"
_BETWEEN = re.compile(r",|\band\b")
_SPOKEN = {"true": ("yes", "true"), "false": ("no", "false", "not", "without")}
#: Words that say nothing of what is wanted.
IDLE = frozenset({
    "a", "an", "and", "are", "at", "can", "do", "for", "from", "get", "have", "i", "in", "is", "it",
    "look", "me", "my", "of", "on", "or", "please", "tell", "that", "the", "there", "this", "to",
    "up", "use", "want", "what", "when", "where", "which", "will", "with", "would", "you", "your",
})  # fmt: skip
# One word of a tool's name, or two of its description.
_NAMED, _DESCRIBED, _ENOUGH = 2, 1, 2
# As many words may be one value with a pattern; an answer of its own may be longer.
_MOST_WORDS = 8


@dataclass(frozen=True, slots=True)
class Wish:
    """A tool to call, the arguments that were found, and the names of those still to be asked for.

    The first of these is the one to ask for.
    """

    tool: ToolStub
    arguments: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def wish(text: str, tools: Sequence[ToolStub], pending: Wish | None = None) -> Wish | None:
    """Return what `text` asks for; with `pending`, it may be the answer to what was missing."""
    if tool := _best(text, tools):
        return _filled(tool, text)
    return _filled(pending.tool, text, pending) if pending else None


def _best(text: str, tools: Sequence[ToolStub]) -> ToolStub | None:
    said = _stems(text)
    scores = [
        _NAMED * len(said & _stems(tool.name)) + _DESCRIBED * len(said & _stems(tool.description))
        for tool in tools
    ]
    best = max(scores, default=0)
    return tools[scores.index(best)] if best >= _ENOUGH else None


def _filled(tool: ToolStub, text: str, before: Wish | None = None) -> Wish:
    """Add what `text` says to what was said `before`: all of it may answer what was asked for."""
    arguments = dict(before.arguments) if before else {}
    for name, schema in tool.parameters["properties"].items():
        asked = before is not None and name == before.missing[0]
        own = _after(name, text) or (text.strip(_BESIDE) if asked else "")
        if name not in arguments and (value := _value(schema, text, own)) is not None:
            arguments[name] = value
    wanted = tool.parameters.get("required", ())
    return Wish(tool, arguments, tuple(name for name in wanted if name not in arguments))


def _value(schema: Mapping[str, Any], text: str, own: str) -> Any:
    """Return the first value in `text` that fits `schema`, None if there is none.

    `own` is the part of it that can be about nothing else, empty if there is none.
    """
    fits = Draft202012Validator(schema).is_valid
    return next((value for value in _values(schema, text, own) if fits(value)), None)


def _values(schema: Mapping[str, Any], text: str, own: str) -> Iterator[Any]:
    match schema:
        case {"enum": options}:
            yield from _said(options, text)
        case {"type": "integer"}:
            yield from (int(one) for one in _NUMBER.findall(text) if "." not in one)
        case {"type": "number"}:
            yield from (float(one) for one in _NUMBER.findall(text))
        case {"type": "boolean"}:
            said = [value for value, words in _SPOKEN.items() if set(words) & _words(text)]
            yield from (value == "true" for value in said[-1:])
        case {"type": "array"}:
            yield from _typed(own)
            if items := _items(schema.get("items", {}), text, own):
                yield items
        case {"type": "object"}:
            yield from _typed(own)
        case {"pattern": pattern}:
            runs = [run for run in (own, *_runs(text)) if run]
            yield from (run for run in runs if re.fullmatch(pattern, run))
            yield from reversed(runs)
        case _ if own:
            yield own


def _items(schema: Mapping[str, Any], text: str, own: str) -> list[Any]:
    if "enum" in schema:
        return _said(schema["enum"], text)
    parts = [part.strip(_BESIDE) for part in _BETWEEN.split(own)]
    found = (_value(schema, part, part) for part in parts)
    return [value for value in found if value is not None]


def _typed(own: str) -> Iterator[Any]:
    """Yield what was typed as JSON."""
    with suppress(ValueError, RecursionError):
        yield json.loads(own)


def _said(options: Sequence[Any], text: str) -> list[Any]:
    """Return the options that were said, as they were; of those that begin alike the longest."""
    known = {str(option).lower(): option for option in options}
    any_of = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    found = re.findall(rf"(?<!\w)(?:{any_of})(?!\w)", text.lower())
    return [known[one] for one in dict.fromkeys(found)]


def _runs(text: str) -> Iterator[str]:
    """Yield what a few words after each other may be together, the most of them first."""
    words = text.split()
    for length in range(min(len(words), _MOST_WORDS), 0, -1):
        for start in range(len(words) - length + 1):
            yield " ".join(words[start : start + length]).strip(_BESIDE)


def _after(name: str, text: str) -> str:
    """Return what follows the parameter's name: `name Ada` for `caller_name`."""
    last = name.split("_")[-1]
    found = re.search(rf"\b{re.escape(last)}\b\W+(?:is\s+)?(.+)", text, re.IGNORECASE)
    return found[1].strip(_BESIDE) if found else ""


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}


def _stems(text: str) -> set[str]:
    """Return the words that say something, without a plural's or a verb's ending."""
    return {re.sub(r"(?:ing|ed|s)$", "", word) for word in _words(text) - IDLE}
