"""A file as text: its lines, and findings that point into them. Knows no YAML."""

import bisect
import codecs
import re
from collections.abc import Callable
from pathlib import Path

from runner.definition.diagnostics import START, Diagnostic, Level, Span

MAX_BYTES = 256 * 1024

_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
#: A key that somebody pasted into a file: never repeated in a message.
_SECRET = re.compile(r"\bsk-[A-Za-z0-9_-]{8,}")
#: A character that no text of an agent may have.
FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


class TextFile:
    """A file's text with its line starts; `path` is what findings show."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        breaks = list(_LINE_BREAK.finditer(text))
        self._starts = [0, *(match.end() for match in breaks)]
        self._ends = [*(match.start() for match in breaks), len(text)]

    def start_after(self, offset: int) -> int:
        """Return the offset at which the line after the one at `offset` begins."""
        following = bisect.bisect_right(self._starts, offset)
        return self._starts[following] if following < len(self._starts) else len(self.text)

    def span(self, start: int, end: int) -> Span:
        """Return the place of `text[start:end]`, cut at the end of its first line."""
        row = bisect.bisect_right(self._starts, start) - 1
        end = max(min(end, self._ends[row]), start + 1)
        return Span(row + 1, start - self._starts[row] + 1, end - self._starts[row] + 1)

    def excerpt(self, line: int) -> str:
        """Return one line of the file, without its line break."""
        return self.text[self._starts[line - 1] : self._ends[line - 1]]

    def finding(
        self,
        span: Span,
        rule: str,
        message: str,
        *,
        level: Level = "error",
        suggestion: str | None = None,
    ) -> Diagnostic:
        """Return a diagnostic about this file."""
        return Diagnostic(
            path=self.path,
            line=span.line,
            column=span.column,
            end=span.end,
            rule=rule,
            message=_masked(message),
            level=level,
            suggestion=suggestion,
            excerpt=_masked(self.excerpt(span.line)),
        )


def _masked(text: str) -> str:
    return _SECRET.sub(lambda match: "*" * len(match.group()), text)


class ReadError(Exception):
    """A file could not be read as text: `finding` says why, `file` holds what there is of it."""

    def __init__(self, file: TextFile, finding: Diagnostic) -> None:
        super().__init__(finding.message)
        self.file = file
        self.finding = finding


def read_text(path: Path, read: Callable[[Path], bytes]) -> TextFile:
    """Read a UTF-8 file of at most 256 KiB; a byte order mark is dropped.

    `read` returns the bytes of a file, one more than allowed at most, or raises OSError.

    Raises:
        ReadError: it is missing, no file, not readable, too large or not text.
    """
    nowhere = TextFile(str(path), "")
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            message = "this is neither a file nor a folder but a device, a pipe or a socket"
            raise ReadError(nowhere, nowhere.finding(START, "unreadable", message))
        content = read(path)
    except OSError as error:
        raise ReadError(
            nowhere, nowhere.finding(START, "unreadable", _reason(path, error))
        ) from error
    if len(content) > MAX_BYTES:
        message = f"the file is larger than {MAX_BYTES // 1024} KiB; split it with include"
        raise ReadError(nowhere, nowhere.finding(START, "too-large", message))
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        good = TextFile(str(path), content[: error.start].decode())
        place = good.span(len(good.text), len(good.text) + 1)
        message = f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise ReadError(good, good.finding(place, "encoding", message)) from error
    return _printable(TextFile(str(path), text))


def _printable(file: TextFile) -> TextFile:
    if found := FORBIDDEN.search(file.text):
        place = file.span(found.start(), found.end())
        message = f"the character U+{ord(found.group()):04X} is not allowed in a text file"
        raise ReadError(file, file.finding(place, "encoding", message))
    return file


def _reason(path: Path, error: OSError) -> str:
    match error:
        case IsADirectoryError():
            return "this is a folder; an agent is a file"
        case PermissionError():
            return "the file may not be read; check its permissions"
        case FileNotFoundError() if path.is_symlink():
            return f"the link points to '{path.readlink()}', which does not exist"
        case FileNotFoundError():
            return "the file does not exist"
        case _:
            return f"the file cannot be read: {error.strerror}"
