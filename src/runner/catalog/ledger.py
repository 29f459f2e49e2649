"""What the state folder remembers of one agents folder: each file's last good revision."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from runner.catalog import files
from runner.errors import RunnerError

_FOLDER = "folders"
_VERSION = 1


class LedgerError(RunnerError):
    """A ledger is there and cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is remembered of one agent file; times as of `time.time()`.

    `digest` names the revision that serves `since` then, `rejected` says since when the file itself
    does not; each is None where there is none.
    """

    id: str
    digest: str | None = None
    since: float | None = None
    rejected: float | None = None


_FIELDS = tuple(one.name for one in fields(Entry))


@dataclass(frozen=True, slots=True)
class Ledger:
    """The entries of the agents folder `folder` below one state folder.

    Hosts that serve the same folder share them, and write the same.
    """

    state: Path
    folder: Path

    def read(self) -> dict[str, Entry]:
        """Return what is remembered, by the path of the agent's file below the folder.

        Raises:
            LedgerError: it is damaged, or of another version.
        """
        return _read(self._path)[1] if self._path.exists() else {}

    def write(self, entries: Mapping[str, Entry]) -> None:
        """Remember these entries and no others, over a power cut too.

        Raises:
            RunnerError: the state folder cannot be written.
        """
        content = {
            "version": _VERSION,
            "folder": self._name,
            # Not asdict, which takes 50 ms for a thousand.
            "agents": {
                path: {name: getattr(entry, name) for name in _FIELDS}
                for path, entry in entries.items()
            },
        }
        with files.writing(self.state):
            files.folder(self.state, _FOLDER)
            files.replace(self._path, json.dumps(content), durable=True)

    def touch(self) -> None:
        """Say that the folder is still served.

        Raises:
            RunnerError: the state folder cannot be written.
        """
        with files.writing(self.state), suppress(FileNotFoundError):
            os.utime(self._path)

    @property
    def _name(self) -> str:
        # Not resolved: deployments move a link to another folder.
        return os.path.abspath(self.folder)  # noqa: PTH100  Path.absolute keeps '..'

    @property
    def _path(self) -> Path:
        name = hashlib.sha256(os.fsencode(self._name)).hexdigest()[:12]
        return self.state / _FOLDER / f"{name}.json"


def revisions(state: Path) -> Iterator[tuple[str, str]]:
    """Yield the id and the digest of every revision that any ledger of a state folder names.

    Raises:
        LedgerError: one of them cannot be read.
    """
    for path in (state / _FOLDER).glob("*.json"):
        for entry in _read(path)[1].values():
            if entry.digest:
                yield entry.id, entry.digest


def remembered(state: Path) -> tuple[dict[str, dict[str, Entry]], list[str]]:
    """Return the entries of every agents folder that a state folder knows, by its path.

    What cannot be read is left out; the second value says of each why.
    """
    found, unread = {}, []
    for path in sorted((state / _FOLDER).glob("*.json")):
        try:
            folder, entries = _read(path)
        except LedgerError as error:
            unread.append(str(error))
        else:
            found[folder] = entries
    return found, unread


def remove_older(state: Path, seconds: float) -> None:
    """Forget the folders that no host has served for so long."""
    files.remove_older((state / _FOLDER).glob("*"), seconds)


def _read(path: Path) -> tuple[str, dict[str, Entry]]:
    """Return the folder that a ledger is of, and its entries."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != _VERSION:
            raise LedgerError(f"{path} was written by another version of voice-runner")
        entries = {name: Entry(**entry) for name, entry in content["agents"].items()}
        return content["folder"], entries
    except OSError as error:
        raise LedgerError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LedgerError(f"{path} is damaged; remove it") from error
