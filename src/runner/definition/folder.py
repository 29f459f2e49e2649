"""An agents folder: which files are agents, and the text files that they may include."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from runner.definition.text import ReadError, TextFile, read_text

DEFAULTS = "_defaults.yaml"

_SUFFIXES = (".yaml", ".yml")


class Folder:
    """One agents folder; text files below it are read once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._texts: dict[str, TextFile | None] = {}

    def agent_files(self) -> Iterator[Path]:
        """Yield every agent file, in order; names that begin with `_` or `.` are passed over."""
        for parent, folders, files in os.walk(self.path):
            folders[:] = sorted(name for name in folders if not name.startswith(("_", ".")))
            yield from (
                Path(parent, name)
                for name in sorted([*files, *folders])
                if name.endswith(_SUFFIXES) and not name.startswith(("_", "."))
            )

    def text_file(self, name: str) -> TextFile | None:
        """Return a text file by its path below the folder; None where there is no such file.

        Raises:
            ReadError: the file is there and cannot be read as text.
        """
        if name not in self._texts:
            self._texts[name] = self._read(name)
        return self._texts[name]

    def text(self, name: str) -> str | None:
        """Return the text of a file below the folder; None where there is none to be read."""
        try:
            file = self.text_file(name)
        except ReadError:
            return None
        return None if file is None else file.text

    def _read(self, name: str) -> TextFile | None:
        path = self.path / PurePosixPath(name)
        if not path.resolve().is_relative_to(self.path.resolve()) or not path.is_file():
            return None
        return read_text(path)


def folder_of(file: Path) -> Path:
    """Return the agents folder that a single file belongs to.

    The nearest folder above it that holds `_defaults.yaml` or is called `agents`, else its own.
    """
    above = file.absolute().parents
    for parent, shown in zip(above, file.parents, strict=False):
        if (parent / DEFAULTS).exists() or parent.name == "agents":
            return shown
    return file.parent
