"""The record that a call on a host leaves behind, as JSON."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from runner.catalog.records import Records

if TYPE_CHECKING:
    from .host import Host


async def ended_record(host: Host, room: str) -> dict[str, Any]:
    """Return the record of a room's call as JSON, when the call is over and it is whole."""
    await host.wait_log("call ended", room=room)
    records = Records(host.state)
    async with asyncio.timeout(10):
        while True:
            found = [json.loads(path.read_text()) for path in records.paths() if room in path.name]
            if found and found[0]["ended"]:
                return found[0]
            await asyncio.sleep(0.05)
