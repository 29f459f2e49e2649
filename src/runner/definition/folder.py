"""An agents folder: which files are agents, and the text files that they may include."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from runner.definition.seen import Look
from runner.definition.text import ReadError, TextFile, read_text
from runner.errors import RunnerError

DEFAULTS = "_defaults.yaml"

_SUFFIXES = (".yaml", ".yml")


class Folder:
    """One agents folder as one load sees it; text files below it are read once."""

    def __init__(self, path: Path, look: Look | None = None) -> None:
        self.path = path
        self.look = look or Look()
        self._texts: dict[str, TextFile | None] = {}
        self._noted: set[str] = set()

    def agent_files(self) -> Iterator[str]:
        """Yield the path of every agent file, in order; `_` and `.` at the beginning hide a name.

        Raises:
            RunnerError: a folder cannot be read.
        """
        for parent, folders, files in os.walk(self.path, onerror=_unreadable):
            folders[:] = sorted(name for name in folders if not name.startswith(("_", ".")))
            # As a Path shows it, without the price of a Path for each file.
            before_name = str(Path(parent, "_"))[:-1]
            yield from (
                before_name + name
                for name in sorted([*files, *folders])
                if name.endswith(_SUFFIXES) and not name.startswith(("_", "."))
            )

    @contextmanager
    def noting(self) -> Iterator[set[str]]:
        """Collect the paths of all text files that are asked for meanwhile, there or not."""
        self._noted = set()
        yield self._noted

    def text_file(self, name: str) -> TextFile | None:
        """Return a text file by its path below the folder; None where there is no such file.

        Raises:
            ReadError: the file is there and cannot be read as text.
        """
        path = self.path / PurePosixPath(name)
        self._noted.add(str(path))
        if name not in self._texts:
            self._texts[name] = self._read(path)
        return self._texts[name]

    def text(self, name: str) -> str | None:
        """Return the text of a file below the folder; None where there is none to be read."""
        try:
            file = self.text_file(name)
        except ReadError:
            return None
        return None if file is None else file.text

    def _read(self, path: Path) -> TextFile | None:
        seen = self.look.at(str(path))
        inside = path.resolve().is_relative_to(self.path.resolve())
        if not inside or not (seen.stat or path.is_file()):
            return None
        return read_text(path, self.look.read)


def _unreadable(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        message = f"the folder {error.filename} cannot be read: {error.strerror}"
        raise RunnerError(f"{message}; check its permissions") from error


def folder_of(file: Path) -> Path:
    """Return the agents folder that a single file belongs to.

    The nearest folder above it that holds `_defaults.yaml` or is called `agents`, else its own.
    """
    above = file.absolute().parents
    for parent, shown in zip(above, file.parents, strict=False):
        if (parent / DEFAULTS).exists() or parent.name == "agents":
            return shown
    return file.parent
