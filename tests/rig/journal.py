"""What a simulated service was asked, in order, readable while it runs in another thread."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Entry:
    """One event: when (`time.monotonic`), on which connection, and the event itself."""

    time: float
    connection: int
    event: dict[str, Any]

    @property
    def type(self) -> str:
        """The event's `type`."""
        return str(self.event.get("type", ""))


class Journal:
    """A list of entries that a test can wait on."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._changed = threading.Condition()

    def write(self, connection: int, event: dict[str, Any]) -> None:
        """Add an entry, stamped with the time of now."""
        with self._changed:
            self._entries.append(Entry(time.monotonic(), connection, event))
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget everything."""
        with self._changed:
            self._entries.clear()

    def of(self, type_: str) -> list[Entry]:
        """Return the entries of one event type."""
        return [entry for entry in self if entry.type == type_]

    async def wait(
        self,
        type_: str,
        where: Callable[[dict[str, Any]], bool] = lambda _: True,
        *,
        count: int = 1,
        within: float = 10.0,
    ) -> Entry:
        """Return the `count`-th entry of a type for which `where` holds, as soon as it is there."""

        def found() -> Entry | None:
            matches = [entry for entry in self._entries if entry.type == type_]
            matches = [entry for entry in matches if where(entry.event)]
            return matches[count - 1] if len(matches) >= count else None

        def wait() -> Entry | None:
            with self._changed:
                return self._changed.wait_for(found, within)

        entry = await asyncio.to_thread(wait)
        if entry is None:
            seen = [entry.type for entry in self]
            msg = f"no {type_} number {count} within {within} s; seen: {seen}"
            raise AssertionError(msg)
        return entry

    def __iter__(self) -> Iterator[Entry]:
        with self._changed:
            return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Entry:
        return self._entries[index]
