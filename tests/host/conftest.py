"""One host that serves `agents/`, and callers of its agents."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.host import Host

from runner.catalog.announcements import announcement
from runner.definition.loader import load
from runner.definition.spec import AnnouncementBackend

if TYPE_CHECKING:
    from rig.caller import Caller
    from rig.livekit_server import LiveKitServer
    from rig.openai_service import OpenAIService

AGENTS = Path(__file__).with_name("agents")
Dial = Callable[..., Awaitable["Caller"]]


@pytest.fixture(scope="module")
def host(
    request: pytest.FixtureRequest,
    livekit_server: LiveKitServer,
    running_openai_service: OpenAIService,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Host]:
    """Serve the module's `AGENTS`, else `agents/`, for all of its tests."""
    agents = getattr(request.module, "AGENTS", AGENTS)
    environment = {**livekit_server.environment, **running_openai_service.environment}
    # It has announcements spoken as it starts: no fault that an earlier module left may hit that.
    running_openai_service.reset()
    one = Host.serve(agents, environment=environment, home=tmp_path_factory.mktemp("host"))
    one.start()
    try:
        asyncio.run(_announced(one, agents))
        yield one
    finally:
        one.kill()


async def _announced(host: Host, agents: Path) -> None:
    """Wait until every announcement is spoken: from then on the TTS is asked by calls alone."""
    ways = {
        announcement(spec, backend)
        for spec in load([agents]).specs.values()
        for backend in spec.backends
        if isinstance(backend, AnnouncementBackend)
    }
    if ways:
        await host.wait_log("announcement spoken beforehand", count=len(ways))


@pytest.fixture
def dial(
    livekit_server: LiveKitServer,
    openai_service: OpenAIService,
    host: Host,
    caller: Callable[..., Caller],
) -> Dial:
    """Join a new room of an agent, or `room`; other keywords go to the caller's token."""
    # What an earlier test's call has learnt of its backends is not this one's.
    shutil.rmtree(host.state / "backends", ignore_errors=True)

    async def join(
        agent: str, *, room: str | None = None, subscribe: bool = True, **token: object
    ) -> Caller:
        await host.ready()
        one = caller()
        room = room or f"{agent}-{uuid.uuid4().hex[:8]}"
        grant = livekit_server.token(room, one.identity, **token)
        await one.join(livekit_server.url, grant, subscribe=subscribe)
        return one

    return join
