"""The studio's page without a browser: speaks and hears over its WebSocket in real time."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from livekit import rtc

from . import sound
from .caller import FRAME_SECONDS, Caller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

ENDS = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING)
FRAME = 2 * round(sound.RATE * FRAME_SECONDS)


@dataclass(frozen=True)
class Heard:
    """A frame that was played now."""

    frame: rtc.AudioFrame


@dataclass
class Segment:
    """What the page was sent of one segment of sound; `size` in bytes, None while it is open."""

    number: int
    pushed: int = 0
    played: int = 0
    ended: bool = False


class Page(Caller):
    """One call from the studio's page; all times are seconds since `call` began.

    `played` is the sound of the agent so far, as PCM without the silence between its segments.
    """

    def __init__(self, identity: str = "page") -> None:
        super().__init__(identity)
        self.events: list[tuple[float, dict[str, Any]]] = []
        self.closed: tuple[int | None, str] | None = None
        self.played = bytearray()
        self._http = aiohttp.ClientSession()
        self._buffer = bytearray()
        self._segment = Segment(1)
        self._paused = False

    async def call(self, address: str, agent: str) -> None:
        """Call an agent of the studio at `address`."""
        self._began = time.monotonic()
        self._socket = await self._http.ws_connect(
            f"{address}call", params={"agent": agent}, origin=address.rstrip("/")
        )
        self._go(self._receive())
        self._go(self._talk())
        self._go(self._analyse(self._play()))  # type: ignore[arg-type]

    def of(self, type_: str, **fields: Any) -> list[dict[str, Any]]:
        """Return the events of a type that have these fields."""
        return [
            event
            for _, event in self.events
            if event["type"] == type_ and fields.items() <= event.items()
        ]

    async def wait_event(
        self, type_: str, *, within: float = 10.0, **fields: Any
    ) -> dict[str, Any]:
        """Return the first event of a type that has these fields."""
        return await self._wait(
            lambda: next(iter(self.of(type_, **fields)), None), within, f"{type_} {fields}"
        )

    async def wait_words(self, part: str, *, who: str = "agent", within: float = 10.0) -> str:
        """Return the first whole sentence that contains `part`."""

        def found() -> str | None:
            words = self.of("words", who=who, final=True)
            return next((one["text"] for one in words if part in one["text"]), None)

        return await self._wait(found, within, f"words {part!r}")

    async def wait_closed(self, within: float = 10.0) -> tuple[int | None, str]:
        """Return the code and the reason with which the studio has closed."""
        return await self._wait(lambda: self.closed, within, "the end")

    async def wait_played(self, seconds: float, within: float = 10.0) -> None:
        """Wait until so much sound of the agent was played."""
        size = 2 * sound.RATE * seconds
        await self._wait(lambda: len(self.played) >= size or None, within, f"{seconds} s of sound")

    async def tell(self, type_: str, **fields: Any) -> None:
        """Send an event."""
        await self._socket.send_json({"type": type_, **fields})

    async def send(self, message: str | bytes) -> None:
        """Send a message as it is."""
        send = self._socket.send_str if isinstance(message, str) else self._socket.send_bytes
        await send(message)  # type: ignore[arg-type]

    async def type(self, text: str) -> None:
        """Type a text to the agent."""
        await self.tell("text", text=text)

    async def leave(self) -> None:
        """Close the page."""
        await super().leave()
        await self._http.close()

    async def _receive(self) -> None:
        while (message := await self._socket.receive()).type not in ENDS:
            if isinstance(message.data, bytes):
                self._buffer += message.data
                self._segment.pushed += len(message.data)
                assert len(message.data) <= sound.RATE // 5
            else:
                await self._take(json.loads(message.data))
        self.closed = (self._socket.close_code, str(message.extra or ""))
        await self._tell()

    async def _take(self, event: dict[str, Any]) -> None:
        self.events.append((self.now, event))
        match event["type"]:
            case "flush":
                self._segment.ended |= event["segment"] == self._segment.number
                await self._answer_if_played()
            case "clear":
                self._buffer.clear()
                await self._answer(event["segment"], interrupted=True)
            case "pause" | "resume":
                self._paused = event["type"] == "pause"
        await self._tell()

    async def _answer_if_played(self) -> None:
        if self._segment.ended and not self._buffer:
            await self._answer(self._segment.number, interrupted=False)

    async def _answer(self, number: int, *, interrupted: bool) -> None:
        if number != self._segment.number:
            return
        seconds = self._segment.played / 2 / sound.RATE
        self._segment = Segment(number + 1)
        if not self._socket.closed:
            await self.tell("played", segment=number, seconds=seconds, interrupted=interrupted)

    async def _talk(self) -> None:
        start, due = 0.0, time.monotonic()
        while not self._socket.closed:
            pcm = bytes(self._speech[:FRAME])
            del self._speech[:FRAME]
            if pcm and not start:
                start = self.now
            if start and not pcm:
                self.said.append((start, self.now))
                start = 0.0
                self._spoken.set()
            try:
                await self._socket.send_bytes(pcm.ljust(FRAME, b"\0"))
            except ConnectionError:
                return
            due += FRAME_SECONDS
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _play(self) -> AsyncIterator[Heard]:
        due = time.monotonic()
        while not self._socket.closed:
            if not self._paused:
                pcm = bytes(self._buffer[:FRAME])
                del self._buffer[:FRAME]
                self._segment.played += len(pcm)
                self.played += pcm
                yield Heard(rtc.AudioFrame(pcm.ljust(FRAME, b"\0"), sound.RATE, 1, FRAME // 2))
                await self._answer_if_played()
            due += FRAME_SECONDS
            await asyncio.sleep(max(0.0, due - time.monotonic()))


@asynccontextmanager
async def calling(address: str) -> AsyncIterator[Callable[[str], Awaitable[Page]]]:
    """Call agents of the studio at `address`, each from a page of its own; all leave at the end."""
    pages: list[Page] = []

    async def call(agent: str) -> Page:
        page = Page()
        pages.append(page)
        await page.call(address, agent)
        return page

    yield call
    for page in pages:
        await page.leave()
