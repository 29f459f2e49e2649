"""One host that serves `agents/`, and callers of its agents."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.host import Host

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
    one = Host.serve(agents, environment=environment, home=tmp_path_factory.mktemp("host"))
    yield one.start()
    one.kill()


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
