"""One finding about one place in one file, and their order. Knows no rule."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

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


def near_miss(word: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed word that `word` was probably meant to be, if one is close enough."""
    by_folded = {candidate.casefold(): candidate for candidate in allowed}
    folded = word.casefold().replace("-", "_")
    if folded in (hits := {key.replace("-", "_"): value for key, value in by_folded.items()}):
        return hits[folded]
    close = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None
