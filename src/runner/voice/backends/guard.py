"""Makes the end of a realtime session short: a dead one fails at once and closes quietly."""

import asyncio
import logging
from typing import Any

from livekit import rtc
from livekit.agents import APIConnectionError, APIError, llm
from livekit.plugins.openai import realtime
from openai.types.realtime import realtime_response_status

from runner.voice.backends.ear import Ear

_log = logging.getLogger(__name__)

# A mute server would hold up a switch for 5 s with the history that it never confirms.
_CONFIRM = 1.5
# A socket that is gone would hold it up for as long as its close handshake may take.
_CLOSE = 0.2


def guarded(model: realtime.RealtimeModel, ear: Ear) -> realtime.RealtimeModel:
    """Put a guard before the session that `model` makes; the `ear` hears what it is sent."""
    make = model.session

    def session(*, turn_detection_disabled: bool = False) -> llm.RealtimeSession[Any]:
        made = make(turn_detection_disabled=turn_detection_disabled)
        _Guard(made, ear)
        ear.attach(made, model.label)
        return made

    model.session = session  # type: ignore[method-assign, assignment]
    return model


class _Guard:
    """Stands before the methods of one session."""

    def __init__(self, session: Any, ear: Ear) -> None:
        self._ear = ear
        self._update_chat_ctx = session.update_chat_ctx
        self._generate_reply = session.generate_reply
        self._push_audio = session.push_audio
        self._close = session.aclose
        self._dead = asyncio.Event()
        # Before LiveKit's own listener, which makes the failover call the error recoverable.
        session.on("error", self._on_error)
        session.update_chat_ctx = self.update_chat_ctx
        session.generate_reply = self.generate_reply
        session.push_audio = self.push_audio
        session.aclose = self.aclose

    def _on_error(self, error: llm.RealtimeModelError) -> None:
        if is_failed_response(error.error):
            # The plugin would go on, and leave the caller with half an answer or none.
            error.recoverable = False
        if not error.recoverable:
            self._dead.set()

    async def update_chat_ctx(self, chat_ctx: llm.ChatContext) -> None:
        updating = asyncio.ensure_future(self._update_chat_ctx(chat_ctx))
        dying = asyncio.ensure_future(self._dead.wait())
        await asyncio.wait({updating, dying}, timeout=_CONFIRM, return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        if not updating.done():
            updating.cancel()
            raise llm.RealtimeError("the session did not confirm the conversation")
        updating.result()

    def generate_reply(self, **options: Any) -> asyncio.Future[llm.GenerationCreatedEvent]:
        if not self._dead.is_set():
            replying: asyncio.Future[llm.GenerationCreatedEvent] = self._generate_reply(**options)
            return replying
        refused: asyncio.Future[llm.GenerationCreatedEvent] = asyncio.Future()
        refused.set_exception(llm.RealtimeError("the session is dead"))
        return refused

    def push_audio(self, frame: rtc.AudioFrame) -> None:
        # A dead session would keep every frame, and a closed one refuse it.
        if not self._dead.is_set():
            self._push_audio(frame)
            self._ear.hear(frame)

    async def aclose(self) -> None:
        self._dead.set()
        await self._ear.close()
        closing = asyncio.ensure_future(self._close())
        closing.add_done_callback(_closed)
        await asyncio.wait({closing}, timeout=_CLOSE)


def is_failed_response(error: Exception) -> bool:
    """Tell whether the server gave up an answer, and not the connection."""
    if not isinstance(error, APIError) or isinstance(error, APIConnectionError):
        return False
    return isinstance(error.body, realtime_response_status.Error | None)


def _closed(closing: asyncio.Future[None]) -> None:
    # The plugin raises a session's failure a second time when it is closed; LiveKit would then
    # neither close the room's audio nor tell anybody, and never switch again.
    if not closing.cancelled() and (error := closing.exception()):
        _log.debug("a failed realtime session was closed", exc_info=error)
