"""What is wrong with a template as its author wrote it: syntax, names, includes, a first render.

Knows lines and columns inside a template, not the file around it.
"""

import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateSyntaxError, UndefinedError

from runner.definition.diagnostics import near_miss
from runner.definition.sandbox import Facts, Sandbox, Use

#: The names a template may use, each with the attributes it has; None where any may follow.
Known = Mapping[str, frozenset[str] | None]

_TAGS = ("if", "elif", "else", "endif", "for", "endfor", "set", "include", "macro", "raw")
_GLOBALS = frozenset({"range", "dict", "namespace"})
_UNKNOWN_WORD = re.compile(r"(?:unknown tag|No (filter|test) named) '(\w+)'")


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding inside a template: line and column from 1, the length of what is wrong.

    `template` is the included file that it stands in, None for the text that was checked.
    """

    template: str | None
    line: int
    column: int
    length: int
    rule: str
    message: str
    suggestion: str | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    """One template's text, by lines; `parents` are the files that include it."""

    text: str
    template: str | None = None
    parents: tuple[str, ...] = ()

    def problem(
        self, line: int, word: str, rule: str, message: str, suggestion: str | None = None
    ) -> Problem:
        """Return a problem at `word` in a line, or at the line's first tag if it is not there."""
        lines = self.text.split("\n")
        line = min(max(line, 1), len(lines))
        start = _start_of(word, lines[line - 1])
        length = len(word)
        if start is None:
            tag = re.search(r"\{[{%#].*", lines[line - 1]) or re.search(r"\S.*", lines[line - 1])
            start, length = (tag.start(), len(tag.group().rstrip())) if tag else (0, 1)
        return Problem(self.template, line, start + 1, length, rule, message, suggestion)


def _start_of(word: str, text: str) -> int | None:
    """Find `word` in a line where it stands inside a tag."""
    for match in re.finditer(rf"(?<![\w.]){re.escape(word)}(?!\w)", text) if word else ():
        opened = max(text.rfind("{{", 0, match.start()), text.rfind("{%", 0, match.start()))
        closed = max(text.rfind("}}", 0, match.start()), text.rfind("%}", 0, match.start()))
        if opened > closed or opened == closed == -1:
            return match.start()
    return None


class TemplateCheck:
    """Checks templates of one agents folder; `read` returns an included file's text, or None."""

    def __init__(self, read: Callable[[str], str | None]) -> None:
        self._read = read
        self._sandbox = Sandbox(read)

    def problems(
        self, text: str, known: Known, names: Mapping[str, Any], included: dict[str, str]
    ) -> Iterator[Problem]:
        """Yield what is wrong with one template and with the files that it includes.

        `known` are the names it may use; `names` their defaults, for one render. The text of every
        file that it reaches is added to `included`.
        """
        if "{" not in text:
            return
        found = list(self._written(_Source(text), known, included, set()))
        yield from found or self._rendered(_Source(text), names, included)

    def _written(
        self, source: _Source, known: Known, included: dict[str, str], seen: set[str]
    ) -> Iterator[Problem]:
        try:
            facts = self._sandbox.facts(source.text)
        except TemplateSyntaxError as error:
            yield self._syntax_problem(source, error)
            return
        except (RecursionError, SyntaxError, MemoryError):
            yield source.problem(1, "", "template-syntax", "the template is nested too deeply")
            return
        except ValueError:
            yield source.problem(1, "", "template-syntax", "a number in the template is too long")
            return
        yield from _unknown_names(source, facts, known)
        yield from _unknown_attributes(source, facts, known)
        for use in facts.includes:
            yield from self._include(source, use, known, included, seen)

    def _include(
        self, source: _Source, use: Use, known: Known, included: dict[str, str], seen: set[str]
    ) -> Iterator[Problem]:
        name = use.name
        if not name:
            message = "an include names its file in quotes"
            yield source.problem(use.line, "include", "template-include", message)
        elif name in source.parents:
            circle = " -> ".join([*source.parents[source.parents.index(name) :], name])
            message = f"these files include each other: {circle}"
            yield source.problem(use.line, name, "template-include", message)
        elif (text := self._read(name)) is None:
            message = f"there is no text file '{name}' below the agents folder"
            yield source.problem(use.line, name, "template-include", message)
        elif name not in seen:
            seen.add(name)
            included[name] = text
            inner = _Source(text, name, (*source.parents, name))
            yield from self._written(inner, known, included, seen)

    def _syntax_problem(self, source: _Source, error: TemplateSyntaxError) -> Problem:
        message = (error.message or "it is not complete").rstrip(".")
        if found := _UNKNOWN_WORD.search(message):
            kind, word = found.groups()
            words = {"filter": self._sandbox.filters, "test": self._sandbox.tests}
            suggestion = near_miss(word, words.get(kind, _TAGS))
            message = f"templates have no {kind or 'tag'} '{word}'"
            return source.problem(error.lineno, word, "template-syntax", message, suggestion)
        message = f"the template cannot be read: {message}"
        return source.problem(error.lineno, "", "template-syntax", message)

    def _rendered(
        self, source: _Source, names: Mapping[str, Any], included: Mapping[str, str]
    ) -> Iterator[Problem]:
        try:
            self._sandbox.render(source.text, names)
        except RecursionError:
            message = "this template calls itself without end"
            yield source.problem(1, "", "template-render", message)
        except Exception as error:  # filters and methods raise whatever they like
            message = f"with the defaults this cannot be rendered: {error}"
            if isinstance(error, UndefinedError):
                message += "; a value that may be missing needs | default('...')"
            failed, line = _failed_at(source, error, included)
            yield failed.problem(line, "", "template-render", message)


def _failed_at(
    source: _Source, error: Exception, included: Mapping[str, str]
) -> tuple[_Source, int]:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        line = frame.lineno or 1
        if frame.filename == "<template>":
            return source, line
        if frame.filename in included:
            return _Source(included[frame.filename], frame.filename), line
    return source, 1


def _unknown_names(source: _Source, facts: Facts, known: Known) -> Iterator[Problem]:
    for use in facts.names:
        if use.name not in known and use.name not in _GLOBALS:
            message = f"'{use.name}' is neither one of the variables nor a built-in name"
            close = near_miss(use.name, known)
            yield source.problem(use.line, use.name, "template-name", message, close)


def _unknown_attributes(source: _Source, facts: Facts, known: Known) -> Iterator[Problem]:
    for use in facts.attributes:
        allowed = known.get(use.owner)
        if allowed is None or use.name in allowed:
            continue
        has = f"it has {', '.join(sorted(allowed))}" if allowed else "it has nothing"
        message = f"'{use.owner}' has no '{use.name}'; {has}"
        word = f"{use.owner}.{use.name}"
        close = near_miss(use.name, allowed)
        yield source.problem(use.line, word, "template-name", message, close)
