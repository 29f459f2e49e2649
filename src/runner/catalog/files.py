"""Files of the state folder, which many processes share: always whole, for their owner alone."""

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from runner.errors import RunnerError

#: Names the state folder, for the host and for the job processes that it starts.
STATE_VARIABLE = "RUNNER_STATE_DIR"


def folder(state: Path, name: str) -> Path:
    """Make one folder of the state folder if it is not there; return it.

    Raises:
        OSError: it cannot be made.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = state / name
    made.mkdir(mode=0o700, exist_ok=True)
    return made


@contextmanager
def locked(made: Path) -> Iterator[None]:
    """Keep other processes from the files of one folder, for as long as a change takes.

    Raises:
        OSError: it cannot be locked.
    """
    descriptor = os.open(made, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove_older(paths: Iterable[Path], seconds: float) -> list[Path]:
    """Remove the files that were last written so long ago; return those that were removed."""
    latest = time.time() - seconds
    removed = []
    for path in paths:
        with suppress(OSError):
            if path.stat().st_mtime < latest:
                path.unlink()
                removed.append(path)
    return removed


def replace(path: Path, content: str | bytes, *, durable: bool = False) -> None:
    """Write `content` aside and rename it to `path`: a killed process leaves the old or the new.

    A text is written as UTF-8. `durable` waits for the disk, for what must outlive a power cut, the
    new name as well; it may take a tenth of a second.

    Raises:
        OSError: it cannot be written.
    """
    written = content.encode() if isinstance(content, str) else content
    with NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as aside:
        try:
            aside.write(written)
            aside.flush()
            if durable:
                os.fsync(aside.fileno())
            Path(aside.name).replace(path)
            if durable:
                sync(path.parent)
        except OSError:
            with suppress(OSError):
                Path(aside.name).unlink()
            raise


def sync(path: Path) -> None:
    """Wait until the disk has a file, or the names of the files in a folder.

    Raises:
        OSError: the disk does not take it.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writing(state: Path) -> Iterator[None]:
    """Turn what the system has against writing into a sentence that says what to do.

    Raises:
        RunnerError: the state folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise RunnerError(
            f"cannot write the state folder {state}: {error.strerror};"
            f" name another with --state or {STATE_VARIABLE}"
        ) from error
