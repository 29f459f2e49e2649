"""Asks an OpenAI service, or one like it, for as little as shows that it would answer a call."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from runner.catalog.backends import address
from runner.catalog.breaker import UNAUTHORIZED
from runner.definition.spec import Part
from runner.reach.reasons import CONNECTION_LOST, SERVER_ERROR
from runner.reach.trouble import (
    TryError,
    error_of,
    json_object,
    quoted,
    refused,
    shown,
    unanswered,
)

_WORDS = "Hello, can you hear me?"
#: Where LiveKit's plugin adds /realtime to a base_url; any other path it takes as it stands.
_BARE_PATHS = ("", "/v1", "/openai", "/openai/v1")


class Service:
    """Answers each question within `limit` seconds, or raises `TryError`."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        environment: Mapping[str, str],
        secrets: Sequence[str],
        limit: float,
    ) -> None:
        self._http = http
        self._environment = environment
        self._secrets = secrets
        self._limit = limit

    def where(self, part: Part) -> str:
        """Return the model and its address."""
        return f"{part.model} at {shown(self._address(part))}"

    async def chat(self, part: Part) -> str:
        """Ask for one short answer, streamed as in a call."""
        question = {"role": "user", "content": "Answer with one word: are you there?"}
        body = {"model": part.model, "messages": [question], "stream": True}
        answer = await self._post(part, "/chat/completions", json=body)
        if b'"choices"' not in answer:
            raise TryError(
                "it answered with no word", "check the model's name and base_url", SERVER_ERROR
            )
        return "answers"

    async def speech(self, part: Part, voice: str, words: str = _WORDS) -> bytes:
        """Ask for a sentence, by default a short one, as WAV."""
        body = {"model": part.model, "voice": voice, "input": words, "response_format": "wav"}
        sound = await self._post(part, "/audio/speech", json=body)
        if not sound:
            raise TryError(
                "it answered with no sound", "check the model's name and base_url", SERVER_ERROR
            )
        return sound

    async def transcription(self, part: Part, sound: bytes) -> str:
        """Let it hear a WAV."""
        form = aiohttp.FormData({"model": part.model})
        form.add_field("file", sound, filename="speech.wav", content_type="audio/wav")
        answer = await self._post(part, "/audio/transcriptions", data=form)
        text = json_object(answer).get("text")
        if not isinstance(text, str) or not text.strip():
            raise TryError(
                "it understood nothing of clear speech", "check the model's name", SERVER_ERROR
            )
        return f'understands "{quoted(text, self._secrets)}"'

    async def session(self, part: Part, voice: str) -> str:
        """Open a Realtime session, set its voice, close it."""
        update = {"type": "realtime", "audio": {"output": {"voice": voice}}}
        headers = self._headers(part)
        async with (
            self._in_words(part),
            self._http.ws_connect(
                realtime_address(self._address(part)),
                params={"model": part.model},
                headers=headers,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            ) as socket,
        ):
            await self._wait_for(socket, part, "session.created")
            await socket.send_json({"type": "session.update", "session": update})
            await self._wait_for(socket, part, "session.updated")
        return f"opens a session with the voice {voice}"

    async def _post(self, part: Part, path: str, **body: Any) -> bytes:
        headers = self._headers(part)
        async with (
            self._in_words(part),
            self._http.post(self._address(part) + path, headers=headers, **body) as answer,
        ):
            content = await answer.read()
            if answer.status >= 300:
                raise self._refused(part, answer.status, error_of(content))
            return content

    async def _wait_for(
        self, socket: aiohttp.ClientWebSocketResponse, part: Part, wanted: str
    ) -> None:
        while True:
            message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise TryError(
                    "it accepted the connection and closed it without a word",
                    "check the model's name, and that the account has access to the Realtime API",
                    CONNECTION_LOST,
                )
            event = json_object(message.data)
            if event.get("type") == wanted:
                return
            if event.get("type") == "error":
                raise self._refused(part, 0, error_of(message.data))

    def _refused(self, part: Part, status: int, error: Mapping[str, Any]) -> TryError:
        quote = quoted(str(error.get("message") or ""), self._secrets)
        return refused(status, error, key=part.api_key_env, quote=quote)

    @asynccontextmanager
    async def _in_words(self, part: Part) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._limit):
                yield
        except aiohttp.WSServerHandshakeError as error:
            raise self._refused(part, error.status, {}) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise unanswered(error, self._limit) from error

    def _address(self, part: Part) -> str:
        return address(part, self._environment)

    def _headers(self, part: Part) -> dict[str, str]:
        # OpenAI's client insists on a key, whatever the server does.
        key = self._environment[part.api_key_env] if part.api_key_env else "none"
        if not key.isascii() or not key.isprintable() or " " in key:
            raise TryError(
                f"{part.api_key_env} holds characters that no key has",
                "copy the key again, without spaces",
                UNAUTHORIZED,
            )
        return {"Authorization": f"Bearer {key}"}


def realtime_address(address: str) -> str:
    """Return the WebSocket's address that LiveKit's plugin makes of a base_url."""
    bare = urlsplit(address).path.rstrip("/") in _BARE_PATHS
    return address.replace("http", "ws", 1) + ("/realtime" if bare else "")
