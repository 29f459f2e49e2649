"""The host: registers with LiveKit, says which agent answers a room, and drains at the end."""

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from livekit.agents import AgentServer, JobRequest
from livekit.protocol.agent import Job

from runner.catalog import stamp
from runner.catalog.catalog import ByNumber, Catalog, NoRoute, RoomRequest, Route
from runner.catalog.records import Records
from runner.catalog.reload import Reload
from runner.catalog.store import Store
from runner.definition.spec import AgentSpec
from runner.errors import RunnerError
from runner.host import access, chores, job
from runner.host.access import Access
from runner.host.again import Again
from runner.host.recording import Recording
from runner.host.status import Status, served

_log = logging.getLogger(__name__)

_INTERRUPTED = 130


class Worker:
    """Serves on LiveKit what `agents` holds at each moment.

    `drain` is how long running calls may take to end by themselves, in seconds; `status_port` is
    where the status is told, 0 for any free port; it counts the calls `in_studio` as well.
    """

    def __init__(
        self,
        agents: Reload,
        store: Store,
        livekit: Access,
        *,
        name: str = "",
        drain: float,
        status_port: int = 0,
        recording: Recording,
        in_studio: Callable[[], Iterable[tuple[str, str]]] = tuple,
    ) -> None:
        self._agents = agents
        self._livekit = livekit
        self._drain = drain
        self._recording = recording
        self._store = store
        self._status_port = status_port
        self._in_studio = in_studio
        self._stop = asyncio.Event()
        recording.export(store.state)
        # LiveKit's own ways to name a worker, which would silence automatic dispatch unseen.
        for variable in ("LIVEKIT_AGENT_NAME", "LIVEKIT_AGENT_NAME_OVERRIDE"):
            os.environ.pop(variable, None)
        # 244 MB of turn detector, which no backend uses.
        os.environ.setdefault("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "0")
        self._server = AgentServer(
            ws_url=livekit.url,
            api_key=livekit.key,
            api_secret=livekit.secret,
            host="127.0.0.1",
            port=0,
            num_idle_processes=2,
            load_fnc=_load,
            load_threshold=float("inf"),
            setup_fnc=job.set_up,
            preload_modules=job.PRELOAD,
        )
        self._server.rtc_session(job.answer, agent_name=name, on_request=self._on_request)
        self._again = Again(livekit, Records(store.state), self._running)
        self._server.on("worker_registered", self._on_registered)

    async def run(self) -> None:
        """Serve until a signal asks to stop, then let running calls end.

        Raises:
            RunnerError: LiveKit cannot be reached, or refuses the key; the port is taken.
        """
        await access.check(self._livekit)
        # What is there by now stays; to go through it again would stop the host for 0.15 s.
        gc.collect()
        gc.freeze()
        background = chores.done(self._agents, self._store, keep_calls=self._recording.days)
        async with background, served(self._status(), self._status_port):
            await self._serve()

    async def _serve(self) -> None:
        with self._signals():
            serving = asyncio.create_task(self._server.run())
            stopping = asyncio.create_task(self._stop.wait())
            await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                await self._end()
            stopping.cancel()
            await _finished(serving)

    async def _on_request(self, request: JobRequest) -> None:
        catalog = self._agents.serving.catalog
        route = catalog.route(_room_request(request))
        room = {"room": request.room.name}
        if isinstance(route, NoRoute):
            _log.warning("job turned down", extra=room | {"looked_for": route.looked_for})
            # Another worker may have the agent.
            await request.reject(terminate=False)
            return
        name, fields = "", room
        if isinstance(route, Route):
            name = route.spec.name
            fields = room | {"agent": route.spec.id, "revision": route.spec.digest}
        if route.ignored:
            ignored = "; ".join(route.ignored)
            _log.warning("ignored what came with the job", extra=fields | {"ignored": ignored})
        offered = Job()
        offered.CopyFrom(request.job)
        # In a thread: a folder may have a thousand agents with numbers.
        carried = await asyncio.to_thread(self._carried, _candidates(route, catalog))
        # The job process gets this very message; what `accept` is given only reaches the room.
        request.job.attributes.update(stamp.attributes(route, carried))
        _log.info("job accepted", extra=fields | {"because": route.because})
        try:
            await request.accept(name=name, attributes=stamp.public(route))
        finally:
            # LiveKit only logs that there was no process for a job which is ours by then.
            self._again.watch(offered)

    def _carried(self, specs: Iterable[AgentSpec]) -> dict[str, str]:
        """Return the agents that the disk has lost and does not take, as snapshots by their id."""
        return {spec.id: spec.to_json() for spec in specs if not self._keeps(spec)}

    def _keeps(self, spec: AgentSpec) -> bool:
        """Tell whether the job can read the agent's snapshot, which is written anew if lost."""
        if self._store.holds(spec):
            return True
        fields = {"agent": spec.id, "revision": spec.digest}
        try:
            self._store.put(spec)
        except RunnerError as error:
            _log.error("the agent goes with the job", extra=fields | {"reason": str(error)})
            return False
        _log.warning("a lost or damaged snapshot is written anew", extra=fields)
        return True

    def _on_registered(self, worker: str, _: object) -> None:
        _log.info("registered worker", extra={"worker": worker, "url": self._livekit.url})

    async def _end(self) -> None:
        calls = len(self._server.active_jobs)
        _log.info("draining: no new calls", extra={"calls": calls, "seconds": self._drain})
        try:
            # To LiveKit a time-out of 0 would be none.
            await asyncio.wait_for(self._server.drain(timeout=None), self._drain)
        except TimeoutError:
            _log.warning("ending calls", extra={"calls": len(self._server.active_jobs)})
        await self._server.aclose()

    def _running(self) -> set[str]:
        return {running.job.id for running in self._server.active_jobs}

    def _status(self) -> Status:
        return Status(
            agents=self._agents,
            state=self._store.state,
            server=self._server,
            url=self._livekit.url,
            in_studio=self._in_studio,
        )

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        if not self._stop.is_set():
            self._stop.set()
            return
        _log.warning("ending at once", extra={"calls": len(self._server.active_jobs)})
        for child in multiprocessing.active_children():
            child.kill()
        # Nothing is left to wait for, and LiveKit would wait for its processes.
        os._exit(_INTERRUPTED)


async def _finished(serving: asyncio.Task[None]) -> None:
    try:
        await serving
    except RuntimeError as error:
        raise RunnerError(f"LiveKit is lost: {error}; check that the server is running") from error


def _load(server: AgentServer) -> float:
    """Grow with the calls that are on, so that hosts share the rooms; stay below 0.7.

    From there on LiveKit's server offers a worker nothing and leaves the room silent, which is
    worse for a caller than a busy machine.
    """
    calls = len(server.active_jobs)
    return 0.69 * calls / (calls + 10)


def _candidates(route: Route | ByNumber, catalog: Catalog) -> list[AgentSpec]:
    """Return all who may answer."""
    if isinstance(route, Route):
        return [route.spec]
    return [catalog.specs[agent] for agent in sorted(route.agents)]


def _room_request(request: JobRequest) -> RoomRequest:
    return RoomRequest(
        room=request.room.name,
        room_metadata=request.room.metadata,
        dispatch_metadata=request.job.metadata,
        dispatch_agent=request.job.attributes.get("agent", ""),
    )
