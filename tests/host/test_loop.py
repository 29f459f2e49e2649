"""No change of backend holds up the event loop of its call: LiveKit's own monitor says so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rig.matrix import Row, rows
from rig.script import Call, Tone
from rig.talk import GREETINGS, asked, rehearse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rig.caller import Caller
    from rig.host import Host
    from rig.openai_service import OpenAIService

    Dial = Callable[..., Awaitable[Caller]]

AGENTS = Path(__file__).with_name("failing")
LIMIT = 0.05
ENVIRONMENT = {"LIVEKIT_AGENTS_LOOP_BLOCK_WARN_MS": f"{LIMIT * 1000:.0f}"}
PLAYED = (
    "realtime start 401",
    "realtime question dies_before",
    "realtime question never_answers",
    "two-realtime question response_failed",
    "llm question 500",
    "stt question 401",
    "tts question 500",
)
ROWS = [row for row in rows() if str(row) in PLAYED]


def blocked(host: Host, room: str) -> list[dict[str, Any]]:
    """Return what the monitor says of a room's call."""
    return [line for line in host.log if "loop blocked" in line["message"] and line["room"] == room]


async def over(host: Host, one: Caller) -> None:
    await one.leave()
    await host.wait_log("call ended", room=one.room.name)


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_no_change_of_backend_holds_up_the_event_loop(
    dial: Dial, host: Host, openai_service: OpenAIService, row: Row
) -> None:
    rehearse(openai_service)
    row.begin(openai_service)
    one = await dial(row.agent)
    await asked(one)
    await host.wait_log("backend is heard", room=one.room.name)
    await over(host, one)
    assert blocked(host, one.room.name) == []


async def test_the_monitor_would_tell(
    dial: Dial, host: Host, openai_service: OpenAIService
) -> None:
    """A tool whose answer takes long to compute, and does hold the loop up, is reported."""
    rehearse(openai_service)
    openai_service.realtime.script = {"": Tone(GREETINGS[0]), "do for me": Call("count")}
    one = await dial("busy")
    await asked(one)
    await one.wait_caption("Counted.")
    await over(host, one)
    assert blocked(host, one.room.name)
