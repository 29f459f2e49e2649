"""When to leave a backend, and how: the next one takes over in the same room."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence

from livekit.agents import AgentSession, CloseEvent

from runner.definition.prompt import CallerNames
from runner.definition.spec import AgentSpec, AnnouncementBackend, Backend
from runner.voice.backends.agent import BackendAgent, Opening
from runner.voice.handover import Handover, unanswered
from runner.voice.line import Line
from runner.voice.lineup import Lineup
from runner.voice.reasons import NOT_ENTERED, SILENT
from runner.voice.signs import Failure, Signs
from runner.voice.watch import Watch
from runner.voice.words import Words

_log = logging.getLogger(__name__)

# Seconds: what was received may play this long, for meanwhile a caller may speak who is not heard
# before it is over; LiveKit's end of it comes a little later than ours.
_PLAYOUT, _LATE = 15.0, 0.3
_INTERRUPT = 2.0
_ENTER = 5.0
# Seconds until an answer that has begun is on its way.
_BEGUN = 0.3
# Seconds within which words that are heard once more are over.
_REPLAYED = 2.0


class Observer:
    """Hears of every change of backend in one call; a subclass overrides what it wants to know."""

    def left(self, backend: Backend, reason: str) -> None:
        """Take note of a backend that failed, or could not be built."""

    def entered(self, backend: Backend) -> None:
        """Take note of one that took over."""

    def heard(self, backend: Backend, gap: float) -> None:
        """Take note of its first sound, for which the caller waited `gap` seconds in silence."""


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
        self._meeting = asyncio.Event()
        self._met = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._connecting: asyncio.Task[None] | None = None

    def first(self) -> BackendAgent | None:
        """Build the first backend that can be built; None if none can."""
        return self._lineup.take()

    async def carry(
        self, session: AgentSession[None], agent: BackendAgent, words: Words, line: Line
    ) -> None:
        """Start `session` with `agent`, and keep it going with whatever backend can."""
        self._session = session
        self._words = words
        self._line = line
        self._handover = Handover(session)
        self._signs = Signs(
            session, self._handover, self._failures.put_nowait, self._lineup.carried
        )
        session.on("close", self._on_close)
        await agent.brief(words, line)
        watch = self._follow(agent)
        # In one go with what was built until here, its start would hold up the loop for 50 ms.
        await asyncio.sleep(0)
        await line.start(session, agent)
        self._handover.started()
        self._prepare(watch)
        # Not before: a session that has not started takes no other agent.
        self._go(self._run()).add_done_callback(self._on_run_done)

    async def meet(self, caller: CallerNames) -> None:
        """Let the backend that carries the call begin: its caller is there."""
        self._met = asyncio.get_running_loop().time()
        self._meeting.set()
        self._words.caller = caller
        if self._signs.agent is not None:
            await self._signs.agent.begin()

    def fail(self, reason: str) -> None:
        """Leave the backend that carries the call, as if it had failed for this `reason`."""
        self._signs.fail(reason)

    def _on_close(self, _: CloseEvent) -> None:
        self._signs.stop()
        for task in self._tasks - self._ending:
            task.cancel()

    async def _run(self) -> None:
        while True:
            await self._leave(await self._failures.get())

    async def _leave(self, failure: Failure) -> None:
        backend = failure.agent.backend
        _log.warning("leaving backend", extra={"backend": backend.name, "reason": failure.reason})
        self._tell_left(backend, failure.reason)
        self._lineup.failed(backend, failure.reason)
        self._handover.keep()
        await self._finish(failure.watch)
        heard_until = min(failure.watch.heard_until, asyncio.get_running_loop().time())
        self._handover.heard_until = max(self._handover.heard_until, heard_until)
        if failure.cut_off and failure.reason == SILENT:
            self._handover.stalled(failure.watch.sounded)
        if isinstance(backend, AnnouncementBackend):
            # Its sentence is over now, and it ends the call itself.
            return
        while agent := await self._next():
            if await self._enter(agent, failure):
                return
            reason = self._told_meanwhile() or NOT_ENTERED
            self._tell_left(agent.backend, reason)
            self._lineup.failed(agent.backend, reason)
        _log.error("no backend can carry the call")
        self._ending = set(self._tasks)
        await self._end()

    def _told_meanwhile(self) -> str:
        """Return the last reason for which a backend that did not enter has failed, if any."""
        reason = ""
        while not self._failures.empty():
            reason = self._failures.get_nowait().reason
        return reason

    async def _finish(self, watch: Watch) -> None:
        """Let the caller hear what was received and the tools end; then stop the rest."""
        left = watch.plays_until - asyncio.get_running_loop().time()
        if left > 0 and self._signs.speech is not None:
            await _within(self._signs.speech.wait_for_playout(), min(left + _LATE, _PLAYOUT))
            self._handover.cut_off |= left > _PLAYOUT
        # An interrupted tool would be lost, and be called again by the next backend.
        await self._signs.tools_over()
        await _within(self._session.interrupt(force=True), _INTERRUPT)

    async def _next(self) -> BackendAgent | None:
        if agent := self._lineup.take():
            return agent
        # Nobody waits yet, and by then it may have recovered.
        await self._meeting.wait()
        pause = self._lineup.pause()
        if pause is None:
            return None
        await asyncio.sleep(pause)
        return self._lineup.again()

    async def _enter(self, agent: BackendAgent, failure: Failure) -> bool:
        """Hand the conversation to `agent`; tell whether LiveKit took it."""
        await agent.brief(self._words, self._line)
        history = self._handover.history()
        # Otherwise LiveKit drops the calls of all tools that are the session's.
        await agent.update_chat_ctx(history, exclude_invalid_function_calls=False)
        agent.opening = self._handover.opening(history)
        agent.owes_answer = unanswered(history)
        # Later it may be the end of words that are heard again.
        quiet = self._handover.quiet_since
        watch = self._follow(agent)
        self._session.update_agent(agent)
        # An error in there is only logged by LiveKit.
        await _within(agent.entered.wait(), _ENTER)
        if not agent.entered.is_set():
            return False
        self._report(agent.backend, failure)
        self._prepare(watch)
        # Whether there are words in it that want an answer, it is the new backend that tells.
        replayed = self._handover.replay(failure.unheard, failure.time)
        if replayed or agent.opening is not Opening.LISTEN:
            self._go(self._report_gap(agent.backend, watch, quiet))
        return True

    def _prepare(self, watch: Watch) -> None:
        self._lineup.prepare()
        if self._connecting is not None:
            self._connecting.cancel()
        self._connecting = self._go(self._connect_next(watch))

    async def _connect_next(self, watch: Watch) -> None:
        # Not before: the caller waits for the present one, and its first words must not be late.
        await watch.first_sound()
        await asyncio.sleep(_BEGUN)
        await self._lineup.keep_connected()

    def _follow(self, agent: BackendAgent) -> Watch:
        # The last backend of a list is given more time when it is tried again.
        times = 2 if self._lineup.tries else 1
        return self._signs.follow(agent, agent.backend.first_audio_timeout * times)

    def _report(self, backend: Backend, failure: Failure) -> None:
        seconds = round(asyncio.get_running_loop().time() - failure.time, 3)
        _log.info("backend took over", extra={"backend": backend.name, "seconds": seconds})
        for observer in self._observers:
            observer.entered(backend)

    async def _report_gap(self, backend: Backend, watch: Watch, quiet: float | None) -> None:
        """Tell how long the caller waits, who is `quiet` since then; None: not yet."""
        replayed = asyncio.get_running_loop().time() + _REPLAYED
        heard = await watch.first_sound()
        latest = self._handover.quiet_since or 0.0
        quiet = latest if quiet is None or latest > replayed else quiet
        gap = round(heard - max(self._handover.heard_until, quiet, self._met), 3)
        _log.info("backend is heard", extra={"backend": backend.name, "seconds": gap})
        for observer in self._observers:
            observer.heard(backend, gap)

    def _tell_left(self, backend: Backend, reason: str) -> None:
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


async def _within(work: Awaitable[object], seconds: float) -> None:
    await asyncio.wait({asyncio.ensure_future(work)}, timeout=seconds)
