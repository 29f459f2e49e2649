"""The studio's server: the page, what it is told, and its calls.

It serves before anything of LiveKit is imported, which takes seconds and is done meanwhile.
"""

import asyncio
import errno
import gc
import logging
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Protocol

from aiohttp import web

from runner.catalog.records import Records
from runner.catalog.serving import Serving
from runner.definition.spec import AgentSpec
from runner.errors import RunnerError
from runner.host.studio import files, shown
from runner.host.studio.feed import Feed
from runner.host.studio.gate import Gate
from runner.host.studio.wire import STOPPED, Wire
from runner.voice.rehearsal import missing_keys

_log = logging.getLogger(__name__)

#: Where the studio is, unless another has that port: then at one of those that follow.
HOST, PORT = "127.0.0.1", 8090
_PORTS = 20
#: Seconds for calls to be taken down when the studio stops.
_STOP = 10.0

#: What a call needs and any thread may import; the most of the time is spent in these.
_HEAVY = ("livekit.agents", "openai.resources.chat.completions", "openai.types.realtime")


class Agents(Protocol):
    """What is served, as it changes."""

    @property
    def serving(self) -> Serving:
        """All agents as they are now."""


class Studio:
    """Serves the page at `host`, at `port` or else at the first free one of its own.

    `agents` are asked anew for every call; records of calls are below the folder `state`.
    """

    def __init__(
        self,
        agents: Agents,
        state: Path,
        *,
        host: str = HOST,
        port: int | None = None,
        page: Path = files.PAGE,
    ) -> None:
        self._agents = agents
        self._host = host
        self._ports = range(PORT, PORT + _PORTS) if port is None else (port,)
        self._gate = Gate(host)
        self._files = files.read(page)
        self._feed = Feed(lambda: agents.serving, Records(state))
        self._calls: list[tuple[str, str]] = []
        self._stopped = asyncio.Event()
        self._warming: asyncio.Task[None] | None = None

    def calls(self) -> Sequence[tuple[str, str]]:
        """Return the agent and the revision of every call that is on."""
        return tuple(self._calls)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Serve; yield the address, with its token if it has one.

        Raises:
            RunnerError: there is no port to serve at.
        """
        listening = _listening(self._host, self._ports)
        port = listening.getsockname()[1]
        runner = web.AppRunner(self._app(port), access_log=None, shutdown_timeout=_STOP)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        address = _address(self._host, port)
        _log.info("studio ready", extra={"url": address})
        self._warming = asyncio.create_task(_warm(rehearses=self._rehearses()))
        try:
            yield f"{address}?token={self._gate.token}" if self._gate.token else address
        finally:
            self._stopped.set()
            self._warming.cancel()
            await runner.cleanup()

    def _rehearses(self) -> bool:
        return any(map(missing_keys, self._agents.serving.catalog.specs.values()))

    def _app(self, port: int) -> web.Application:
        app = web.Application()
        self._gate.stand_before(app, port)
        app.router.add_get("/", self._index)
        app.router.add_get("/page/{name:.+}", self._file)
        app.router.add_get("/agents", self._list)
        app.router.add_get("/events", self._events)
        app.router.add_get("/call", self._call)
        return app

    async def _index(self, _: web.Request) -> web.Response:
        return self._sent("index.html")

    async def _file(self, request: web.Request) -> web.Response:
        return self._sent(request.match_info["name"])

    def _sent(self, name: str) -> web.Response:
        if name not in self._files:
            raise web.HTTPNotFound
        return self._files[name].response()

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(shown.agents, self._agents.serving))

    async def _events(self, request: web.Request) -> web.WebSocketResponse:
        return await self._feed.follow(request, self._stopped)

    async def _call(self, request: web.Request) -> web.WebSocketResponse:
        wire = await Wire.open(request)
        agent = request.query.get("agent", "")
        spec = self._agents.serving.catalog.specs.get(agent)
        if spec is None:
            await wire.end(f"no agent {agent!r} can be called")
        elif not await self._is_warm():
            await wire.end(STOPPED)
        else:
            from runner.host.studio import call

            with self._counted(spec):
                await call.hold(wire, spec, lambda: self._revision(agent), self._stopped)
        return wire.response

    @contextmanager
    def _counted(self, spec: AgentSpec) -> Iterator[None]:
        one = (spec.id, spec.digest)
        self._calls.append(one)
        try:
            yield
        finally:
            self._calls.remove(one)

    async def _is_warm(self) -> bool:
        """Wait until calls can be held; return False if the studio is stopped before."""
        if self._warming is not None:
            stopped = asyncio.create_task(self._stopped.wait())
            await asyncio.wait((self._warming, stopped), return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
        return not self._stopped.is_set()

    def _revision(self, agent: str) -> str | None:
        spec = self._agents.serving.catalog.specs.get(agent)
        return None if spec is None else spec.digest


async def _warm(*, rehearses: bool) -> None:
    """Import what calls need, without holding up the page for long."""
    for name in _HEAVY:
        await asyncio.to_thread(import_module, name)
    # LiveKit registers its plugins in the main thread alone.
    import_module("runner.voice.call")
    await asyncio.to_thread(import_module, "runner.voice.warm")
    if rehearses:
        from runner.voice.rehearsal import ready

        await asyncio.to_thread(ready.make)
    # Now and then Python looks through all that is imported, for 0.2 s: not while somebody calls.
    gc.collect()
    gc.freeze()


def _listening(host: str, ports: Sequence[int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in ports:
        try:
            return socket.create_server((host, port), family=family)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise RunnerError(
                    f"cannot serve at {host}, port {port}: {error.strerror}"
                ) from error
    taken = f"port {ports[0]} is" if len(ports) == 1 else f"ports {ports[0]} to {ports[-1]} are"
    raise RunnerError(f"{taken} taken; name another with --port")


def _address(host: str, port: int) -> str:
    name = socket.gethostname() if host in ("0.0.0.0", "::") else host
    return f"http://{f'[{name}]' if ':' in name else name}:{port}/"
