"""One page's WebSocket: what is sent to it waits in a bounded queue, what it sends is checked."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

#: The longest message that a page may send, in bytes: 0.6 s of sound, or a text of any script.
_LONGEST = 32 * 1024
#: What may wait for a page: sound is held back at the first, at the second the page is given up.
_FULL, _TOO_MUCH = 512 * 1024, 2 * 1024 * 1024
#: Seconds for a message to leave, between two pings, and for the last words of a call to leave.
_STALLED, _PING, _LAST = 10.0, 15.0, 1.0

#: Why a call is over, where the studio itself is.
STOPPED = "the studio was stopped"

Message = bytes | dict[str, Any]


class ProtocolError(Exception):
    """The page has sent what no page of ours sends; the sentence says what."""


class Wire:
    """The messages to and from one page, as long as it is there."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self._request = request
        self._socket = socket
        self._waiting: deque[str | bytes] = deque()
        self._size = 0
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._ending = False
        self._closing: asyncio.Task[None] | None = None
        self._sending = asyncio.create_task(self._send())

    @classmethod
    async def open(cls, request: web.Request) -> Self:
        """Accept the WebSocket that `request` asks for."""
        socket = web.WebSocketResponse(
            max_msg_size=_LONGEST, heartbeat=_PING, compress=False, timeout=_LAST
        )
        await socket.prepare(request)
        return cls(request, socket)

    @property
    def response(self) -> web.WebSocketResponse:
        """What the server's handler returns in the end."""
        return self._socket

    def tell(self, kind: str, /, **fields: Any) -> None:
        """Send one event of this kind."""
        self.send({"type": kind, **fields})

    def send(self, event: Mapping[str, Any]) -> None:
        """Send one event; a page that lets too many of them wait is given up."""
        self._put(json.dumps(event))

    async def room(self) -> None:
        """Wait until there is room for sound."""
        await self._room.wait()

    def play(self, pcm: bytes) -> None:
        """Send sound."""
        self._put(pcm)

    def drop_sound(self) -> None:
        """Forget the sound that has not left yet."""
        self._waiting = deque(one for one in self._waiting if isinstance(one, str))
        self._measured(sum(map(len, self._waiting)))

    async def messages(self) -> AsyncIterator[Message]:
        """Yield what the page sends, until it is gone.

        Raises:
            ProtocolError: it has sent something else than sound or an event.
        """
        async for message in self._socket:
            # aiohttp itself closes a WebSocket on what is too long, or no WebSocket at all.
            if message.type is not WSMsgType.ERROR:
                yield _read(message)

    async def end(self, why: str) -> None:
        """Tell the page why its call is over, and close."""
        self.tell("ended", reason=why)
        await self.close(WSCloseCode.GOING_AWAY if why == STOPPED else WSCloseCode.OK)

    async def close(self, code: int = WSCloseCode.OK, why: str = "") -> None:
        """Send what waits, for a moment, and close; `why` is for the page."""
        self._ending = True
        self._measured(self._size)
        await asyncio.wait({self._sending}, timeout=_LAST)
        self._close_soon(code, why)
        if self._closing is not None:
            await asyncio.wait({self._closing})

    def _put(self, message: str | bytes) -> None:
        if self._ending or self._closing is not None or self._sending.done():
            return
        # One message may be as long as a thousand agents are; what has not left before it may not.
        if self._size > _TOO_MUCH:
            self._close_soon(WSCloseCode.TRY_AGAIN_LATER, "too slow")
            return
        self._waiting.append(message)
        self._measured(self._size + len(message))

    def _measured(self, size: int) -> None:
        self._size = size
        (self._room.set if size < _FULL else self._room.clear)()
        (self._filled.set if self._waiting or self._ending else self._filled.clear)()

    async def _send(self) -> None:
        try:
            while await self._filled.wait() and self._waiting:
                message = self._waiting.popleft()
                self._measured(self._size - len(message))
                async with asyncio.timeout(_STALLED):
                    if isinstance(message, str):
                        await self._socket.send_str(message)
                    else:
                        await self._socket.send_bytes(message)
        except TimeoutError:
            self._close_soon(WSCloseCode.TRY_AGAIN_LATER, "too slow")
        except ConnectionError:
            # The page has gone; whoever reads from it finds out.
            return
        finally:
            self._waiting.clear()
            self._measured(0)

    def _close_soon(self, code: int, why: str) -> None:
        if self._closing is None:
            self._sending.cancel()
            self._closing = asyncio.create_task(self._close(code, why))

    async def _close(self, code: int, why: str) -> None:
        try:
            async with asyncio.timeout(_LAST):
                await self._socket.close(code=code, message=why.encode()[:120])
        except TimeoutError:
            # It does not even take the end.
            if self._request.transport is not None:
                self._request.transport.abort()


def _read(message: WSMessage) -> Message:
    if message.type is WSMsgType.BINARY:
        if len(message.data) % 2:
            raise ProtocolError("sound is 16 bits a sample")
        return bytes(message.data)
    try:
        event = json.loads(message.data)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("not JSON") from error
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise ProtocolError("an event is an object with a type")
    return event
