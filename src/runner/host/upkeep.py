"""What the host tidies up beside its calls."""

import asyncio
import logging

from runner.catalog import ledger
from runner.catalog.breaker import Breakers
from runner.catalog.records import Records
from runner.catalog.reload import Reload
from runner.catalog.remote import LastAnswers
from runner.catalog.store import Store
from runner.errors import RunnerError

_log = logging.getLogger(__name__)

_DAY = 24 * 3600.0
_HOUR = 3600.0
#: For so long, and so many: half a kilobyte each.
_ANSWERS_KEPT, _ANSWERS_AT_MOST = 30 * _DAY, 20_000
#: A folder that nobody serves may be served again, and then one wants the last good revisions.
_FOLDERS_KEPT = 30 * _DAY
#: A snapshot may be needed by a call that was accepted when it was last written, and has not begun.
_KEPT = 2 * _DAY


async def keep_records(records: Records, days: float) -> None:
    """Remove records older than `days`, now and once a day; return only when cancelled."""
    while True:
        removed = await asyncio.to_thread(records.remove_older, days * _DAY)
        if removed:
            _log.info("old records removed", extra={"calls": removed})
        await asyncio.sleep(_DAY)


async def keep_answers(answers: LastAnswers) -> None:
    """Remove answers that no call has fetched again lately, now and once an hour."""
    while True:
        if await asyncio.to_thread(answers.tidy, _ANSWERS_KEPT, _ANSWERS_AT_MOST):
            _log.info("old answers removed")
        await asyncio.sleep(_HOUR)


async def keep_breakers(breakers: Breakers) -> None:
    """Remove what was learnt of backends that nobody uses any more, now and once a day."""
    while True:
        await asyncio.to_thread(breakers.remove_older, _DAY)
        await asyncio.sleep(_DAY)


async def keep_snapshots(agents: Reload, store: Store) -> None:
    """Remove snapshots that nobody needs, now and once a day; return only when cancelled."""
    while True:
        await asyncio.to_thread(sweep, agents, store)
        await asyncio.sleep(_DAY)


def sweep(agents: Reload, store: Store) -> None:
    """Remove the snapshots that no host serves and that no running call has."""
    try:
        # What serves is never old.
        for spec in agents.serving.catalog.specs.values():
            store.put(spec)
        ledger.Ledger(store.state, agents.folder).touch()
        ledger.remove_older(store.state, _FOLDERS_KEPT)
        running = {(call.agent, call.revision) for call in Records(store.state).running()}
        removed = store.sweep(running | set(ledger.revisions(store.state)), _KEPT)
    except RunnerError as error:
        _log.warning("snapshots are not tidied up", extra={"reason": str(error)})
        return
    if removed:
        _log.info("old snapshots removed", extra={"snapshots": removed})
