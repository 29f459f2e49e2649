"""One finding about one place in one file, and their order. Knows no rule."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one line; line and columns count from 1, `end` is the column after the last."""

    line: int
    column: int
    end: int


START = Span(1, 1, 1)


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """A finding: where (`path`, `span`), by which `rule`, and what was probably meant.

    `message` quotes what is wrong and says what is allowed; `excerpt` is the source line.
    """

    path: str
    line: int
    column: int
    end: int
    rule: str
    message: str
    level: Level = "error"
    suggestion: str | None = None
    excerpt: str = field(default="", compare=False)

    @property
    def sentence(self) -> str:
        """The message with the near miss behind it."""
        if self.suggestion is None:
            return self.message
        return f"{self.message}; did you mean '{self.suggestion}'?"

    @property
    def headline(self) -> str:
        """The finding on one line: where, how serious unless it is an error, what, which rule."""
        level = "" if self.level == "error" else f"{self.level}: "
        place = f"{self.path}:{self.line}:{self.column}"
        return f"{place}: {level}{self.sentence} [{self.rule}]"

    def as_json(self) -> dict[str, str | int | None]:
        """Return plain values; the source line is not among them, for it may be a prompt's."""
        return {
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "end_column": self.end,
            "level": self.level,
            "rule": self.rule,
            "message": self.message,
            "suggestion": self.suggestion,
        }


def diagnostic_from_json(values: Mapping[str, Any]) -> Diagnostic:
    """Read back what `Diagnostic.as_json` returned."""
    fields = dict(values)
    return Diagnostic(end=fields.pop("end_column"), **fields)


def near_miss(word: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed word that `word` was probably meant to be, if one is close enough."""
    by_folded = {candidate.casefold(): candidate for candidate in allowed}
    folded = word.casefold().replace("-", "_")
    if folded in (hits := {key.replace("-", "_"): value for key, value in by_folded.items()}):
        return hits[folded]
    close = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None
