"""What pages are told beside their calls: the agents as they are, and the calls that are on."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from aiohttp import WSCloseCode, web

from runner.catalog.records import Records
from runner.catalog.serving import Serving
from runner.host.studio import shown
from runner.host.studio.wire import ProtocolError, Wire

#: How often is looked, in seconds: an edit is seen when it is saved, a call when it begins.
_LOOK = 0.25
#: For how long a look at the records is good, in seconds: all pages share it.
_FRESH = 1.0


class Feed:
    """The events for every page; `serving` returns what is served now."""

    def __init__(self, serving: Callable[[], Serving], records: Records) -> None:
        self._serving = serving
        self._records = records
        self._began = time.time()
        self._stale = 0.0
        self._looking: asyncio.Future[dict[str, Any]]

    async def follow(self, request: web.Request, stopped: asyncio.Event) -> web.WebSocketResponse:
        """Tell one page of every change, until it goes or the studio has `stopped`."""
        wire = await Wire.open(request)
        telling = asyncio.create_task(self._tell(wire, stopped))
        try:
            async for _ in wire.messages():
                raise ProtocolError("nothing is to be said here")
        except ProtocolError as error:
            await wire.close(WSCloseCode.UNSUPPORTED_DATA, str(error))
        finally:
            telling.cancel()
            await wire.close()
        return wire.response

    async def _tell(self, wire: Wire, stopped: asyncio.Event) -> None:
        serving: Serving | None = None
        calls: dict[str, Any] = {}
        while not stopped.is_set():
            if serving is not (serving := self._serving()):
                wire.send(await asyncio.to_thread(shown.agents, serving))
            if calls != (calls := await self._calls()):
                wire.send(calls)
            await asyncio.sleep(_LOOK)
        await wire.close(WSCloseCode.GOING_AWAY)

    async def _calls(self) -> dict[str, Any]:
        now = time.monotonic()
        if now >= self._stale:
            self._stale = now + _FRESH
            self._looking = asyncio.ensure_future(asyncio.to_thread(self._look))
        # A page that goes must not end the look of the others.
        return await asyncio.shield(self._looking)

    def _look(self) -> dict[str, Any]:
        # A call that was heard of only before this studio began may have died with the one before.
        return shown.calls(self._records.running(since=self._began))
