"""What calls learn of backends and share: which of them to pass over for now. Knows no LiveKit."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path

from runner.catalog import files
from runner.catalog.backends import identity, parts
from runner.definition.spec import Backend

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, QUOTA = "unauthorized", "forbidden", "not_found", "quota"
#: What will not pass by itself: the backend is passed over until a probe has succeeded.
LASTING = frozenset({UNAUTHORIZED, FORBIDDEN, NOT_FOUND, QUOTA})
#: What a server says to one agent's request, such as an unknown voice: others may do without it.
REFUSED = "refused"

#: So many failures in a row, within so many seconds, open a breaker.
_IN_A_ROW, _WITHIN = 3, 60.0
#: Seconds until the first probe; they double with each that fails, up to the longest.
_FIRST, _LONGEST = 5.0, 300.0
#: Seconds after which calls try a backend again that nobody has probed in time.
_GRACE = 10.0
#: A probe takes less; if its host has ended meanwhile, another one probes after so many seconds.
_PROBE = 20.0
#: What was learnt so many seconds ago counts no more.
_FORGET = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A backend that calls pass over: why, since when, until when; times as of `time.time()`.

    `until` is None when only a probe, or a call, that succeeds can end it.
    """

    reason: str
    since: float
    until: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All that is known of one backend. No news is good news: the empty history is closed.

    `failures` are the times of the last ones in a row, `openings` counts how often it was opened
    or stayed open since a call has succeeded, `probe_at` says when the next probe is due.
    """

    changed: float = 0.0
    failures: tuple[float, ...] = ()
    openings: int = 0
    open: Open | None = None
    probe_at: float = 0.0

    def opened(self, now: float) -> Open | None:
        """Return how it is open; a time that is far off is a clock that was set."""
        if self.open is None or self.open.until is None:
            return self.open
        return self.open if now < self.open.until <= now + _LONGEST + _GRACE else None

    def due(self, now: float) -> bool:
        """Tell whether it is open, and to be probed."""
        return self.opened(now) is not None and not now < self.probe_at <= now + _LONGEST

    def after_failure(self, reason: str, now: float) -> "History":
        """Return what is known after a call has failed."""
        if reason == REFUSED:
            return self
        if self.opened(now):
            # Many calls find out at once: that is one failure, not many.
            return self._open(reason, now, self.openings) if self._got_worse(reason) else self
        known = self if abs(now - self.changed) < _FORGET else History()
        recent = tuple(at for at in known.failures if abs(now - at) < _WITHIN)
        known = replace(known, changed=now, failures=(*recent, now))
        # One that is just back has one chance.
        enough = 1 if known.openings else _IN_A_ROW
        if reason in LASTING or len(known.failures) >= enough:
            return known._open(reason, now, known.openings + 1)
        return known

    def after_probe(self, reason: str | None, now: float) -> "History":
        """Return what is known after a probe failed for a `reason`, or, with None, succeeded.

        Only a call that succeeds resets the back-off: a probe sees less than a call does.
        """
        if reason in (None, REFUSED):
            return replace(self, changed=now, failures=(), open=None)
        return self._open(reason or "", now, self.openings + 1)

    def _got_worse(self, reason: str) -> bool:
        return self.open is not None and self.open.until is not None and reason in LASTING

    def _open(self, reason: str, now: float, openings: int) -> "History":
        before = self.opened(now)
        wait = min(_FIRST * 2.0 ** min(openings - 1, 16), _LONGEST)
        lasting = reason in LASTING or (before is not None and before.until is None)
        opened = Open(
            reason=reason,
            since=before.since if before else now,
            until=None if lasting else now + wait + _GRACE,
        )
        return History(changed=now, openings=openings, open=opened, probe_at=now + wait)


@dataclass(frozen=True, slots=True)
class Breakers:
    """The histories below one state folder, by `identity`; shared by all processes.

    A folder that cannot be read or written means that nothing is known, and costs no call.
    """

    state: Path
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def order(self, backends: Sequence[Backend], now: float | None = None) -> list[Backend]:
        """Return the backends as a call should try them: those that are closed first.

        The open ones follow, so that a call has as many chances as its list; an announcement ends
        a call, so it keeps its place and nothing passes it.
        """
        ordered: list[Backend] = []
        for _, between in groupby(backends, key=lambda backend: bool(parts(backend))):
            ordered += sorted(between, key=lambda backend: bool(self.opened(backend, now)))
        return ordered

    def opened(self, backend: Backend, now: float | None = None) -> Open | None:
        """Return how the breaker of `backend` is open; None if it is closed."""
        return self._read(backend).opened(_time(now))

    def claim(self, backend: Backend, now: float | None = None) -> bool:
        """Tell whether the caller is to probe `backend`; then it is not due to any other host.

        Two probes that fail at once would count twice, and keep it open for longer.
        """
        history, now = self._read(backend), _time(now)
        if not history.due(now):
            return False
        self._write(backend, replace(history, probe_at=now + _PROBE))
        return True

    def failed(self, backend: Backend, reason: str, now: float | None = None) -> Open | None:
        """Note that a call has left `backend`; return how it is open, if it is now and was not."""
        now = _time(now)
        before, after = self._change(backend, lambda known: known.after_failure(reason, now))
        return None if before.opened(now) else after.opened(now)

    def succeeded(self, backend: Backend) -> None:
        """Note that `backend` has answered a call: whatever was known counts no more."""
        if self._path(backend).exists():
            self._change(backend, lambda _: History())

    def probed(self, backend: Backend, reason: str | None, now: float | None = None) -> None:
        """Note that a probe of `backend` failed for a `reason`, or, with None, succeeded."""
        self._change(backend, lambda known: known.after_probe(reason, _time(now)))

    def remove_older(self, seconds: float) -> None:
        """Remove what was last learnt so long ago: of keys and addresses that nobody uses now.

        An open backend is written anew with every probe.
        """
        files.remove_older((self.state / "backends").glob("*"), seconds)

    def _path(self, backend: Backend) -> Path:
        return self.state / "backends" / f"{identity(backend, self.environment)}.json"

    def _read(self, backend: Backend) -> History:
        with suppress(OSError, ValueError, TypeError, KeyError):
            fields = json.loads(self._path(backend).read_text(encoding="utf-8"))
            opened = fields["open"] and Open(**fields["open"])
            return History(**fields | {"failures": tuple(fields["failures"]), "open": opened})
        return History()

    def _change(
        self, backend: Backend, change: Callable[[History], History]
    ) -> tuple[History, History]:
        """Change what is known of `backend`; return what it was and what it is."""
        if parts(backend):
            with suppress(OSError), files.locked(files.folder(self.state, "backends")):
                before = self._read(backend)
                after = change(before)
                self._write(backend, after)
                return before, after
        before = self._read(backend)
        return before, change(before)

    def _write(self, backend: Backend, history: History) -> None:
        if history == History():
            self._path(backend).unlink(missing_ok=True)
        else:
            files.replace(self._path(backend), json.dumps(asdict(history)))


def _time(now: float | None) -> float:
    return time.time() if now is None else now
