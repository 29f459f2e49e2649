"""What a call brings for an agent's variables: checked, cleaned, or refused with a reason."""

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: The longest text that a call may set, in characters.
TEXT_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Accepted:
    """The values that a call sets, and why others keep their default (names, never values)."""

    values: Mapping[str, Any]
    refused: tuple[str, ...]


def accept(declared: Mapping[str, Any], given: Mapping[str, Any]) -> Accepted:
    """Keep what fits the declared defaults: their names, and the type of each."""
    values: dict[str, Any] = {}
    refused = []
    for name in given.keys() & declared.keys():
        try:
            values[name] = _fitted(given[name], declared[name])
        except ValueError as error:
            refused.append(f"{name}: {error}")
    if unknown := len(given.keys() - declared.keys()):
        refused.append(f"{unknown} that the agent does not declare")
    return Accepted(values, tuple(sorted(refused)))


def _fitted(value: Any, default: Any) -> Any:
    match default:
        case bool():
            return _flag(value)
        case int() | float():
            return _number(value)
        case str():
            return _text(value)
    if not isinstance(value, list):
        raise ValueError("not a list")
    return [_item(item) for item in value]


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")
    return value


def _number(value: Any) -> int | float:
    if isinstance(value, str):
        # A part of a room's name is always text.
        value = _number_of(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("not a number")
    return value


def _number_of(text: str) -> int | float:
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    raise ValueError("not a number")


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("not a text")
    text = str(value)
    if len(text) > TEXT_LIMIT:
        raise ValueError(f"longer than {TEXT_LIMIT} characters")
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def _item(value: Any) -> Any:
    match value:
        case bool():
            return value
        case int() | float():
            return _number(value)
        case str():
            return _text(value)
    raise ValueError("a list of something else than texts, numbers, true and false")
