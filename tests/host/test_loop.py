"""No change of backend holds up the event loop of its call: LiveKit's own monitor says so."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rig.matrix import Row, rows
from rig.talk import asked, rehearse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rig.caller import Caller
    from rig.host import Host
    from rig.openai_service import OpenAIService

    Dial = Callable[..., Awaitable[Caller]]

AGENTS = Path(__file__).with_name("failing")
LIMIT = 0.05
ENVIRONMENT = {"LIVEKIT_AGENTS_LOOP_BLOCK_WARN_MS": f"{LIMIT * 1000:.0f}"}
TRIES = 3
PLAYED = (
    "realtime start 401",
    "realtime question dies_before",
    "realtime question never_answers",
    "realtime mid-answer stalls",
    "realtime tool dies_after",
    "realtime speaking deaf",
    "two-realtime question response_failed",
    "llm question 500",
    "stt question 401",
    "tts question 500",
)
ROWS = [row for row in rows() if str(row) in PLAYED]


async def over(host: Host, one: Caller) -> list[dict[str, Any]]:
    """Let the call end; return what the monitor has said of it."""
    await one.leave()
    await host.wait_log("call ended", room=one.room.name)
    told = [line for line in host.log if "loop blocked" in line["message"]]
    return [line for line in told if line.get("room") == one.room.name]


def places(told: list[dict[str, Any]]) -> set[str]:
    """Return the files and functions in which the loop was held up, as far as that was seen."""
    found = [re.search(r'at "(.+)", line \d+, in (\w+)', line["message"]) for line in told]
    return {" ".join(place.groups()) if place else "unseen" for place in found}


async def switched(
    dial: Dial, host: Host, service: OpenAIService, row: Row
) -> list[dict[str, Any]]:
    """Play the row from the beginning; return what the monitor says of the call."""
    service.reset()
    shutil.rmtree(host.state / "backends", ignore_errors=True)
    row.rehearse(service)
    row.begin(service)
    one = await dial(row.agent)
    await asked(one)
    await host.wait_log("backend is heard", room=one.room.name)
    return await over(host, one)


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_no_change_of_backend_holds_up_the_event_loop(
    dial: Dial, host: Host, openai_service: OpenAIService, row: Row
) -> None:
    """A busy machine holds up a call somewhere; what the change itself does, at the same place.

    The processor's time is nobody else's.
    """
    common: set[str] | None = None
    for _ in range(TRIES):
        told = await switched(dial, host, openai_service, row)
        assert [line for line in told if line["cpu_time"] > LIMIT] == []
        common = places(told) & (places(told) if common is None else common)
        if not common:
            return
    pytest.fail(f"each of {TRIES} calls was held up in {common}")


async def test_the_monitor_would_tell(
    dial: Dial, host: Host, openai_service: OpenAIService
) -> None:
    """A prompt that takes long to render, and does hold the loop up, is reported."""
    rehearse(openai_service)
    one = await dial("busy")
    await one.wait_heard()
    assert [line for line in await over(host, one) if line["cpu_time"] > LIMIT]
