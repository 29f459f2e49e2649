"""File changes become the catalog that the next call is answered from. Knows no LiveKit.

What serves is always whole: an edit is taken over once its snapshot can be read by every process,
or refused, and then the last good revision of that agent goes on.
"""

import asyncio
import logging
import os
import time
from collections.abc import Mapping, Set
from dataclasses import replace
from pathlib import Path

from runner.catalog import attempt
from runner.catalog.catalog import Catalog
from runner.catalog.lastgood import Held, recalled
from runner.catalog.ledger import Entry, Ledger, LedgerError
from runner.catalog.serving import Reloaded, Serving
from runner.catalog.store import SnapshotError, Store
from runner.catalog.unfinished import Wait, unfinished, waiting, without
from runner.catalog.watch import Watch
from runner.definition.folder import folder_of
from runner.definition.loader import AgentFile, Loaded, load
from runner.definition.spec import AgentSpec
from runner.errors import RunnerError

_log = logging.getLogger(__name__)

#: Seconds until a look without an event: where there are events, some may have been lost; where
#: there are none, this is all there is; a file that is still being written may be done soon.
_SELDOM, _OFTEN, _SOON = 5.0, 1.0, 0.1
#: Files that change while they are loaded are loaded again, for so many seconds.
_SETTLE = 0.2


class Reload:
    """The agents of one path, kept as they are on disk; `serving` is always the latest.

    `loaded` is what `load([path])` has found. `poll` looks by the clock instead of waiting for
    file events.

    Raises:
        RunnerError: the state folder cannot be written.
    """

    def __init__(self, path: Path, store: Store, loaded: Loaded, *, poll: bool = False) -> None:
        self._path = path
        self._folder = path if path.is_dir() else folder_of(path)
        self._store = store
        self._ledger = Ledger(store.state, self._folder)
        self._poll = poll
        self._loaded = loaded
        self._waiting: Wait | None = None
        self._trouble = ""
        self._entries = self._remembered()
        self._held = self._recalled()
        self._held = self._judged(loaded, {})
        if unsaved := attempt.unsaved(self._held):
            raise RunnerError(unsaved)
        self.serving = Serving(catalog=Catalog({}, files=0))
        self.serving = self._now_serving(None, set())
        self._remember()
        attempt.tell_last_good(self.serving)

    @property
    def folder(self) -> Path:
        """The agents folder."""
        return self._folder

    async def run(self) -> None:
        """Take over what changes on disk; return only when cancelled."""
        async for _ in Watch(self._folder, poll=self._poll).changes(self._patience):
            try:
                # Aside, so that job offers are answered meanwhile.
                await asyncio.to_thread(self.look)
            except Exception:  # the reload loop: a defect here must not freeze all agents
                _log.exception("reload failed")

    def look(self) -> None:
        """Take over what has changed on disk since the last look."""
        began = time.monotonic()
        try:
            loaded = self._read()
        except RunnerError as error:
            if not self._waits(str(error)):
                self._cannot(str(error), began)
            return
        old = self._loaded
        if (files := unfinished(old, loaded)) and self._waits(files):
            loaded = without(old, loaded, files)
            if loaded.agents == old.agents:
                return
        else:
            self._waiting = None
        if loaded.agents is not old.agents or loaded.seen != old.seen or self._trouble:
            self._take(loaded, began)
        # What was looked at a second time may be settled now.
        self._loaded = loaded

    def _read(self) -> Loaded:
        """Load, again and again while files change, so that a burst is taken over at once."""
        until = time.monotonic() + _SETTLE
        loaded = self._loaded
        while True:
            before, loaded = loaded, load([self._path], before=loaded)
            if _is_quiet(before, loaded) or time.monotonic() > until:
                return loaded

    def _waits(self, missing: object) -> bool:
        """Tell whether what is missing still has time to come."""
        self._waiting = waiting(self._waiting, missing)
        return not self._waiting.is_over

    def _patience(self, sees: bool) -> float:
        if self._waiting and not self._waiting.is_over:
            return _SOON
        return _SELDOM if sees and not self._trouble else _OFTEN

    def _take(self, loaded: Loaded, began: float) -> None:
        """Put in place what was loaded, as far as it is good and can be stored."""
        held = self._judged(loaded, self._loaded.agents)
        trouble = attempt.unsaved(held)
        if trouble and held == self._held:
            return
        event = attempt.event(self._loaded, loaded, self._held, held, began)
        known = {path for path, one in held.items() if one is self._held.get(path)}
        self._held, self._loaded, self._trouble = held, loaded, trouble
        self.serving = self._now_serving(event, known)
        attempt.tell(self.serving)
        self._remember()

    def _cannot(self, trouble: str, began: float) -> None:
        """Say, once, why nothing can be loaded at all; everything serves on."""
        if trouble == self._trouble:
            return
        self._trouble = trouble
        seconds = time.monotonic() - began
        event = Reloaded(outcome="rejected", seconds=seconds, at=time.time(), trouble=trouble)
        self.serving = replace(self.serving, last=event)
        attempt.tell(self.serving)

    def _judged(self, loaded: Loaded, known: Mapping[str, AgentFile]) -> dict[str, Held]:
        """Return what is held of every agent file by its path, new revisions stored.

        Nothing new is held of those that are `known` as they are.
        """
        now = time.time()
        held = {}
        for path, agent in loaded.agents.items():
            before = self._held.get(path)
            if before and not before.unsaved and agent is known.get(path):
                held[path] = before
            else:
                held[path] = (before or Held()).after(agent, now, self._store.put)
        return held

    def _now_serving(self, event: Reloaded | None, known: Set[str]) -> Serving:
        """Return what serves now; those that are `known` stand as they stood."""
        agents, before = self._loaded.agents, self.serving.agents
        specs = {held.good.spec.id: held.good.spec for held in self._held.values() if held.good}
        catalog = Catalog(dict(sorted(specs.items())), files=len(agents))
        # What others have derived from a catalog lives as long as it.
        same = catalog == self.serving.catalog
        return Serving(
            catalog=self.serving.catalog if same else catalog,
            agents={
                path: before[path] if path in known else held.standing(agents[path])
                for path, held in self._held.items()
            },
            last=event,
        )

    def _remembered(self) -> dict[str, Entry]:
        try:
            return self._ledger.read()
        except LedgerError as error:
            _log.warning("what served before is not known", extra={"reason": str(error)})
            return {}

    def _recalled(self) -> dict[str, Held]:
        """Return what was held when the last host ended."""
        held = {}
        for path, agent in self._loaded.agents.items():
            if entry := self._entries.get(self._below(path)):
                try:
                    held[path] = recalled(agent, entry, self._restored)
                except SnapshotError as error:
                    fields = {"agent": agent.id, "reason": str(error)}
                    _log.warning("the last good revision is lost", extra=fields)
        return held

    def _restored(self, agent: str, digest: str) -> tuple[AgentSpec, str]:
        spec = self._store.get(agent, digest)
        return spec, self._store.put(spec)

    def _remember(self) -> None:
        """Let the state folder know what serves, over a restart and a power cut."""
        agents = self._loaded.agents
        entries = {self._below(path): one.entry(agents[path]) for path, one in self._held.items()}
        new = {(entry.id, entry.digest) for entry in entries.values()}
        new -= {(entry.id, entry.digest) for entry in self._entries.values()}
        try:
            for agent, digest in new:
                if digest:
                    self._store.sync(agent, digest)
            if entries != self._entries:
                self._ledger.write(entries)
        except RunnerError as error:
            _log.warning("what serves is not remembered", extra={"reason": str(error)})
        else:
            self._entries = entries

    def _below(self, path: str) -> str:
        return path.removeprefix(f"{self._folder}{os.sep}")


def _is_quiet(before: Loaded, loaded: Loaded) -> bool:
    """Tell whether at most one file has changed; one more look is too dear for a single save."""
    return sum(seen != before.seen.get(path) for path, seen in loaded.seen.items()) <= 1
