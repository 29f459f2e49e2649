"""When to leave a backend, and how: the next one takes over in the same room."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial

from livekit import rtc
from livekit.agents import (
    AgentSession,
    CloseEvent,
    ErrorEvent,
    FunctionToolsExecutedEvent,
    SpeechCreatedEvent,
    UserStateChangedEvent,
    llm,
    stt,
)
from livekit.agents.voice import SpeechHandle
from livekit.agents.voice.events import ToolExecutionUpdatedEvent

from runner.definition.spec import AgentSpec, AnnouncementBackend, Backend
from runner.voice.backends.agent import BackendAgent
from runner.voice.handover import Handover, unanswered
from runner.voice.lineup import Lineup
from runner.voice.reasons import LASTING, Reason, reason_of
from runner.voice.watch import Watch
from runner.voice.words import Words

_log = logging.getLogger(__name__)

# Errors that a realtime session reports and survives, one after the other without a sign of life.
_TOO_MANY = 3
# Seconds: what was received may play this long; LiveKit's end of it comes a little later than ours.
_PLAYOUT, _LATE = 6.0, 0.3
_INTERRUPT = 2.0
_ENTER = 5.0


class Observer:
    """Hears of every change of backend in one call; a subclass overrides what it wants to know."""

    def left(self, backend: Backend, reason: Reason) -> None:
        """Take note of a backend that failed, or could not be built."""

    def entered(self, backend: Backend, seconds: float) -> None:
        """Take note of one that took over, so many seconds after the failure before."""

    def heard(self, backend: Backend, gap: float) -> None:
        """Take note of its first sound, after a silence of `gap` seconds."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A reason to leave `agent`; `cut_off` says that it was in the middle of an answer."""

    agent: BackendAgent
    reason: Reason
    time: float
    cut_off: bool


class Failover:
    """The backends of one call: one carries it, the next stands ready, failures move it on.

    `end` is called once no backend can carry the call.
    """

    def __init__(
        self,
        spec: AgentSpec,
        end: Callable[[], Coroutine[None, None, None]],
        observers: Sequence[Observer] = (),
    ) -> None:
        self._end = end
        self._observers = observers
        self._lineup = Lineup(spec, self._tell_left)
        self._failures: asyncio.Queue[Failure] = asyncio.Queue()
        self._agent: BackendAgent | None = None
        self._speech: SpeechHandle | None = None
        self._talked_over = False
        self._tools: set[str] = set()
        self._no_tools = asyncio.Event()
        self._no_tools.set()
        self._errors: list[Reason] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()

    def first(self) -> BackendAgent | None:
        """Build the first backend that can be built; None if none can."""
        return self._lineup.take()

    async def carry(
        self, session: AgentSession[None], agent: BackendAgent, words: Words, room: rtc.Room
    ) -> None:
        """Start `session` with `agent`, and keep it going with whatever backend can."""
        self._session = session
        self._words = words
        self._handover = Handover(session)
        await agent.brief(words)
        self._listen()
        self._watch(agent)
        await session.start(agent, room=room, record=False)
        self._handover.started()
        self._lineup.prepare()
        # Not before: a session that has not started takes no other agent.
        self._go(self._run()).add_done_callback(self._on_run_done)

    def _listen(self) -> None:
        on = self._session.on
        on("error", self._on_error)
        on("speech_created", self._on_speech_created)
        on("user_state_changed", self._on_user_state)
        on("tool_execution_updated", self._on_tool)
        on("function_tools_executed", self._on_tools_executed)
        on("close", self._on_close)

    def _watch(self, agent: BackendAgent) -> None:
        patience = agent.backend.first_audio_timeout * 2**self._lineup.tries
        agent.watch = Watch(patience, partial(self._fail, agent, Reason.SILENT))
        if isinstance(agent.stt, stt.STT):
            # It has answered: from here on LiveKit decides whether that was a turn.
            agent.stt.on("metrics_collected", partial(_settle, agent.watch))
        if self._session.user_state == "speaking":
            agent.watch.hold("caller")
        self._errors.clear()
        self._speech = None
        self._agent = agent

    # What a session tells.

    def _on_error(self, event: ErrorEvent) -> None:
        error, agent = event.error, self._agent
        if agent is None or event.source not in (agent.llm, agent.stt, agent.tts):
            error.recoverable = True
        elif isinstance(error, llm.RealtimeModelError) and error.recoverable:
            self._count(reason_of(error.error))
        elif not error.recoverable:
            # LiveKit closes the session after this, unless the error is said to be recoverable.
            error.recoverable = True
            self._fail(agent, self._known(reason_of(error.error)))

    def _count(self, reason: Reason) -> None:
        self._errors.append(reason)
        if len(self._errors) >= _TOO_MANY:
            self._fail(self._agent, reason)

    def _known(self, reason: Reason) -> Reason:
        """Prefer the reason that a server gave before it closed the connection."""
        said = [given for given in self._errors if given in LASTING or reason is Reason.DIED]
        return said[-1] if said else reason

    def _on_speech_created(self, event: SpeechCreatedEvent) -> None:
        agent = self._agent
        if agent is None or agent.watch is None:
            return
        agent.watch.expect()
        self._speech = event.speech_handle
        done = partial(self._on_speech_done, agent, agent.watch, agent.watch.frames)
        event.speech_handle.add_done_callback(done)

    def _on_speech_done(
        self, agent: BackendAgent, watch: Watch, frames: int, speech: SpeechHandle
    ) -> None:
        if watch.frames > frames:
            self._handover.answered()
            self._errors.clear()
            self._lineup.carried()
        if speech is self._speech and not watch.answering:
            watch.settle()
        if error := speech.exception():
            self._fail(agent, self._known(reason_of(error)))
        elif not speech.interrupted and not speech.chat_items:
            self._fail(agent, self._errors[-1] if self._errors else Reason.EMPTY)
        elif not speech.interrupted and watch.frames == frames:
            self._on_unheard(agent, speech)

    def _on_unheard(self, agent: BackendAgent, speech: SpeechHandle) -> None:
        messages = {item.id for item in speech.chat_items if item.type == "message"}
        if messages:
            # Nobody heard it: the next backend must not think that it was said.
            self._handover.forget(messages)
            self._fail(agent, Reason.SILENT)

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        agent = self._agent
        if agent is None or agent.watch is None:
            return
        if event.new_state == "speaking":
            self._talked_over = self._session.agent_state == "speaking"
            agent.watch.settle()
            agent.watch.hold("caller")
        elif event.old_state == "speaking":
            if agent.answers_silence and not self._was_ignored():
                agent.watch.expect()
            agent.watch.release("caller")

    def _was_ignored(self) -> bool:
        """Tell whether LiveKit kept from the backend what the caller said over its speech."""
        speech = self._speech
        return self._talked_over and speech is not None and not speech.interrupted

    def _on_tool(self, event: ToolExecutionUpdatedEvent) -> None:
        update = event.update
        if update.type == "tool_call_started":
            self._tools.add(update.function_call.call_id)
        elif update.type in ("tool_call_updated", "tool_call_ended"):
            self._tools.discard(update.call_id)
        watch = self._agent.watch if self._agent else None
        if self._tools:
            self._no_tools.clear()
            if watch is not None:
                watch.settle()
                watch.hold("tools")
        else:
            self._no_tools.set()
            if watch is not None:
                watch.release("tools")

    def _on_tools_executed(self, event: FunctionToolsExecutedEvent) -> None:
        if event.has_tool_reply and self._agent and self._agent.watch:
            self._agent.watch.expect()

    def _on_close(self, _: CloseEvent) -> None:
        self._agent = None
        for task in self._tasks - self._ending:
            task.cancel()

    # What follows from it.

    def _fail(self, agent: BackendAgent | None, reason: Reason) -> None:
        # Whoever was left has nothing more to say.
        if agent is None or agent is not self._agent or agent.watch is None:
            return
        self._agent = None
        watch = agent.watch
        now = asyncio.get_running_loop().time()
        self._handover.heard |= watch.frames > 0
        self._failures.put_nowait(Failure(agent, reason, now, watch.answering and watch.frames > 0))
        watch.close()

    async def _run(self) -> None:
        while True:
            await self._leave(await self._failures.get())

    async def _leave(self, failure: Failure) -> None:
        backend = failure.agent.backend
        _log.warning(
            "leaving backend", extra={"backend": backend.name, "reason": failure.reason.value}
        )
        self._tell_left(backend, failure.reason)
        self._lineup.failed(backend, failure.reason)
        await self._finish(failure.agent)
        if isinstance(backend, AnnouncementBackend):
            # Its sentence is over now, and it ends the call itself.
            return
        while agent := await self._next():
            if await self._enter(agent, failure):
                return
            self._tell_left(agent.backend, Reason.TIMEOUT)
        _log.error("no backend can carry the call")
        self._ending = set(self._tasks)
        await self._end()

    async def _finish(self, agent: BackendAgent) -> None:
        """Let the caller hear what was received and the tools end; then stop the rest."""
        left = agent.watch.plays_until - asyncio.get_running_loop().time() if agent.watch else 0.0
        if left > 0 and self._speech is not None:
            await _within(self._speech.wait_for_playout(), min(left + _LATE, _PLAYOUT))
        # An interrupted tool would be lost, and be called again by the next backend.
        await self._no_tools.wait()
        await _within(self._session.interrupt(force=True), _INTERRUPT)

    async def _next(self) -> BackendAgent | None:
        if agent := self._lineup.take():
            return agent
        pause = self._lineup.pause()
        if pause is None:
            return None
        await asyncio.sleep(pause)
        return self._lineup.again()

    async def _enter(self, agent: BackendAgent, failure: Failure) -> bool:
        """Hand the conversation to `agent`; tell whether LiveKit took it."""
        await agent.brief(self._words)
        history = self._handover.history()
        # Otherwise LiveKit drops the calls of all tools that are the session's.
        await agent.update_chat_ctx(history, exclude_invalid_function_calls=False)
        agent.opening = self._handover.opening(history, cut_off=failure.cut_off)
        agent.owes_answer = unanswered(history)
        self._watch(agent)
        self._session.update_agent(agent)
        # An error in there is only logged by LiveKit.
        await _within(agent.entered.wait(), _ENTER)
        if not agent.entered.is_set():
            return False
        if self._handover.replay(failure.time) and agent.watch:
            agent.watch.expect()
        self._report(agent, failure)
        self._lineup.prepare()
        return True

    def _report(self, agent: BackendAgent, failure: Failure) -> None:
        seconds = round(asyncio.get_running_loop().time() - failure.time, 3)
        fields = {"backend": agent.backend.name, "seconds": seconds}
        _log.info("backend took over", extra=fields)
        for observer in self._observers:
            observer.entered(agent.backend, seconds)
        if agent.watch and failure.agent.watch:
            self._go(self._report_gap(agent, agent.watch, failure.agent.watch.silent_since))

    async def _report_gap(self, agent: BackendAgent, watch: Watch, since: float) -> None:
        gap = round(await watch.first_sound() - since, 3)
        _log.info("backend is heard", extra={"backend": agent.backend.name, "seconds": gap})
        for observer in self._observers:
            observer.heard(agent.backend, gap)

    def _tell_left(self, backend: Backend, reason: Reason) -> None:
        for observer in self._observers:
            observer.left(backend, reason)

    def _on_run_done(self, run: asyncio.Task[None]) -> None:
        # A switch that broke would leave a caller in a silent room.
        if not run.cancelled() and (error := run.exception()):
            _log.error("the failover broke", exc_info=error)
            self._go(self._end())

    def _go(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _settle(watch: Watch, _: object) -> None:
    watch.settle()


async def _within(work: Awaitable[object], seconds: float) -> None:
    await asyncio.wait({asyncio.ensure_future(work)}, timeout=seconds)
