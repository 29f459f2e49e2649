"""What the host tidies up beside its calls."""

import asyncio
import logging

from runner.catalog.records import Records

_log = logging.getLogger(__name__)

_DAY = 24 * 3600.0


async def keep_records(records: Records, days: float) -> None:
    """Remove records older than `days`, now and once a day; return only when cancelled."""
    while True:
        removed = await asyncio.to_thread(records.remove_older, days * _DAY)
        if removed:
            _log.info("old records removed", extra={"calls": removed})
        await asyncio.sleep(_DAY)
