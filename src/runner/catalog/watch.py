"""When files below a folder may have changed: by the system's events, or by the clock."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import watchfiles

_log = logging.getLogger(__name__)

#: Milliseconds: how often the events are asked for, and how long a burst of them may last until
#: it is told all the same. An event is told after one to two steps without another.
_STEP, _DEBOUNCE = 5, 30


class Watch:
    """Tells when something below `folder` may have changed; with `poll` by the clock alone."""

    def __init__(self, folder: Path, *, poll: bool = False) -> None:
        self._folder = folder
        self._poll = poll
        self._woken = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._watched: tuple[int, int] | None = None
        self._trouble = ""

    async def changes(self, patience: Callable[[bool], float]) -> AsyncIterator[None]:
        """Yield after every burst of events, and when nothing has come for `patience` seconds.

        `patience` is asked each time, and told whether there are events at all.
        """
        try:
            while True:
                if await self._begin():
                    self._woken.set()
                with suppress(TimeoutError):
                    async with asyncio.timeout(patience(self._sees)):
                        await self._woken.wait()
                self._woken.clear()
                yield
        finally:
            self._end()

    @property
    def _sees(self) -> bool:
        return self._watching is not None and not self._watching.done()

    async def _begin(self) -> bool:
        """Watch the folder that has this name now; tell whether that began only now."""
        found = None if self._poll else _identity(self._folder)
        if self._sees and found == self._watched:
            return False
        self._end()
        self._watched = found
        if found is None:
            return False
        self._watching = asyncio.create_task(self._watch())
        # Its first step asks the system for events.
        await asyncio.sleep(0)
        return self._sees

    async def _watch(self) -> None:
        try:
            async for _ in watchfiles.awatch(
                self._folder,
                watch_filter=None,
                debounce=_DEBOUNCE,
                step=_STEP,
                rust_timeout=0,
                force_polling=False,
                ignore_permission_denied=True,
            ):
                self._trouble = ""
                self._woken.set()
        except (OSError, RuntimeError, ExceptionGroup) as error:
            # No events are left in the system, a name is not UTF-8, ...: the clock goes on.
            self._tell(str(error))

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            _log.warning("no file events; looking by the clock", extra={"reason": trouble})

    def _end(self) -> None:
        if self._watching:
            self._watching.cancel()
        self._watching = None


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from another one that has its name later."""
    try:
        found = os.stat(folder)  # noqa: PTH116
    except OSError:
        return None
    return found.st_dev, found.st_ino
