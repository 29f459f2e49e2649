"""What a caller of an agent may say: the rehearsal's ears know these words and no others.

A vocabulary this small is recognised far better than all of English.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.definition.spec import ToolStub
from runner.voice.rehearsal.grammar import IDLE

_WORD = re.compile(r"[a-z']+")
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = (
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
    "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_FIGURES = {word: number for number, word in enumerate(_DIGITS + _TEENS)} | {
    word: 10 * number for number, word in enumerate(_TENS, 2)
}
_SMALL_TALK = (
    "can you", "could you", "i would like to", "i'd like to", "i need", "i want", "do you have",
    "is there any", "is there anything", "please", "yes", "no", "hello", "hi", "okay", "thanks",
    "thank you", "goodbye", "bye", "next", "some",
)  # fmt: skip


def phrases(tools: Sequence[ToolStub]) -> tuple[str, ...]:
    """Return phrases from which a language model can learn what is said, and how often."""
    made = [*_SMALL_TALK, *sorted(IDLE)]
    for tool in tools:
        made += _of_tool(tool)
    words = (" ".join(_WORD.findall(one.lower())) for one in made)
    return tuple(one for one in words if one)


def figures(text: str) -> str:
    """Write numbers in figures, `one two` as 12 and `twenty one` as 21: schemas know no others."""
    written: list[str] = []
    before: int | None = None
    for word in text.split():
        number = _FIGURES.get(word)
        if number is None or before is None:
            written.append(word if number is None else str(number))
        elif 0 < number < 10 and before >= 20 and before % 10 == 0:
            number += before
            written[-1] = str(number)
        elif number < 10 and before < 10:
            written[-1] += str(number)
        else:
            written.append(str(number))
        before = number
    return " ".join(written)


def _of_tool(tool: ToolStub) -> Iterator[str]:
    name = tool.name.replace("_", " ")
    schemas = tool.parameters["properties"]
    # Twice, since it is what people will say.
    yield from (name, name, tool.description)
    for parameter, schema in schemas.items():
        yield from (parameter.replace("_", " "), schema.get("description", ""))
    for value in (str(one) for schema in schemas.values() for one in _values(schema)):
        # A whole answer, too.
        yield from (value, value)
        yield from (f"{word} {value}" for word in ("on", "for", "with", "next"))
        yield from (f"{name} {word} {value}" for word in ("", "on", "for", "with"))
    counts = any(one.get("type") in ("integer", "number") for one in schemas.values())
    if counts or any("pattern" in one for one in schemas.values()):
        yield from (f"{name} {digit}" for digit in _DIGITS)
        yield from (f"{one} {other}" for one in _DIGITS for other in _DIGITS)
    if counts:
        # Not beside the digits of a pattern: `seven eight` would be heard as `seventy`.
        yield from (_TEENS + _TENS)


def _values(schema: Mapping[str, Any]) -> Sequence[Any]:
    options: Sequence[Any] = schema.get("enum") or schema.get("items", {}).get("enum", ())
    return options
