"""What the host tidies up beside its calls."""

import asyncio
import logging

from runner.catalog.breaker import Breakers
from runner.catalog.records import Records
from runner.catalog.remote import LastAnswers

_log = logging.getLogger(__name__)

_DAY = 24 * 3600.0
_ANSWERS_KEPT = 30 * _DAY


async def keep_records(records: Records, days: float) -> None:
    """Remove records older than `days`, now and once a day; return only when cancelled."""
    while True:
        removed = await asyncio.to_thread(records.remove_older, days * _DAY)
        if removed:
            _log.info("old records removed", extra={"calls": removed})
        await asyncio.sleep(_DAY)


async def keep_answers(answers: LastAnswers) -> None:
    """Remove answers that no call has fetched again lately, now and once a day."""
    while True:
        if await asyncio.to_thread(answers.remove_older, _ANSWERS_KEPT):
            _log.info("old answers removed")
        await asyncio.sleep(_DAY)


async def keep_breakers(breakers: Breakers) -> None:
    """Remove what was learnt of backends that nobody uses any more, now and once a day."""
    while True:
        await asyncio.to_thread(breakers.remove_older, _DAY)
        await asyncio.sleep(_DAY)
