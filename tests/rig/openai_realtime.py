"""OpenAI's Realtime service (GA protocol) on loopback: hears by energy, answers with tones.

It does not understand speech: `hears` says what the callers' utterances mean, in order.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from .ear import LOUD
from .journal import Journal
from .openai_http import port_of
from .realtime_connection import Connection
from .script import Call, Reply, Script, Tone, Turn

FaultKind = Literal[
    # at the handshake
    "refuse", "handshake_hangs", "401", "403", "404", "429", "500",
    # accepted, then an error event and close
    "invalid_api_key", "insufficient_quota", "model_not_found",
    # at an answer
    "never_answers", "dies_before", "dies_midway", "dies_after", "stalls", "response_failed",
    "fails_midway", "slow", "no_audio", "empty", "text_only",
    # at any time
    "dies_idle", "black_hole", "deaf",
]  # fmt: skip
AT_HANDSHAKE = ("refuse", "handshake_hangs", "401", "403", "404", "429", "500")
ONCE_ACCEPTED = ("invalid_api_key", "insufficient_quota", "model_not_found")
WHILE_IDLE = ("dies_idle", "black_hole", "deaf")
WITHOUT_ANSWER = (*AT_HANDSHAKE, *ONCE_ACCEPTED, *WHILE_IDLE)


@dataclass(frozen=True)
class Fault:
    """What goes wrong, from the n-th answer and n-th connection of a model on.

    `after` is seconds: of audio before `dies_midway`, `stalls` and `fails_midway`, of waiting
    before the answer of `slow`, of idleness before `dies_idle`, `black_hole`, which swallows
    everything on a socket that stays open, and `deaf`, which answers pings and nothing else. `code`
    is the error code of a failed response.
    """

    kind: FaultKind
    response: int = 0
    connection: int = 0
    after: float = 0.5
    model: str | None = None
    code: str = "server_error"


class RealtimeSimulator:
    """The service; a test sets its attributes at any time."""

    def __init__(self) -> None:
        self.journal = Journal()
        self._open: set[Connection] = set()
        self.reset()

    def reset(self) -> None:
        """Return to the defaults and forget what happened."""
        self.script: Script = [Tone()]
        self.hears: Sequence[str] = ["Hello"]
        self.fault: Fault | Sequence[Fault] | None = None
        self.check_key: str | None = None
        self.hz = 440.0
        self.tones: dict[str, float] = {}
        self.pace = 4.0
        self.latency = 0.15
        self.silence = 0.4
        self.written = 0.0
        self.loud = LOUD
        self.outputs: dict[str, str] = {}
        self.calls: dict[str, Call] = {}
        self._chosen = self._heard = 0
        self._responses: Counter[str] = Counter()
        self._connections: Counter[str] = Counter()
        self._ids = itertools.count(1)
        self.journal.clear()

    @property
    def answers(self) -> int:
        """How many answers were begun, of all models."""
        return self._responses.total()

    @property
    def open_connections(self) -> int:
        """How many WebSockets are open now."""
        return len(self._open)

    def new_id(self, kind: str) -> str:
        """Return an id such as `item_7`."""
        return f"{kind}_{next(self._ids)}"

    def next_transcript(self) -> str:
        """Return what the next utterance of a caller means; the last one is repeated."""
        self._heard += 1
        return self.hears[min(self._heard, len(self.hears)) - 1] if self.hears else ""

    def choose(self, text: str, instructions: str, model: str) -> Reply:
        """Return the script's reply to what a caller said."""
        self._chosen += 1
        if callable(self.script):
            return self.script(Turn(self._chosen - 1, text, instructions, model))
        if isinstance(self.script, Mapping):
            said = text.lower()
            keys = [key for key in self.script if key and key.lower() in said]
            return self.script[keys[0]] if keys else self.script.get("", Tone())
        return self.script[min(self._chosen, len(self.script)) - 1]

    def count_response(self, model: str) -> int:
        """Return the number of this answer of a model, from 0."""
        self._responses[model] += 1
        return self._responses[model] - 1

    def fault_at(
        self, kinds: Sequence[str] | None, model: str, connection: int, response: int = 0
    ) -> Fault | None:
        """Return the first fault that applies here; `kinds` of `None` means any of an answer."""
        faults = [self.fault] if isinstance(self.fault, Fault) else list(self.fault or ())
        for fault in faults:
            early = fault.kind in WITHOUT_ANSWER
            here = fault.kind in kinds if kinds is not None else not early
            due = connection >= fault.connection and (response >= fault.response or early)
            if here and due and fault.model in (None, model):
                return fault
        return None

    def fault_while_idle(self, model: str, connection: int) -> Fault | None:
        """Return the fault that befalls a connection on which nothing happens."""
        return self.fault_at(WHILE_IDLE, model, connection)

    def fault_once_accepted(self, model: str, connection: int) -> Fault | None:
        """Return the fault that ends a connection as soon as it is accepted."""
        return self.fault_at(ONCE_ACCEPTED, model, connection)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /v1/realtime`."""
        model = request.query.get("model", "")
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        right = self.check_key is None or key == self.check_key
        number = self._connections[model]
        self._connections[model] += 1
        total = self._connections.total()
        connecting = {"type": "connecting", "model": model, "key": bool(key), "key_ok": right}
        connecting["port"] = port_of(request)
        self.journal.write(total, connecting)
        fault = self.fault_at(AT_HANDSHAKE, model, number)
        kind = fault.kind if fault else None if right else "401"
        if kind == "refuse" and request.transport:
            request.transport.abort()
            return web.Response()
        if kind == "handshake_hangs":
            await asyncio.Event().wait()
        if kind:
            error = {"message": f"refused, key provided: {key}", "code": kind}
            error["type"] = "invalid_request_error"
            return web.json_response({"error": error}, status=int(kind))
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        connection = Connection(self, request, socket, model, number, total)
        self._open.add(connection)
        try:
            await connection.run()
        finally:
            self._open.discard(connection)
            self.journal.write(total, {"type": "disconnected", "model": model})
        return socket

    async def drop_all(self) -> None:
        """Break every open connection."""
        for connection in list(self._open):
            connection.die()
