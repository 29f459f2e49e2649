"""One attempt to take over what changed on disk: what came of it, and its line in the log."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence

from runner.catalog.lastgood import Held
from runner.catalog.records import utc
from runner.catalog.serving import Outcome, Rejected, Reloaded, Serving
from runner.definition.loader import Loaded
from runner.definition.rule_ids import SUMMARIES

_log = logging.getLogger(__name__)

#: More ids than this do not go into one line of the log.
_NAMED = 20

#: What is held of each agent file, by its path.
Holding = Mapping[str, Held]


def unsaved(held: Holding) -> str:
    """Return why a good revision could not be stored; empty if all were."""
    return next((one.unsaved for one in held.values() if one.unsaved), "")


def event(old: Loaded, loaded: Loaded, before: Holding, after: Holding, began: float) -> Reloaded:
    """Return what came of an attempt that `began` then, by `time.monotonic()`."""
    changed = [path for path in {**before, **after} if _differs(before.get(path), after.get(path))]
    rejected = [
        path
        for path, held in after.items()
        if held.rejected and loaded.agents[path] is not old.agents.get(path)
    ]
    outcome: Outcome = "rejected" if rejected else "applied" if changed else "unchanged"
    return Reloaded(
        outcome=outcome,
        agents=tuple(
            sorted({(loaded if path in after else old).agents[path].id for path in changed})
        ),
        rejected=tuple(sorted({loaded.agents[path].id for path in rejected})),
        seconds=time.monotonic() - began,
        at=time.time(),
        trouble=unsaved(after),
    )


def _differs(before: Held | None, after: Held | None) -> bool:
    """Tell whether calls find an agent changed, new or gone, or its file is good again."""
    if before is None or after is None:
        return bool((before and before.good) or (after and after.good))
    mended = before.rejected is not None and after.rejected is None
    return mended or before.good != after.good


def tell(serving: Serving) -> None:
    """Log the last attempt: one line, whatever the number of agents."""
    last = serving.last
    if last is None:
        return
    fields: dict[str, object] = {"outcome": last.outcome, "seconds": round(last.seconds, 3)}
    fields |= {
        name: _named(ids)
        for name, ids in (("agents", last.agents), ("rejected", last.rejected))
        if ids
    }
    refused = [one.rejected for one in serving.agents.values() if one.id in last.rejected]
    if reason := last.trouble or _reason(one for one in refused if one):
        fields["reason"] = reason
    level = logging.WARNING if last.outcome == "rejected" else logging.INFO
    _log.log(level, "reload", extra=fields)


def tell_last_good(serving: Serving) -> None:
    """Log every agent that is not served as its file says."""
    for one in serving.agents.values():
        if one.rejected and one.digest:
            fields = {"agent": one.id, "revision": one.digest, "since": utc(one.rejected.since)}
            extra = fields | {"reason": _reason([one.rejected])}
            _log.warning("serving the last good revision", extra=extra)


def _reason(refused: Iterable[Rejected]) -> str:
    """Say where the first error is and what its rule asks for.

    A finding's own message may quote a prompt, so it is for `runner status` and `validate`.
    """
    errors = [f for one in refused for f in one.diagnostics if f.level == "error"]
    if not errors:
        return ""
    first = min(errors)
    more = f"; and {len(errors) - 1} more" if len(errors) > 1 else ""
    place = f"{first.path}:{first.line}:{first.column}"
    return f"{place}: {SUMMARIES[first.rule]} [{first.rule}]{more}"


def _named(ids: Sequence[str]) -> str:
    named = ",".join(ids[:_NAMED])
    return f"{named} and {len(ids) - _NAMED} more" if len(ids) > _NAMED else named
