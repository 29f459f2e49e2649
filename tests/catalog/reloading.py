"""A `Reload` at work on real files, and its events as they come."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from runner.catalog.reload import Reload
from runner.catalog.store import Store
from runner.definition.loader import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from runner.catalog.serving import Reloaded, Standing
    from runner.definition.loader import Loaded

PROMPT = "prompt: {}\n"


class _Looking(Reload):
    """A `Reload` that tells when it has looked for the first time."""

    def __init__(self, folder: Path, store: Store, loaded: Loaded, *, poll: bool) -> None:
        super().__init__(folder, store, loaded, poll=poll)
        self.has_looked = threading.Event()

    def look(self) -> None:
        try:
            super().look()
        finally:
            self.has_looked.set()


class Reloading:
    """The agents of one folder, kept as they are; `events` are the attempts so far."""

    def __init__(self, folder: Path, state: Path, *, poll: bool = False) -> None:
        self.folder = folder
        self.store = Store(state)
        self.reload = _Looking(folder, self.store, load([folder]), poll=poll)
        self.events: list[Reloaded] = []
        self._new: asyncio.Queue[Reloaded] = asyncio.Queue()
        self._lines: asyncio.Queue[logging.LogRecord] = asyncio.Queue()

    async def next(self, within: float = 15.0) -> Reloaded:
        """Wait for the next attempt."""
        return await asyncio.wait_for(self._new.get(), within)

    async def until(self, outcome: str) -> Reloaded:
        """Wait for the next attempt that ends in this way."""
        while (event := await self.next()).outcome != outcome:
            pass
        return event

    async def next_line(self, message: str, within: float = 15.0) -> dict[str, Any]:
        """Wait for a line of the log; return its fields."""
        async with asyncio.timeout(within):
            while (record := await self._lines.get()).getMessage() != message:
                pass
        return record.__dict__

    def prompt(self, agent: str) -> str:
        """Return the prompt that the next call would have."""
        return self.reload.serving.catalog.specs[agent].prompt

    def standing(self, agent: str) -> Standing:
        """Return how the agent of a file stands."""
        return self.reload.serving.agents[str(self.folder / f"{agent}.yaml")]

    def told(self, record: logging.LogRecord) -> None:
        """Take note of what has just been logged, from any thread."""
        self._loop.call_soon_threadsafe(self._lines.put_nowait, record)
        event = self.reload.serving.last
        if record.getMessage() != "reload":
            return
        assert event is not None
        self.events.append(event)
        self._loop.call_soon_threadsafe(self._new.put_nowait, event)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Reloading]:
        """Watch the folder. The look with which that begins is over: it would race with edits."""
        self._loop = asyncio.get_running_loop()
        listener = _Listener(self)
        log = logging.getLogger("runner.catalog")
        log.addHandler(listener)
        log.setLevel(logging.INFO)
        task = asyncio.create_task(self.reload.run())
        try:
            assert await asyncio.to_thread(self.reload.has_looked.wait, 15)
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])
            log.removeHandler(listener)


class _Listener(logging.Handler):
    def __init__(self, reloading: Reloading) -> None:
        super().__init__()
        self._reloading = reloading

    def emit(self, record: logging.LogRecord) -> None:
        self._reloading.told(record)
