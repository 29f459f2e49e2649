"""One call: a room served by one agent, from the job to its end."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from livekit.agents import (
    AgentSession,
    AgentStateChangedEvent,
    CloseEvent,
    CloseReason,
    JobContext,
)
from livekit.agents.llm import Tool

from runner.catalog.breaker import Breakers
from runner.catalog.records import CRASHED
from runner.catalog.store import state_folder
from runner.definition.prompt import RoomNames
from runner.definition.spec import AgentSpec, Backend
from runner.errors import RunnerError
from runner.reach import remote
from runner.voice import choice, last_words, record, session, tools
from runner.voice.backends.agent import BackendAgent
from runner.voice.failover import Failover, Observer
from runner.voice.line import Line, RoomLine
from runner.voice.reasons import BROKEN, UNLEARNT
from runner.voice.words import Words

_log = logging.getLogger(__name__)


async def answer(ctx: JobContext) -> None:
    """Serve the room of one LiveKit job with the agent that was chosen for it.

    Raises:
        RunnerError: the job carries no agent, or no snapshot of it can be read.
    """
    try:
        route = await choice.route(ctx)
    except RunnerError as error:
        await record.unanswered(ctx.job.id, ctx.job.room.name, str(error), CRASHED)
        raise
    if route is None:
        return
    line = RoomLine(ctx)
    # Lets the connection begin: the models are made ready while the network works.
    await asyncio.sleep(0)
    call = await begin(line, route.spec, route.variables, route.because)
    await call.run()


async def begin(
    line: Line,
    spec: AgentSpec,
    variables: Mapping[str, Any],
    because: str,
    observers: Sequence[Observer] = (),
) -> "Call":
    """Make the call of `spec` on `line`, with what the agent's database has for it."""
    began = time.monotonic()
    line.stamp(_fields(line, spec))
    fetched = await remote.fetched(spec, variables, line.room, state_folder())
    return Call(line, fetched, variables, because, observers, began=began)


class Call(Observer):
    """A caller served by one revision of one agent, which was chosen `because` of something.

    `variables` are the ones that the call sets. `observers` hear of every backend of the call, the
    first among them. `began` is the monotonic clock's.
    """

    def __init__(
        self,
        line: Line,
        spec: AgentSpec,
        variables: Mapping[str, Any],
        because: str,
        observers: Sequence[Observer],
        *,
        began: float,
    ) -> None:
        self._line = line
        self._spec = spec
        self._words = Words(spec, variables, RoomNames(line.room))
        self._recorder = record.begin(line, spec, because)
        self._breakers = Breakers(state_folder())
        self._observers = observers
        self._failover = Failover(self._passing_over(spec), self._give_up, [self, *observers])
        self._conversation: AgentSession[None] | None = None
        self._backend: Backend | None = None
        self._proven: Backend | None = None
        self._began = began
        self._spoke = False
        self._ending: asyncio.Task[None] | None = None
        self._learning: set[asyncio.Task[object]] = set()

    async def run(self) -> None:
        """Start the conversation at once; it begins with the caller."""
        self._line.on_end(self._ended)
        self._line.introduce(self._spec.name)
        if agent := self._failover.first():
            await self._carry(agent)
        if caller := await self._line.caller():
            await (self._failover.meet(caller) if agent else self._apologise())

    def break_backend(self) -> None:
        """Let the backend that has the call fail, so that one hears what follows."""
        if self._conversation is not None:
            self._failover.fail(BROKEN)

    def entered(self, backend: Backend) -> None:
        """Name the backend that took over in all lines from now on."""
        self._backend = backend
        self._stamp_logs(backend)
        self._recorder.entered(backend)

    def left(self, backend: Backend, reason: str) -> None:
        """Record why the backend was left, and let later calls know."""
        self._recorder.left(backend, reason)
        if backend is self._backend:
            self._backend = self._proven = None
        if reason not in UNLEARNT:
            self._learn(self._breakers.failed, backend, reason)

    def heard(self, backend: Backend, gap: float) -> None:
        """Record how long the caller heard nothing."""
        self._recorder.heard(backend, gap)
        self._proven = self._backend

    def _passing_over(self, spec: AgentSpec) -> AgentSpec:
        """Put the backends that calls have found broken behind the others."""
        for backend in spec.backends:
            if opened := self._breakers.opened(backend):
                fields = {"backend": backend.name, "reason": opened.reason}
                _log.info("passing over backend", extra=fields)
        return replace(spec, backends=tuple(self._breakers.order(spec.backends)))

    async def _carry(self, agent: BackendAgent) -> None:
        self._backend = agent.backend
        self._stamp_logs(agent.backend)
        _log.info("using agent", extra={"display_name": self._spec.name, **agent.traits})
        self._recorder.entered(agent.backend)
        for observer in self._observers:
            observer.entered(agent.backend)
        self._conversation = self._built(tools.build(self._words))
        await self._failover.carry(self._conversation, agent, self._words, self._line)

    def _built(self, its_tools: list[Tool]) -> AgentSession[None]:
        conversation = session.build(self._spec, its_tools)
        conversation.on("agent_state_changed", self._on_agent_state)
        conversation.on("close", self._on_close)
        self._recorder.attach(conversation)
        return conversation

    async def _apologise(self) -> None:
        _log.error("no backend can be built")
        await last_words.speak(self._built([]), self._line)
        await self._line.hang_up("no backend can be built")

    async def _give_up(self) -> None:
        if self._conversation is not None:
            await last_words.speak(self._conversation)
        await self._line.hang_up("no backend can carry the call")

    def _on_agent_state(self, event: AgentStateChangedEvent) -> None:
        if event.new_state == "speaking" and not self._spoke and self._backend is not None:
            self._spoke = True
            self._proven = self._backend
            _log.info("backend started", extra={"seconds": self._seconds()})

    def _on_close(self, event: CloseEvent) -> None:
        if event.reason is CloseReason.ERROR:
            _log.error("the backend failed", extra={"reason": _failure(event)})
            self._ending = asyncio.create_task(self._line.hang_up("the backend failed"))
        else:
            self._line.close(event.reason.value)

    async def _ended(self, reason: str) -> None:
        _log.info("call ended", extra={"reason": reason, "seconds": self._seconds()})
        await self._recorder.ended(reason)
        if self._proven is not None:
            # Not before: many a backend still greets, and then fails.
            self._learn(self._breakers.succeeded, self._proven)
        await asyncio.gather(*self._learning)

    def _learn(self, note: Callable[..., object], *what: object) -> None:
        """Let later calls know; in a thread, since the caller is waiting."""
        task = asyncio.create_task(asyncio.to_thread(note, *what))
        self._learning.add(task)
        task.add_done_callback(self._learning.discard)

    def _seconds(self) -> float:
        return round(time.monotonic() - self._began, 2)

    def _stamp_logs(self, backend: Backend) -> None:
        self._line.stamp(_fields(self._line, self._spec) | {"backend": backend.name})


def _fields(line: Line, spec: AgentSpec) -> dict[str, str]:
    return {"agent": spec.id, "revision": spec.digest, "room": line.room}


def _failure(event: CloseEvent) -> str:
    return "unknown" if event.error is None else f"{event.error.type}: {event.error.error}"
