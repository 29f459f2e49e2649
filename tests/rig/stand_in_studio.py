"""A server that speaks the studio's protocol to its page, and does what a test says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import WSCloseCode, WSMsgType, web

from . import needs, sound
from .ear import Ear

if TYPE_CHECKING:
    from typing import Self

PAGE = Path(__file__).parents[2] / "src" / "runner" / "host" / "studio" / "page"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

FINDING = """agents/front-desk.yaml:11:8: voice 'corale' is not one that openai-realtime has [voice]
   11 | voice: corale
      |        ^~~~~~"""
TOOL = {
    "name": "check_availability",
    "description": "Look up free appointments on a day.",
    "parameters": {
        "type": "object",
        "properties": {"day": {"type": "string", "enum": ["monday", "tuesday"]}},
        "required": ["day"],
    },
}


def agent(id_: str = "front-desk", **fields: Any) -> dict[str, Any]:
    """Return an agent as `/events` tells of it."""
    return {
        "id": id_,
        "name": id_.replace("-", " ").title(),
        "description": "Answers the phone at the practice.",
        "file": f"agents/{id_}.yaml",
        "state": "serving",
        "since": "2026-11-22T09:02:00Z",
        "revision": "5f0c1a9e",
        "findings": [],
        "prompt": "You answer the phone for Harbour Dental.",
        "greeting": "Hello there, thanks for calling Harbour Dental. How can I help?",
        "generated": False,
        "voice": "coral",
        "temperature": "80 %",
        "backends": [
            {"name": "openai-realtime", "kind": "openai-realtime", "about": "gpt-realtime, coral"},
            {"name": "openai-pipeline", "kind": "openai-pipeline", "about": "gpt-4o-mini, coral"},
        ],
        "tools": [],
        "rehearsal": False,
        **fields,
    }


PROMPT = """You answer the phone for Harbour Dental. Today is Sunday 22 November.
Opening hours: 8:30 to 17:00, Monday to Friday.

Find out what the caller needs. For an appointment, ask for the day first and look up what is \
free; read out at most three times."""


def every_state() -> list[dict[str, Any]]:
    """Return one agent of every state."""
    return [
        agent("assistant", description="A helpful assistant."),
        agent("front-desk", name="Harbour Dental", prompt=PROMPT, tools=[TOOL]),
        agent("parcel-line", state="last_good", findings=[FINDING]),
        agent(
            "night-desk", state="broken", findings=[FINDING], backends=[], prompt="", greeting=""
        ),
    ]


class CallEnd:
    """The server's end of one call."""

    def __init__(self, socket: web.WebSocketResponse, agent_id: str) -> None:
        self.agent = agent_id
        self.microphone = bytearray()
        self.messages: list[dict[str, Any]] = []
        self.closed = False
        self._socket = socket
        self._changed = asyncio.Condition()
        self._segment = 0

    async def tell(self, type_: str, **fields: Any) -> None:
        """Send an event."""
        await self._socket.send_json({"type": type_, **fields})

    async def start(self, **fields: Any) -> Self:
        """Send what a call begins with."""
        known = {"call": "c-1", "agent": self.agent, "revision": "5f0c1a9e", "rehearsal": False}
        await self.tell("started", **{**known, **fields})
        await self.tell("backend", name="openai-realtime", kind="openai-realtime", gap=None)
        return self

    async def play(self, pcm: bytes) -> None:
        """Send sound, 50 ms a frame, all at once."""
        size = 2 * sound.RATE // 20
        for start in range(0, len(pcm), size):
            await self._socket.send_bytes(pcm[start : start + size])

    async def speak(self, pcm: bytes) -> int:
        """Send a whole segment of sound and return its number."""
        await self.play(pcm)
        return await self.end_segment("flush")

    async def end_segment(self, how: str) -> int:
        """Send a `flush` or `clear` of the segment that is being sent; return its number."""
        self._segment += 1
        await self.tell(how, segment=self._segment)
        return self._segment

    async def said(self, text: str, *, who: str = "agent", **fields: Any) -> None:
        """Send words, all at once."""
        known = {"id": text[:12], "final": True, "interrupted": False}
        await self.tell("words", who=who, text=text, **{**known, **fields})

    async def received(
        self, kind: str, *, count: int = 1, within: float = 10.0
    ) -> list[dict[str, Any]]:
        """Return the first `count` messages of a kind, once they are there."""

        def of_kind() -> list[dict[str, Any]]:
            return [message for message in self.messages if message["type"] == kind]

        await self.until(lambda: len(of_kind()) >= count, f"{count} {kind}", within=within)
        return of_kind()[:count]

    async def heard(self, seconds: float, *, within: float = 10.0) -> bytes:
        """Return the next `seconds` of the page's microphone."""
        start = len(self.microphone)
        end = start + 2 * round(seconds * sound.RATE)
        await self.until(lambda: len(self.microphone) >= end, f"{seconds} s", within=within)
        return bytes(self.microphone[start:end])

    async def speech(self, *, within: float = 10.0) -> None:
        """Wait until the caller speaks."""
        ear, start = Ear(), len(self.microphone)

        def spoken() -> bool:
            nonlocal start
            heard = bytes(self.microphone[start:])
            start += len(heard)
            return "started" in ear.listen(heard, 0.3)

        await self.until(spoken, "speech", within=within)

    async def gone(self, *, within: float = 10.0) -> None:
        """Wait until the page has closed the call."""
        await self.until(lambda: self.closed, "the end of the call", within=within)

    async def close(self, code: int = WSCloseCode.OK, why: str = "") -> None:
        """Close the call."""
        await self._socket.close(code=code, message=why.encode())

    async def until(self, true: Any, what: str, *, within: float) -> None:
        """Wait until something is true of what was received."""
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(true), within)
            except TimeoutError:
                msg = f"no {what} within {within} s; received {self.messages}"
                raise AssertionError(msg) from None

    async def serve(self) -> None:
        """Take in what the page sends, until it has gone."""
        async for message in self._socket:
            if message.type is WSMsgType.BINARY:
                self.microphone += message.data
            elif message.type is WSMsgType.TEXT:
                self.messages.append(json.loads(message.data))
            await self._notify()
        self.closed = True
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class StandInStudio:
    """The server of one page, on a port that it keeps over restarts."""

    def __init__(self) -> None:
        self.port = needs.free_port()
        self.agents: list[dict[str, Any]] = [agent()]
        self.line = ""
        self.calls: list[dict[str, Any]] = []
        self.refusal = ""
        self.microphone_allowed = True
        self.asked: list[str] = []
        self._watching: set[web.WebSocketResponse] = set()
        self._begun: asyncio.Queue[CallEnd] = asyncio.Queue()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self.port}/"

    async def start(self) -> Self:
        """Listen."""
        app = web.Application()
        app.on_response_prepare.append(self._add_policy)
        app.router.add_get("/", self._index)
        app.router.add_get("/page/{name}", self._file)
        app.router.add_get("/agents", self._agents)
        app.router.add_get("/events", self._events)
        app.router.add_get("/call", self._call)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        return self

    async def stop(self) -> None:
        """Drop every connection and listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner = None

    async def tell(self) -> None:
        """Tell every page of the agents and the calls as they are now."""
        for socket in list(self._watching):
            await self._tell(socket)

    async def call(self, *, within: float = 10.0) -> CallEnd:
        """Return the next call that a page begins."""
        return await asyncio.wait_for(self._begun.get(), within)

    async def _tell(self, socket: web.WebSocketResponse) -> None:
        mode = "rehearsal" if self.line else "live"
        known = {"mode": mode, "line": self.line, "agents": self.agents}
        await socket.send_json({"type": "agents", **known})
        await socket.send_json({"type": "calls", "calls": self.calls})

    async def _index(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=(PAGE / "index.html").read_bytes(), content_type="text/html")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = PAGE / request.match_info["name"]
        return web.Response(body=path.read_bytes(), content_type=TYPES[path.suffix])

    async def _agents(self, _: web.Request) -> web.StreamResponse:
        if self.refusal:
            return web.Response(status=403, text=self.refusal)
        return web.json_response({"type": "agents", "agents": self.agents})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self.refusal:
            return web.Response(status=403, text=self.refusal)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._watching.add(socket)
        await self._tell(socket)
        async for _message in socket:
            pass
        self._watching.discard(socket)
        return socket

    async def _call(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        end = CallEnd(socket, request.query["agent"])
        self._begun.put_nowait(end)
        await end.serve()
        return socket

    async def _add_policy(self, request: web.Request, response: web.StreamResponse) -> None:
        self.asked.append(request.path)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Cache-Control"] = "no-cache"
        allowed = "self" if self.microphone_allowed else ""
        response.headers["Permissions-Policy"] = f"microphone=({allowed})"
