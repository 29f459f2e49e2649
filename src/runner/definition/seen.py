"""Files as they were when they were read, so that only what has changed is read again."""

import hashlib
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.definition.text import MAX_BYTES

#: Two writes within so many nanoseconds may leave a file with the same times: 2 s is FAT's clock.
_TICK = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A file at one moment: what the system says of it, and a hash of what stood in it.

    `size` in bytes is 0 for a file that is not there. `settled` tells that a later write must show
    in `stat`; before that only the content can tell.
    """

    stat: tuple[int, ...]
    content: bytes
    size: int = 0
    settled: bool = field(default=True, compare=False)


class Look:
    """Files as one load sees them: each is looked at once, and before it is read.

    A file that is written in between is seen as it was before, and so is read again next time.
    """

    def __init__(self, before: Mapping[str, Seen] | None = None) -> None:
        self.seen: dict[str, Seen] = {}
        self._before = before or {}

    def at(self, path: str) -> Seen:
        """Return how the file at `path` is; its content is read only if it may have changed."""
        if path not in self.seen:
            self.seen[path] = _look(path, self._before.get(path))
        return self.seen[path]


def _look(path: str, before: Seen | None) -> Seen:
    try:
        found = os.stat(path)  # noqa: PTH116  a thousand times over, and a Path costs more than that
    except OSError as error:
        return Seen((), str(error.errno).encode())
    told = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if before and before.settled and before.stat == told:
        return before
    settled = found.st_ctime_ns < time.time_ns() - _TICK
    return Seen(told, _content(path, found.st_mode), found.st_size, settled)


def _content(path: str, mode: int) -> bytes:
    if not stat.S_ISREG(mode):
        return str(stat.S_IFMT(mode)).encode()
    try:
        with open(path, "rb") as file:  # noqa: PTH123  see above
            return hashlib.blake2b(file.read(MAX_BYTES + 1), digest_size=16).digest()
    except OSError as error:
        return str(error.errno).encode()
