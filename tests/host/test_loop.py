"""No change of backend holds up the event loop of its call: LiveKit's own monitor says so."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.host import Host
from rig.matrix import Row, rows
from rig.talk import asked, rehearse

if TYPE_CHECKING:
    from collections.abc import Callable

    from rig.caller import Caller
    from rig.livekit_server import LiveKitServer
    from rig.openai_service import OpenAIService

AGENTS = Path(__file__).with_name("failing")
LIMIT = 0.05
ROWS = [row for row in rows() if str(row) in ("realtime question dies_before", "llm question 500")]


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_no_change_of_backend_holds_up_the_event_loop(
    row: Row,
    hosts: Callable[[Host], Host],
    caller: Callable[..., Caller],
    livekit_server: LiveKitServer,
    openai_service: OpenAIService,
    host_environment: dict[str, str],
    tmp_path: Path,
) -> None:
    """The processor's time is what counts: a busy machine holds up everybody."""
    limit = {"LIVEKIT_AGENTS_LOOP_BLOCK_WARN_MS": f"{LIMIT * 1000:.0f}"}
    host = hosts(Host.serve(AGENTS, environment=host_environment | limit, home=tmp_path))
    await host.ready()
    rehearse(openai_service)
    row.begin(openai_service)
    one = caller()
    room = f"{row.agent}-{uuid.uuid4().hex[:8]}"
    await one.join(livekit_server.url, livekit_server.token(room, one.identity))
    await asked(one)
    await host.wait_log("backend is heard", room=room)
    await one.leave()
    await host.wait_log("call ended", room=room)
    blocked = [line for line in host.log if "loop blocked" in line["message"]]
    assert [line for line in blocked if line["cpu_time"] > LIMIT] == []
