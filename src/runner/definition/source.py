"""A YAML file as read: plain values by YAML 1.2, each with its place in the text.

Bounded in depth and expansion. Knows nothing of agents.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from runner.definition.diagnostics import START, Diagnostic, Span
from runner.definition.text import TextFile
from runner.definition.yaml_words import explain

MAX_DEPTH = 32
MAX_ALIASES = 100

KeyPath = tuple[str | int, ...]

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})\Z")
_FLOAT = re.compile(
    r"[-+]?((0|[1-9][0-9]{0,17})?\.[0-9]{1,18}([eE][-+]?[0-9]{1,2})?"
    r"|(0|[1-9][0-9]{0,17})[eE][-+]?[0-9]{1,2})\Z"
)
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_CHARACTERS = {
    "'": re.compile("''|.", re.DOTALL),
    '"': re.compile(r"\\(?:x..|u.{4}|U.{8}|.)|.", re.DOTALL),
}
_UNCLOSED = re.compile("end of stream|expected ',' or")
_ANY_CHARACTER = re.compile(".", re.DOTALL)
_BLANK_ESCAPES = tuple("ntvfr _NLP\t\n\r")


@dataclass(frozen=True, slots=True)
class _Scalar:
    start: int
    end: int
    style: str
    value: str


class Document(TextFile):
    """A file as read: `root` is its plain value, None when there is none.

    `findings` says what YAML itself has against the file; where that leaves no value, `root` is
    None.
    """

    def __init__(self, file: TextFile) -> None:
        super().__init__(file.path, file.text)
        self.root: Any = None
        self.findings: list[Diagnostic] = []
        self._values: dict[KeyPath, Span] = {}
        self._keys: dict[KeyPath, Span] = {}
        self._scalars: dict[KeyPath, _Scalar] = {}
        try:
            self.root = _Composer(self).compose_file()
        except _RefusedError as refusal:
            self.findings.append(refusal.finding)

    def has(self, key: KeyPath) -> bool:
        """Tell whether the file itself has a value at `key`."""
        return key in self._values

    def value_span(self, key: KeyPath) -> Span:
        """Return where the value at `key` stands, or the nearest value around it."""
        while key and key not in self._values:
            key = key[:-1]
        return self._values[key] if key else START

    def key_span(self, key: KeyPath) -> Span:
        """Return where the name of the entry at `key` stands."""
        return self._keys.get(key) or self.value_span(key)

    def inner_span(self, key: KeyPath, line: int, column: int, length: int) -> Span:
        """Return the place in the file of a line and column inside the text at `key`.

        YAML folds and indents white space away, but the visible characters of a text stand in the
        file one by one and in the same order: the place is found by counting them.
        """
        scalar = self._scalars.get(key)
        if scalar is None:
            return self.value_span(key)
        lines = scalar.value.split("\n")
        before = "".join([*lines[: line - 1], lines[line - 1][: column - 1]])
        start = self._offset_of(scalar, sum(not character.isspace() for character in before))
        return self.span(start, start + length)

    def _offset_of(self, scalar: _Scalar, visible: int) -> int:
        start = scalar.start
        if scalar.style in ("|", ">"):
            start = self.start_after(start)
        elif scalar.style in _CHARACTERS:
            start += 1
        characters = _CHARACTERS.get(scalar.style, _ANY_CHARACTER)
        for match in characters.finditer(self.text, start, scalar.end):
            if _is_visible(match.group()):
                if visible == 0:
                    return match.start()
                visible -= 1
        return max(scalar.end - 1, 0)


def _is_visible(character: str) -> bool:
    if character.startswith("\\") and len(character) > 1:
        return not character[1:].startswith(_BLANK_ESCAPES)
    return not character.isspace()


class _RefusedError(Exception):
    def __init__(self, finding: Diagnostic) -> None:
        super().__init__(finding.message)
        self.finding = finding


class _Composer:
    """Builds a document's values from YAML events, and notes where each of them stood."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._events = _events(document)
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._aliases = 0

    def compose_file(self) -> Any:
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        root = self._compose(next(self._events), ())
        next(self._events)
        following = next(self._events)
        if not isinstance(following, yaml.StreamEndEvent):
            self._refuse(following, "second-document", "a file holds one document; remove '---'")
        return root

    def _compose(self, event: Any, key: KeyPath) -> Any:
        self._document._values[key] = self._span(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        self._check_node(event, key)
        aliases_before = self._aliases
        value = self._value(event, key)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1 + self._aliases - aliases_before)
        return value

    def _check_node(self, event: Any, key: KeyPath) -> None:
        if event.tag is not None:
            message = f"the tag '{_short(event.tag)}' is not allowed; write plain YAML"
            self._note(event, "tag", message)
        if len(key) > MAX_DEPTH:
            message = f"the file is nested deeper than {MAX_DEPTH} levels"
            self._refuse(event, "too-deep", message)

    def _value(self, event: Any, key: KeyPath) -> Any:
        match event:
            case yaml.ScalarEvent():
                return self._scalar(event, key)
            case yaml.SequenceStartEvent():
                return [
                    self._compose(item, (*key, index))
                    for index, item in enumerate(self._until(yaml.SequenceEndEvent))
                ]
            case _:
                return self._mapping(key)

    def _mapping(self, key: KeyPath) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        for event in self._until(yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                message = "a key must be plain text; text that begins with '{' or '[' needs quotes"
                self._refuse(event, "syntax", message)
            name = event.value
            if name in entries:
                first = self._document._keys[*key, name].line
                message = f"the key '{_short(name)}' is already in line {first}; keep one of them"
                self._note(event, "duplicate-key", message)
            self._document._keys[*key, name] = self._span(event)
            entries[name] = self._compose(next(self._events), (*key, name))
        return entries

    def _scalar(self, event: Any, key: KeyPath) -> Any:
        style = event.style or ""
        self._document._scalars[key] = _Scalar(
            event.start_mark.index, event.end_mark.index, style, event.value
        )
        if style or not event.implicit[0]:
            return event.value
        return plain_value(event.value)

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            message = f"'*{event.anchor}' names an anchor that is not complete before this place"
            self._refuse(event, "anchors", message)
        value, weight = self._anchors[event.anchor]
        self._aliases += weight
        if self._aliases > MAX_ALIASES:
            message = f"the anchors of this file expand to more than {MAX_ALIASES} copies"
            self._refuse(event, "anchors", message)
        return value

    def _until(self, end: type) -> Iterator[Any]:
        while not isinstance(event := next(self._events), end):
            yield event

    def _span(self, event: Any) -> Span:
        return self._document.span(event.start_mark.index, event.end_mark.index)

    def _note(self, event: Any, rule: str, message: str) -> None:
        self._document.findings.append(self._document.finding(self._span(event), rule, message))

    def _refuse(self, event: Any, rule: str, message: str) -> None:
        raise _RefusedError(self._document.finding(self._span(event), rule, message))


def _events(document: Document) -> Iterator[Any]:
    parser = _PARSER(document.text)
    try:
        while parser.check_event():
            yield parser.get_event()
    except yaml.MarkedYAMLError as error:
        opened = _UNCLOSED.search(error.problem or "")
        mark = (opened and error.context_mark) or error.problem_mark or error.context_mark
        at = mark.index if mark else 0
        message = explain(error.problem or str(error), document.text[at:])
        raise _RefusedError(
            document.finding(document.span(at, at + 1), "syntax", message)
        ) from error
    finally:
        parser.dispose()


def plain_value(text: str) -> Any:
    """Resolve an unquoted scalar: null, true and false, decimal numbers; all else is text.

    The core schema of YAML 1.2 without what would surprise here: `no`, `0123`, `12:30`, `.inf`
    and dates are text.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
