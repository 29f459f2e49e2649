"""OpenAI's HTTP services on loopback: chat completions, transcriptions, speech.

Chat and transcriptions are answered by aimock (npm, `@copilotkit/aimock`) from fixtures. In front
of it stands a thin proxy, for what aimock cannot do: speech as long as its text (its fixtures
hold one fixed sound), faults switched at run time for one endpoint or one model, and a journal
on the clock of the tests.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
import urllib.request
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import aiohttp
from aiohttp import web

from . import needs, sound
from .journal import Journal
from .script import Call

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Endpoint = Literal["chat", "stt", "tts"]
ENDPOINTS: dict[str, Endpoint] = {
    "/v1/chat/completions": "chat",
    "/v1/audio/transcriptions": "stt",
    "/v1/audio/speech": "tts",
}
HTTPFaultKind = Literal[
    "refuse", "401", "403", "model_not_found", "429", "insufficient_quota", "500", "503",
    "slow", "hang", "cut", "stalls",
]  # fmt: skip
ERRORS: dict[str, tuple[int, str, str]] = {
    "401": (401, "invalid_request_error", "invalid_api_key"),
    "403": (403, "invalid_request_error", "forbidden"),
    "model_not_found": (404, "invalid_request_error", "model_not_found"),
    "429": (429, "requests", "rate_limit_exceeded"),
    "insufficient_quota": (429, "insufficient_quota", "insufficient_quota"),
    "500": (500, "server_error", "server_error"),
    "503": (503, "server_error", "overloaded"),
}


@dataclass(frozen=True)
class HTTPFault:
    """What goes wrong at an endpoint, from its n-th request on.

    `cut` breaks the connection, and `stalls` falls silent, when half of the answer is sent; `hang`
    never answers. `after` is how long `slow` waits before it answers, and `cut` in the middle.
    """

    kind: HTTPFaultKind
    request: int = 0
    after: float = 0.05
    model: str | None = None


class OpenAIHTTP:
    """Chat, transcription and speech; a test sets its attributes at any time."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal()
        self._folder = folder
        self._aimock: subprocess.Popen[bytes] | None = None
        self._url = ""
        self._set_defaults()

    def _set_defaults(self) -> None:
        self.faults: dict[Endpoint, HTTPFault | Sequence[HTTPFault]] = {}
        self.check_key: str | None = None
        self.hz = 880.0
        self.tones: dict[str, float] = {}
        self.seconds_per_character = 0.06
        self._script: dict[str, str | Call] = {"": "Hello, how may I help?"}
        self._profile: dict[str, float] = {}
        self._transcripts: tuple[str, ...] = ("Hello",)
        self._requests: Counter[str] = Counter()

    def start(self) -> None:
        """Start aimock and wait until it answers."""
        port = needs.free_port()
        self._url = f"http://127.0.0.1:{port}"
        fixtures = self._folder / "aimock.json"
        fixtures.write_text(json.dumps({"fixtures": [_answer({}, "Hello")]}))
        command = ["node", needs.aimock(), "-p", str(port), "-f", str(fixtures)]
        with (self._folder / "aimock.log").open("wb") as log:
            self._aimock = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while True:
            try:
                self._ask("GET", "/health")
                break
            except OSError:
                if self._aimock.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        self.reset()

    def stop(self) -> None:
        """Stop aimock."""
        if self._aimock is not None:
            self._aimock.terminate()
            self._aimock.wait()

    def reset(self) -> None:
        """Return to the defaults and forget what happened."""
        self._set_defaults()
        self.journal.clear()
        self._load()

    def answers(
        self, script: Mapping[str, str | Call], *, first_token: float = 0.0, between: float = 0.0
    ) -> None:
        """Set what the chat model answers, by a part of the caller's last words.

        The key "" is for everything else, a greeting too. A `Call` is a tool call and, when the
        tool's output has arrived, its `then.text`; its `first` is spoken before that.
        `first_token` is the seconds before the first, `between` those before every next 20
        characters.
        """
        self._script, self._profile = dict(script), {}
        if first_token:
            self._profile["ttft"] = first_token * 1000
        if between:
            self._profile["tps"] = 1 / between
        self._load()

    def hears(self, *texts: str) -> None:
        """Set the transcripts of the utterances to come, in order; the last one is repeated."""
        self._transcripts = texts
        self._load()

    def aimock_journal(self) -> list[dict[str, Any]]:
        """Return aimock's own account of the requests that reached it."""
        entries: list[dict[str, Any]] = self._ask("GET", "/__aimock/journal")
        return entries

    def speech_seconds(self, text: str) -> float:
        """Return how long `text` sounds."""
        return max(0.4, self.seconds_per_character * len(text))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer any HTTP request under `/v1`."""
        content = await request.read()
        endpoint = ENDPOINTS.get(request.path)
        asked = _asked(request, content)
        model = str(asked.get("model", ""))
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        right = self.check_key is None or key == self.check_key
        number = self._requests[request.path]
        self._requests[request.path] += 1
        event = {"type": endpoint or request.path, "model": model, "key_ok": right, "body": asked}
        event["port"] = port_of(request)
        self.journal.write(number, event)
        fault = self._fault(endpoint, model, number) if right else HTTPFault("401")
        if fault and fault.kind in ERRORS:
            return _refusal(fault.kind, key)
        if fault and fault.kind == "refuse" and request.transport:
            request.transport.abort()
            return web.Response()
        if fault and fault.kind == "hang":
            await asyncio.Event().wait()
        if fault and fault.kind == "slow":
            await asyncio.sleep(fault.after)
        if endpoint == "tts":
            return await self._speech(request, asked, fault)
        return await self._forward(request, content, fault)

    def _fault(self, endpoint: Endpoint | None, model: str, number: int) -> HTTPFault | None:
        set_ = self.faults.get(endpoint, ()) if endpoint else ()
        for fault in [set_] if isinstance(set_, HTTPFault) else set_:
            if number >= fault.request and fault.model in (None, model):
                return fault
        return None

    def _load(self) -> None:
        fixtures: list[dict[str, Any]] = []
        for key, reply in sorted(self._script.items(), key=lambda pair: not pair[0]):
            match: dict[str, Any] = {"endpoint": "chat"} | ({"userMessage": key} if key else {})
            if isinstance(reply, Call):
                call = {"name": reply.name, "arguments": dict(reply.arguments)}
                then = {**match, "hasToolResult": True}
                fixtures.append(_answer(then, reply.then.text, self._profile))
                match["hasToolResult"] = False
                said = {"content": reply.first} if reply.first else {}
                fixtures.append({"match": match, "response": {**said, "toolCalls": [call]}})
            else:
                fixtures.append(_answer(match, reply, self._profile))
        if "" not in self._script:
            fixtures.append(_answer({"endpoint": "chat"}, "Hello.", self._profile))
        last = len(self._transcripts) - 1
        for number, text in enumerate(self._transcripts):
            match = {"endpoint": "transcription"}
            match |= {"sequenceIndex": number} if number < last else {}
            fixtures.append({"match": match, "response": {"transcription": {"text": text}}})
        self._ask("POST", "/__aimock/reset", {})
        self._ask("POST", "/__aimock/fixtures", {"fixtures": fixtures})

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(
            self._url + path, data=content, headers=headers, method=method
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    async def _speech(
        self, request: web.Request, asked: dict[str, Any], fault: HTTPFault | None
    ) -> web.StreamResponse:
        hz = self.tones.get(str(asked.get("model", "")), self.hz)
        pcm = sound.tone(hz, self.speech_seconds(str(asked.get("input", ""))))
        raw = asked.get("response_format") == "pcm"
        kind = "audio/pcm" if raw else "audio/wav"
        headers = {"Content-Type": kind, "x-request-id": f"req_{uuid.uuid4().hex}"}
        chunks = [pcm if raw else sound.to_wav(pcm)]
        return await _stream(request, 200, headers, chunks, fault)

    async def _forward(
        self, request: web.Request, content: bytes, fault: HTTPFault | None
    ) -> web.StreamResponse:
        kept = ("Authorization", "Content-Type", "Accept")
        headers = {key: request.headers[key] for key in kept if key in request.headers}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, self._url + request.path_qs, data=content, headers=headers
            ) as answer,
        ):
            chunks: Any = answer.content.iter_any()
            if fault and fault.kind in ("cut", "stalls"):
                chunks = [await answer.read()]
            kind = {"Content-Type": answer.headers.get("Content-Type", "application/json")}
            return await _stream(request, answer.status, kind, chunks, fault)


def port_of(request: web.Request) -> int:
    """Return the client's port: one a connection."""
    peer = request.transport and request.transport.get_extra_info("peername")
    return peer[1] if peer else 0


def _answer(
    match: dict[str, Any], text: str, profile: Mapping[str, float] | None = None
) -> dict[str, Any]:
    fixture: dict[str, Any] = {"match": match, "response": {"content": text}}
    if profile:
        fixture["streamingProfile"] = dict(profile)
    return fixture


def _asked(request: web.Request, content: bytes) -> dict[str, Any]:
    if request.content_type == "application/json" and content:
        parsed: dict[str, Any] = json.loads(content)
        return parsed
    fields: dict[str, Any] = {"bytes": len(content)}
    for part in content.split(b"\r\nContent-Disposition: form-data; ")[1:]:
        head, _, value = part.partition(b"\r\n\r\n")
        if b"filename=" not in head:
            name = head.partition(b'name="')[2].partition(b'"')[0].decode()
            fields[name] = value.partition(b"\r\n--")[0].decode()
    return fields


def _refusal(kind: str, key: str) -> web.Response:
    status, type_, code = ERRORS[kind]
    error = {"message": f"{code}, key provided: {key}", "type": type_, "code": code, "param": None}
    return web.json_response({"error": error}, status=status)


async def _stream(
    request: web.Request,
    status: int,
    headers: dict[str, str],
    chunks: Any,
    fault: HTTPFault | None,
) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers=headers)
    await response.prepare(request)
    if fault and fault.kind in ("cut", "stalls"):
        whole = b"".join(chunks)
        await response.write(whole[: len(whole) // 2])
        if fault.kind == "stalls":
            await asyncio.Event().wait()
        await asyncio.sleep(fault.after)
        if request.transport:
            request.transport.abort()
        return response
    if isinstance(chunks, list):
        for chunk in chunks:
            await response.write(chunk)
    else:
        async for chunk in chunks:
            await response.write(chunk)
    await response.write_eof()
    return response
