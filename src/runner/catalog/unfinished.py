"""Edits that are still being made: which files to wait for, how long, and what goes on without."""

import time
from collections.abc import Set
from dataclasses import dataclass

from runner.definition.loader import Loaded, keeping

#: A file that is gone, empty or still being written has so many seconds until that counts.
_GRACE = 1.0
#: While more such files come and go this may last so many seconds.
_GRACE_IN_ALL = 10.0


@dataclass(frozen=True, slots=True)
class Wait:
    """What is waited for; since when anything is, and since when just this is."""

    missing: object
    began: float
    since: float

    @property
    def is_over(self) -> bool:
        """Tell whether what is missing has had its time."""
        now = time.monotonic()
        return now - self.since >= _GRACE or now - self.began >= _GRACE_IN_ALL


def waiting(before: Wait | None, missing: object) -> Wait:
    """Return how long `missing` is waited for; more, if it is not what was missing `before`."""
    now = time.monotonic()
    if before is None:
        return Wait(missing, now, now)
    return before if before.missing == missing else Wait(missing, before.began, now)


def unfinished(old: Loaded, loaded: Loaded) -> Set[str]:
    """Return the files that somebody may be about to write: gone, empty or open for writing."""
    new = loaded.agents.keys() - old.agents.keys()
    renamed = {loaded.seen[path].content for path in new}
    gone = {
        path
        for path in old.agents.keys() - loaded.agents.keys()
        if old.seen[path].content not in renamed
    }
    return gone | {path for path in loaded.seen if _is_begun(path, old, loaded)}


def _is_begun(path: str, old: Loaded, loaded: Loaded) -> bool:
    before, seen = old.seen.get(path), loaded.seen[path]
    if before and before.content == seen.content:
        return False
    was_filled = before.size > 0 if before else path in loaded.agents
    return seen.written or (was_filled and not seen.size)


def without(old: Loaded, loaded: Loaded, files: Set[str]) -> Loaded:
    """Return `loaded` with all that rests on `files` as it was in `old`.

    So is what can only be taken over together with that: a claim, say, that goes from one file to
    another.
    """
    while True:
        kept = keeping(old, loaded, files)
        clashing = {
            path
            for path, agent in kept.agents.items()
            if path in loaded.agents and agent.clashes and not loaded.agents[path].clashes
        }
        if clashing <= files:
            return kept
        files = files | clashing
