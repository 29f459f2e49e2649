"""What connects a call with its caller: a LiveKit room, or whatever else has the same two ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from livekit import rtc
from livekit.agents import Agent, AgentSession, AutoSubscribe, JobContext

from runner.definition.prompt import CallerNames
from runner.voice import ending

_log = logging.getLogger(__name__)


class Line(Protocol):
    """One call's way to its caller; `id` is the call's own, `room` the name of where they meet."""

    id: str
    room: str

    def introduce(self, name: str) -> None:
        """Let the caller see who answers."""

    async def start(self, session: AgentSession[None], agent: Agent) -> None:
        """Start `session` with `agent`, heard and hearing on this line."""

    async def audible(self) -> None:
        """Wait until the caller can hear the agent."""

    async def caller(self) -> CallerNames | None:
        """Wait for the caller; None if the line was closed before one came."""

    async def hang_up(self, reason: str) -> None:
        """End the call for everybody in it: the caller hears that it is over."""

    async def transfer(self, number: str) -> bool:
        """Pass the caller on to a telephone number; tell whether that was possible."""

    def close(self, reason: str) -> None:
        """Let go of a call that is over."""

    def on_end(self, ended: Callable[[str], Awaitable[None]]) -> None:
        """Call `ended` with the reason when the call has ended, and wait for it."""

    def stamp(self, fields: dict[str, str]) -> None:
        """Put these fields into every log line of the call from now on."""


class RoomLine:
    """The room of a LiveKit job, which is joined at once."""

    def __init__(self, ctx: JobContext) -> None:
        self.id = ctx.job.id
        self.room = ctx.job.room.name
        self._ctx = ctx
        self._left = False
        self._session: AgentSession[None] | None = None
        self._introducing: set[asyncio.Task[None]] = set()
        self._connecting = asyncio.create_task(ctx.connect(auto_subscribe=AutoSubscribe.AUDIO_ONLY))

    def introduce(self, name: str) -> None:
        """Take `name` in the room, if it is not the one that the host joined with."""

        async def introduce() -> None:
            await self._connecting
            us = self._ctx.room.local_participant
            if (before := us.name) == name:
                return

            def again(_: dict[str, str], who: rtc.Participant) -> None:
                if who.identity == us.identity and us.name == before:
                    self._go(us.set_name(name))

            # LiveKit sends the name that it knows along with attributes, such as the session's
            # state, and takes ours back if that happens at the same moment.
            self._ctx.room.on("participant_attributes_changed", again)
            await us.set_name(name)

        self._go(introduce())

    async def start(self, session: AgentSession[None], agent: Agent) -> None:
        """Start `session` in the room; it is ready when the room is joined."""
        self._session = session
        await session.start(agent, room=self._ctx.room, record=False)

    async def audible(self) -> None:
        """Wait for the caller to subscribe to the agent's sound.

        LiveKit waits for it, too, but an answer that is cut off meanwhile would leave it mute.
        """
        if self._session is not None and (subscribed := self._session.room_io.subscribed_fut):
            await asyncio.shield(subscribed)

    async def caller(self) -> CallerNames | None:
        """Wait for the first participant that is no agent."""
        await self._connecting
        try:
            caller = await self._ctx.wait_for_participant()
        except RuntimeError:
            if self._ctx.room.isconnected():
                raise
            return None
        _log.info("participant joined", extra={"participant": caller.identity})
        return CallerNames(caller.identity, caller.name, dict(caller.attributes))

    async def hang_up(self, reason: str) -> None:
        """Delete the room."""
        await ending.hang_up(self._ctx, reason)

    async def transfer(self, number: str) -> bool:
        """Transfer a caller by phone; others cannot be."""
        return await ending.transfer(self._ctx, number)

    def close(self, reason: str) -> None:
        """End the job."""
        self._left = not self._ctx.room.remote_participants
        self._ctx.shutdown(reason)

    def on_end(self, ended: Callable[[str], Awaitable[None]]) -> None:
        """Call `ended` before the job ends; a room that everybody has left goes with it."""

        async def end(reason: str) -> None:
            await ended(reason)
            if self._left:
                # LiveKit keeps an empty room for a while, and a caller who comes back to it would
                # find nobody: a new room gets a new job.
                await self._ctx.delete_room()

        self._ctx.add_shutdown_callback(end)

    def stamp(self, fields: dict[str, str]) -> None:
        """Put these fields into every log line of the job."""
        self._ctx.log_context_fields = {**fields}

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._introducing.add(task)
        task.add_done_callback(self._introducing.discard)
