"""What a host says of itself over HTTP on loopback: who serves, who calls, if it is ready."""

import asyncio
import errno
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from runner import __version__
from runner.catalog import stamp
from runner.catalog.hosts import Hosts, Listing
from runner.catalog.records import Records, utc
from runner.catalog.reload import Reload
from runner.catalog.serving import Reloaded, Standing
from runner.catalog.stamp import Stamp
from runner.errors import RunnerError

if TYPE_CHECKING:
    from livekit.agents import AgentServer

_log = logging.getLogger(__name__)

_ADDRESS = "127.0.0.1"
_NAMES = (_ADDRESS, "localhost")
#: Seconds that an answer under way gets when the host ends.
_LINGER = 1.0
#: LiveKit's own, until a server has given it one.
_NO_WORKER = "unregistered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A host as it is at this moment; no prompt, no word of a caller and no key is in it.

    `server` and `url` are LiveKit's, None for a host of the studio alone, whose running calls are
    `in_studio`, by agent and revision. `state` is the state folder, `started` when the host did, as
    of `time.time()`.
    """

    agents: Reload
    state: Path
    server: "AgentServer | None" = None
    url: str | None = None
    in_studio: Callable[[], Iterable[tuple[str, str]]] = tuple
    started: float = field(default_factory=time.time)

    def trouble(self) -> str:
        """Return why no call should come here; empty if calls may."""
        if self.server and self.server.draining:
            return "draining: no new calls"
        if self.server and not self._is_registered():
            return "not registered with LiveKit"
        if not self.agents.serving.catalog.specs:
            return "no agent to serve"
        return ""

    def report(self) -> dict[str, Any]:
        """Return everything as plain values; times are ISO 8601 in UTC."""
        serving = self.agents.serving
        return {
            "host": self._host(),
            "agents": [_agent(standing) for standing in serving.agents.values()],
            "calls": self._calls(),
            "last_reload": serving.last and _reload(serving.last),
        }

    def _host(self) -> dict[str, Any]:
        trouble = self.trouble()
        server = self.server
        return {
            "machine": socket.gethostname(),
            "pid": os.getpid(),
            "version": __version__,
            "started": utc(self.started),
            "folder": str(self.agents.folder.absolute()),
            "livekit": self.url,
            "registered": self._is_registered(),
            "worker": server.id if server and self._is_registered() else None,
            "draining": server.draining if server else False,
            "ready": not trouble,
            "trouble": trouble or None,
        }

    def _is_registered(self) -> bool:
        # LiveKit tells of a new connection, and of a lost one only here.
        server = self.server
        return bool(server and server.id != _NO_WORKER and not server._connecting)

    def _calls(self) -> list[dict[str, Any]]:
        """Count the running calls; an agent that is known only by the number may be None yet."""
        server = self.server
        jobs = server.active_jobs if server and server.id != _NO_WORKER else []
        stamps = {one.job.id: stamp.read(one.job.attributes) for one in jobs}
        known = {
            call: (one.agent, one.revision)
            for call, one in stamps.items()
            if isinstance(one, Stamp)
        }
        if len(known) < len(stamps):
            known |= {one.id: (one.agent, one.revision) for one in Records(self.state).running()}
        counted: Counter[tuple[str | None, str | None]] = Counter(self.in_studio())
        counted.update(known.get(call, (None, None)) for call in stamps)
        return [
            {"agent": agent, "revision": revision, "calls": calls}
            for (agent, revision), calls in sorted(counted.items(), key=str)
        ]


@asynccontextmanager
async def served(status: Status, port: int) -> AsyncIterator[None]:
    """Answer on a port of loopback, a free one if `port` is 0, and list the host with it.

    Raises:
        RunnerError: the port cannot be had.
    """
    runner = web.AppRunner(_app(status), access_log=None, shutdown_timeout=_LINGER)
    await runner.setup()
    try:
        with ExitStack() as listed:
            try:
                await web.TCPSite(runner, _ADDRESS, port).start()
            except OSError as error:
                raise RunnerError(_refusal(port, error)) from error
            port = runner.addresses[0][1]
            _log.info("telling the status", extra={"url": f"http://{_ADDRESS}:{port}/"})
            try:
                listed.enter_context(_listing(status, port))
            except RunnerError as error:
                # Calls can be answered all the same.
                _log.warning("runner status will not find it", extra={"reason": str(error)})
            yield
    finally:
        await runner.cleanup()


def _listing(status: Status, port: int) -> AbstractContextManager[None]:
    host = Listing(
        machine=socket.gethostname(), pid=os.getpid(), port=port, started=utc(status.started)
    )
    return Hosts(status.state).listed(host)


def _refusal(port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {_ADDRESS} is taken; choose another with --status-port"
    reason = os.strerror(error.errno or 0)
    return f"cannot use port {port} of {_ADDRESS} ({reason}); choose another with --status-port"


def _app(status: Status) -> web.Application:
    async def report(_: web.Request) -> web.Response:
        # Aside: with a thousand agents it takes longer than a call should wait.
        return web.json_response(await asyncio.to_thread(status.report))

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        trouble = status.trouble()
        return web.Response(status=503 if trouble else 200, text=f"{trouble or 'ready'}\n")

    pages = {"/": report, "/status": report, "/healthz": healthz, "/readyz": readyz}
    app = web.Application(middlewares=[_for_this_machine])
    app.add_routes(web.get(path, page, allow_head=False) for path, page in pages.items())
    return app


@web.middleware
async def _for_this_machine(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    # A page on the web may let a name of its own lead here, and would then be shown everything.
    if request.host.partition(":")[0] not in _NAMES:
        raise web.HTTPForbidden(text=f"ask for {_ADDRESS} by its number\n")
    return await handler(request)


def _agent(standing: Standing) -> dict[str, Any]:
    rejected = standing.rejected
    return {
        "id": standing.id,
        "name": standing.name,
        "path": standing.path,
        "state": standing.state,
        "revision": standing.digest,
        "since": _time(standing.since),
        "rejected": rejected
        and {
            "since": utc(rejected.since),
            "diagnostics": [finding.as_json() for finding in sorted(rejected.diagnostics)],
        },
    }


def _reload(last: Reloaded) -> Mapping[str, Any]:
    return asdict(last) | {"at": utc(last.at), "seconds": round(last.seconds, 3)}


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else utc(seconds)
