"""The hosts that run on one state folder, listed there so that they are found. Knows no LiveKit."""

import fcntl
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from runner.catalog import files
from runner.errors import RunnerError

_FOLDER = "hosts"
_KINDS = {"machine": str, "pid": int, "port": int, "started": str}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A host that runs: its process on `machine`, its status port, since when (ISO 8601, UTC)."""

    machine: str
    pid: int
    port: int
    started: str


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts below one state folder; they may run in several containers that share it.

    A host holds a lock on its file, and the system gives that back when the process ends, however
    it ends. So no file of a killed host passes for a running one, and no process id is trusted.
    """

    state: Path

    @contextmanager
    def listed(self, host: Listing) -> Iterator[None]:
        """List a host while the block runs, and drop those that were killed.

        Raises:
            RunnerError: the state folder cannot be written.
        """
        with files.writing(self.state):
            folder = files.folder(self.state, _FOLDER)
            self._drop_killed()
            path = folder / f"{host.pid}-{secrets.token_hex(4)}.json"
            file = _written(path, host)
        with file:
            try:
                yield
            finally:
                with suppress(OSError):
                    path.unlink()

    def running(self) -> tuple[list[Listing], list[str]]:
        """Return the hosts that run now, in the order in which they were started.

        Those whose file cannot be read are left out; the second value says of each why.

        Raises:
            RunnerError: the list cannot be read.
        """
        found, unread = [], []
        for path in sorted(self._paths()):
            try:
                found += _read(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                unread.append(f"cannot read {path}: {error.strerror}")
            except (ValueError, AttributeError):
                unread.append(f"{path} is of a host of another version of voice-runner")
        return sorted(found, key=lambda host: host.started), unread

    def _paths(self) -> list[Path]:
        try:
            paths = list((self.state / _FOLDER).iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RunnerError(
                f"cannot read the state folder {self.state}: {error.strerror}"
            ) from error
        return [path for path in paths if path.name[0] != "."]

    def _drop_killed(self) -> None:
        for path in self._paths():
            with suppress(OSError), path.open("r+", encoding="utf-8") as file:
                if _locked(file, fcntl.LOCK_EX):
                    path.unlink()


def _written(path: Path, host: Listing) -> IO[str]:
    """Write a file and lock it, and only then give it its name; return it, open."""
    aside = path.with_name(f".{path.name}")
    file = aside.open("x", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(asdict(host)))
        file.flush()
        aside.rename(path)
    except OSError:
        file.close()
        aside.unlink(missing_ok=True)
        raise
    return file


def _locked(file: IO[str], kind: int) -> bool:
    """Lock a file if no running host holds it; tell whether that was so."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(path: Path) -> list[Listing]:
    """Return the host that a file lists; none if it runs no more."""
    with path.open(encoding="utf-8") as file:
        return [] if _locked(file, fcntl.LOCK_SH) else [_listing(json.load(file))]


def _listing(fields: Mapping[str, Any]) -> Listing:
    if {name: type(value) for name, value in fields.items()} != _KINDS:
        raise ValueError("other fields than a listing has")
    return Listing(**fields)
