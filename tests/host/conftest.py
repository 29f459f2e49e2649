"""One host that serves `agents/`, and callers of its agents."""

from __future__ import annotations

import asyncio
import os
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

COLUMNS = ("case", "heard", "gap", "bar", "outcome")
AGENTS = Path(__file__).with_name("agents")
Dial = Callable[..., Awaitable["Caller"]]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what callers heard; keep it as Markdown in the file that `FAULT_REPORT` names."""
    reports = [one for kind in ("passed", "failed") for one in terminalreporter.getreports(kind)]
    measured = [dict(one.user_properties) | {"outcome": one.outcome} for one in reports]
    lines = [[str(one.get(name, "")) for name in COLUMNS] for one in measured if "case" in one]
    if not lines:
        return
    widths = [max(map(len, column)) for column in zip(COLUMNS, *lines, strict=True)]
    rule = ["-" * width for width in widths]
    padded = [
        "| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in (COLUMNS, rule, *lines)
    ]
    terminalreporter.section("what callers heard, seconds of silence")
    for line in padded:
        terminalreporter.write_line(line)
    if name := os.environ.get("FAULT_REPORT"):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(padded) + "\n", "utf-8")


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Set columns of the test's line in the report."""

    def set_(**columns: object) -> None:
        for name, value in columns.items():
            assert name in COLUMNS
            record_property(name, str(value))

    return set_


@pytest.fixture(scope="module")
def host(
    request: pytest.FixtureRequest,
    livekit_server: LiveKitServer,
    running_openai_service: OpenAIService,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Host]:
    """Serve the module's `AGENTS`, else `agents/`, for all of its tests; add its `ENVIRONMENT`."""
    agents = getattr(request.module, "AGENTS", AGENTS)
    environment = {**livekit_server.environment, **running_openai_service.environment}
    environment |= getattr(request.module, "ENVIRONMENT", {})
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
