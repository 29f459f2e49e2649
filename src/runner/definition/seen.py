"""Files as they were when they were read, so that only what has changed is read again."""

import errno
import hashlib
import os
import signal
import stat
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from runner.definition.text import MAX_BYTES

if sys.platform == "linux":
    import fcntl

#: Two writes within so many nanoseconds may leave a file with the same times: 2 s is FAT's clock.
_TICK = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A file at one moment: what the system says of it, and a hash of what stood in it.

    `size` is how many bytes were read. Of a file that cannot be read `stat` is empty, `size` is 0
    and `content` is the reason.
    `settled` tells that a later write must show in `stat`; before that only the content can tell.
    `written` tells that a process had it open for writing, where the system says so.
    """

    stat: tuple[int, ...]
    content: bytes
    size: int = 0
    settled: bool = field(default=True, compare=False)
    written: bool = field(default=False, compare=False)


class Look:
    """Files as one load sees them: the content that is `seen` is the one that was read."""

    def __init__(self, before: Mapping[str, Seen] | None = None) -> None:
        self.seen: dict[str, Seen] = {}
        self._before = before or {}

    def at(self, path: str) -> Seen:
        """Return how a file is; its content is read only if it may have changed since `before`."""
        if path not in self.seen:
            self.seen[path] = _look(path, self._before.get(path))
        return self.seen[path]

    def read(self, path: Path) -> bytes:
        """Return a file's content, cut off behind the largest that is allowed.

        Raises:
            OSError: it cannot be read.
        """
        name = str(path)
        try:
            with path.open("rb") as file:
                self.seen[name], content = _read(file)
        except OSError as error:
            self.seen[name] = _unreadable(error.errno)
            raise
        return content


def _look(path: str, before: Seen | None) -> Seen:
    try:
        found = os.stat(path)  # noqa: PTH116  a thousand times over, and a Path costs more than that
        if before and before.settled and before.stat == _told(found):
            return before
        if not stat.S_ISREG(found.st_mode):
            # Never opened: a pipe would wait for its writer.
            return _unreadable(errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.ENOTSUP)
        with open(path, "rb") as file:  # noqa: PTH123  as above
            return _read(file)[0]
    except OSError as error:
        return _unreadable(error.errno)


def _read(file: IO[bytes]) -> tuple[Seen, bytes]:
    """Return how a file is, and its content; nobody can begin to write it meanwhile."""
    written = _is_written(file)
    found = os.fstat(file.fileno())
    content = file.read(MAX_BYTES + 1)
    # What was written after `found` was asked for shows in the next answer.
    settled = found.st_ctime_ns < time.time_ns() - _TICK
    digest = hashlib.blake2b(content, digest_size=16).digest()
    return Seen(_told(found), digest, len(content), settled, written), content


def _is_written(file: IO[bytes]) -> bool:
    """Tell whether any process has a file open for writing; where nobody knows, none has.

    Linux gives no read lease on such a file. Until ours is closed the lease lets writers wait.
    """
    if sys.platform != "linux":
        return False
    try:
        # Somebody who waits is told of by a signal; the usual one would end this process.
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        # Others: a file of another owner, a file system or a kernel without leases.
        return error.errno == errno.EAGAIN
    return False


def _told(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _unreadable(reason: int | None) -> Seen:
    return Seen((), str(reason).encode())
