"""Records of calls, as a host writes them while it runs."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from runner.catalog.records import Records

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.catalog.records import CallRecord

    from .host import Host


async def record_of(
    host: Host, room: str, when: Callable[[CallRecord], bool], *, within: float = 10.0
) -> CallRecord:
    """Return the record of a room's call as soon as `when` holds for it."""
    records = Records(host.state)
    async with asyncio.timeout(within):
        while True:
            found = [records.read(path) for path in records.paths() if room in path.name]
            if found and when(found[0]):
                return found[0]
            await asyncio.sleep(0.05)


async def ended_record(host: Host, room: str) -> dict[str, Any]:
    """Return the record of a room's call as JSON, when the call is over and it is whole."""
    await host.wait_log("call ended", room=room)
    whole: dict[str, Any] = json.loads(
        (await record_of(host, room, lambda record: bool(record.ended))).to_json()
    )
    return whole
