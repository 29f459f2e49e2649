"""One call: a room served by one agent, from the job to its end."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from livekit import rtc
from livekit.agents import (
    AgentSession,
    AgentStateChangedEvent,
    AutoSubscribe,
    CloseEvent,
    CloseReason,
    JobContext,
)

from runner.catalog import stamp
from runner.catalog.breaker import Breakers
from runner.catalog.stamp import Stamp
from runner.catalog.store import SnapshotError, Store, state_folder
from runner.definition.prompt import CallerNames, RoomNames
from runner.definition.spec import AgentSpec, Backend
from runner.errors import RunnerError
from runner.reach import remote
from runner.voice import ending, last_words, record, session, tools
from runner.voice.backends.agent import BackendAgent
from runner.voice.failover import Failover, Observer
from runner.voice.reasons import UNBUILT
from runner.voice.record import Recorder
from runner.voice.words import Words

_log = logging.getLogger(__name__)


async def answer(ctx: JobContext) -> None:
    """Serve the room of one LiveKit job with the agent that the host chose for it.

    Raises:
        RunnerError: the job carries no agent, or no snapshot of it can be read.
    """
    stamped = stamp.read(ctx.job.attributes) or stamp.read(ctx.token_claims().attributes or {})
    if stamped is None:
        raise RunnerError("this job names no agent; only jobs from `runner serve` can be answered")
    stored = _snapshot(stamped)
    _stamp_logs(ctx, stored)
    room = ctx.job.room.name
    spec = await remote.fetched(stored, stamped.variables, room, state_folder())
    recorder = record.begin(ctx, spec, stamped.because)
    await Call(ctx, spec, stamped.variables, recorder).run()


def _snapshot(stamped: Stamp) -> AgentSpec:
    store = Store(state_folder())
    try:
        return store.get(stamped.agent, stamped.revision)
    except SnapshotError as error:
        _log.warning("using the agent's current revision", extra={"reason": str(error)})
        return store.current(stamped.agent)


class Call(Observer):
    """A room served by one revision of one agent; `variables` are the ones that the call sets."""

    def __init__(
        self, ctx: JobContext, spec: AgentSpec, variables: Mapping[str, Any], recorder: Recorder
    ) -> None:
        self._ctx = ctx
        self._spec = spec
        self._variables = variables
        self._recorder = recorder
        self._breakers = Breakers(state_folder())
        self._failover = Failover(self._passing_over(spec), self._give_up, [self])
        self._conversation: AgentSession[None] | None = None
        self._backend: Backend | None = None
        self._began = time.monotonic()
        self._spoke = False
        self._left = False
        self._ending: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Join the room, wait for the caller, and start the conversation."""
        self._ctx.add_shutdown_callback(self._ended)
        connecting = asyncio.create_task(self._ctx.connect(auto_subscribe=AutoSubscribe.AUDIO_ONLY))
        # Lets the connection begin: the models are made ready while the network works.
        await asyncio.sleep(0)
        agent = self._failover.first()
        await connecting
        if self._ctx.room.local_participant.name != self._spec.name:
            await self._ctx.room.local_participant.set_name(self._spec.name)
        if caller := await self._caller():
            await self._start(agent, caller)

    def entered(self, backend: Backend, seconds: float) -> None:
        """Name the backend that took over in all lines from now on."""
        self._backend = backend
        _stamp_logs(self._ctx, self._spec, backend=backend.name)
        self._recorder.entered(backend, seconds)

    def left(self, backend: Backend, reason: str) -> None:
        """Record why the backend was left, and let later calls know."""
        self._recorder.left(backend, reason)
        if reason not in UNBUILT:
            self._breakers.failed(backend, reason)

    def heard(self, backend: Backend, gap: float) -> None:
        """Record how long the caller heard nothing."""
        self._recorder.heard(backend, gap)
        self._breakers.succeeded(backend)

    def _passing_over(self, spec: AgentSpec) -> AgentSpec:
        """Put the backends that calls have found broken behind the others."""
        for backend in spec.backends:
            if opened := self._breakers.opened(backend):
                fields = {"backend": backend.name, "reason": opened.reason}
                _log.info("passing over backend", extra=fields)
        return replace(spec, backends=tuple(self._breakers.order(spec.backends)))

    async def _caller(self) -> rtc.RemoteParticipant | None:
        try:
            caller = await self._ctx.wait_for_participant()
        except RuntimeError:
            if self._ctx.room.isconnected():
                raise
            return None
        _log.info("participant joined", extra={"participant": caller.identity})
        return caller

    async def _start(self, agent: BackendAgent | None, caller: rtc.RemoteParticipant) -> None:
        words = Words(
            self._spec,
            self._variables,
            RoomNames(self._ctx.room.name),
            CallerNames(caller.identity, caller.name, dict(caller.attributes)),
        )
        conversation = session.build(self._spec, tools.build(words))
        conversation.on("agent_state_changed", self._on_agent_state)
        conversation.on("close", self._on_close)
        self._recorder.attach(conversation)
        self._conversation = conversation
        if agent is None:
            _log.error("no backend can be built")
            await last_words.speak(conversation, self._ctx.room)
            await ending.hang_up(self._ctx, "no backend can be built")
            return
        self._backend = agent.backend
        _stamp_logs(self._ctx, self._spec, backend=agent.backend.name)
        _log.info("using agent", extra={"display_name": self._spec.name, **agent.traits})
        self._recorder.entered(agent.backend)
        await self._failover.carry(conversation, agent, words, self._ctx.room)

    async def _give_up(self) -> None:
        if self._conversation is not None:
            await last_words.speak(self._conversation)
        await ending.hang_up(self._ctx, "no backend can carry the call")

    def _on_agent_state(self, event: AgentStateChangedEvent) -> None:
        if event.new_state == "speaking" and not self._spoke:
            self._spoke = True
            if self._backend is not None:
                self._breakers.succeeded(self._backend)
            _log.info("backend started", extra={"seconds": self._seconds()})

    def _on_close(self, event: CloseEvent) -> None:
        if event.reason is CloseReason.ERROR:
            _log.error("the backend failed", extra={"reason": _failure(event)})
            self._ending = asyncio.create_task(ending.hang_up(self._ctx, "the backend failed"))
        else:
            self._left = not self._ctx.room.remote_participants
            self._ctx.shutdown(event.reason.value)

    async def _ended(self, reason: str) -> None:
        _log.info("call ended", extra={"reason": reason, "seconds": self._seconds()})
        await self._recorder.ended(reason)
        if self._left:
            # LiveKit keeps an empty room for a while, and a caller who comes back to it would
            # find nobody: a new room gets a new job.
            await self._ctx.delete_room()

    def _seconds(self) -> float:
        return round(time.monotonic() - self._began, 2)


def _stamp_logs(ctx: JobContext, spec: AgentSpec, **more: str) -> None:
    fields = {"agent": spec.id, "revision": spec.digest, "room": ctx.job.room.name}
    ctx.log_context_fields = fields | more


def _failure(event: CloseEvent) -> str:
    return "unknown" if event.error is None else f"{event.error.type}: {event.error.error}"
