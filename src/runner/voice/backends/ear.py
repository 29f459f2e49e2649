"""Hears the caller beside a realtime server, which may have gone deaf without anybody knowing."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from livekit import rtc
from livekit.agents import inference, llm, vad

# Seconds of sound that may be speech.
_SPEECH = 0.3
# Seconds of it that go by before the VAD is sure, and a margin for its first syllable.
_BEFORE = 0.7
_ASKING = "is_anybody_there"
_ASK = {"type": "session.update", "event_id": _ASKING, "session": {"type": "realtime"}}


class Ear:
    """Ends a session whose server says nothing for `patience` seconds after its caller has spoken.

    Silence alone would be no proof: a cough is no turn. So after half of the time the server is
    asked to confirm its settings; one that did so when the call began will do so again. One that
    refuses is there, and is not asked any more.
    `unnoticed` is then the loop's time at which those words began and ended, None as an end if the
    caller still speaks.
    """

    def __init__(self, patience: float) -> None:
        self.unnoticed: tuple[float, float | None] | None = None
        self._half = patience / 2
        self._confirms = False
        self._timer: asyncio.TimerHandle | None = None
        self._began = self._told = 0.0
        self._ended: float | None = None

    def attach(self, session: Any, label: str) -> None:
        """Listen for this session."""
        self._session, self._label = session, label
        self._loop = asyncio.get_running_loop()
        self._stream = inference.VAD(min_speech_duration=_SPEECH).stream()
        self._listening = asyncio.create_task(self._listen())
        session.on("openai_server_event_received", self._on_server_event)

    def hear(self, frame: rtc.AudioFrame) -> None:
        """Take what the server is sent as well."""
        if not self._listening.done():
            self._stream.push_frame(frame)

    async def close(self) -> None:
        """Stop listening."""
        self._settle()
        await self._stream.aclose()
        await asyncio.wait({self._listening})

    async def _listen(self) -> None:
        async for event in self._stream:
            if event.type is vad.VADEventType.START_OF_SPEECH:
                self._on_speech()
            elif event.type is vad.VADEventType.END_OF_SPEECH:
                self._on_silence(event.silence_duration)

    def _on_speech(self) -> None:
        if self._timer is None:
            self._began = self._loop.time() - _BEFORE
        self._ended = None

    def _on_silence(self, seconds: float) -> None:
        self._ended = self._loop.time() - seconds
        if self._timer is None and self._confirms:
            self._timer = self._loop.call_at(self._ended + self._half, self._ask)

    def _on_server_event(self, event: Mapping[str, Any]) -> None:
        if event["type"] == "session.updated":
            self._confirms = True
        elif event["type"] == "error" and event["error"].get("event_id") == _ASKING:
            self._confirms = False
        self._told = self._loop.time()
        self._settle()

    def _settle(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ask(self) -> None:
        self._session.send_event(_ASK)
        self._timer = self._loop.call_later(self._half, self._give_up)

    def _give_up(self) -> None:
        self.unnoticed = max(self._began, self._told), self._ended
        error = llm.RealtimeModelError(
            timestamp=time.time(),
            label=self._label,
            error=TimeoutError("the server does not answer"),
            recoverable=False,
        )
        self._session.emit("error", error)
