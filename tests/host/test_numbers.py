"""Calls by phone, answered by the number that was called; a caller's tone says by whom."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from livekit import api
from rig.host import Host

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rig.caller import Caller
    from rig.livekit_server import LiveKitServer
    from rig.openai_service import OpenAIService

    Dial = Callable[..., Awaitable[Caller]]

AGENTS = Path(__file__).with_name("phones")
REALTIME, PIPELINE = 440, 880
OURS, OTHER = "+4930123456", "+4930123457"


def by_phone(called: str) -> dict[str, object]:
    """What LiveKit's SIP service puts into the token of somebody who called a number."""
    numbers = {"sip.trunkPhoneNumber": called, "sip.phoneNumber": "+15551234567"}
    return {"kind": "sip", "attributes": numbers}


async def present(server: LiveKitServer, room: str) -> list[str]:
    """Ask LiveKit who is in a room: an agent that leaves at once is seen by nobody in it."""
    async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as livekit:
        listed = await livekit.room.list_participants(api.ListParticipantsRequest(room=room))
    return [participant.identity for participant in listed.participants]


@pytest.mark.parametrize("called", [OURS, OURS.removeprefix("+")])
async def test_a_number_is_answered_by_its_agent(dial: Dial, host: Host, called: str) -> None:
    """The agent is known once the caller is there: in the log, and to everybody in the room."""
    one = await dial("call", **by_phone(called))
    await one.wait_heard(REALTIME)
    assert one.heard(PIPELINE) == 0
    room = {"room": one.room.name}
    accepted = await host.wait_log("job accepted", **room)
    assert accepted["because"] == "the number, once it is known"
    assert "agent" not in accepted
    chosen = await host.wait_log("agent chosen", **room)
    assert (chosen["agent"], chosen["because"]) == ("sales", f"number {OURS}")
    assert one.attributes["runner.agent"] == "sales"
    assert one.attributes["runner.revision"] == chosen["revision"]
    assert one.agent is not None
    assert one.agent.name == "Sales Line"
    await one.leave()
    await host.wait_log("call ended", **room, agent="sales", revision=chosen["revision"])


async def test_another_number_and_a_web_caller_hear_the_default(dial: Dial, host: Host) -> None:
    """So does a web caller who claims to have called the number."""
    forged = {"sip.trunkPhoneNumber": OURS}
    callers = await asyncio.gather(
        dial("call", **by_phone(OTHER)), dial("call"), dial("call", attributes=forged)
    )
    for one in callers:
        await one.wait_heard(PIPELINE)
        assert one.heard(REALTIME) == 0
        chosen = await host.wait_log("agent chosen", room=one.room.name)
        assert (chosen["agent"], chosen["because"]) == ("rest", "default")


async def test_what_the_call_brings_reaches_the_agent_of_the_number(
    dial: Dial, host: Host, openai_service: OpenAIService
) -> None:
    """Variables are fitted to the agent that was chosen, and what does not fit is said."""
    brought = json.dumps({"variables": {"caller_name": "Ada", "shoe": 42}})
    room = api.RoomConfiguration(metadata=brought)
    one = await dial("call", room_config=room, **by_phone(OURS))
    await one.wait_heard(REALTIME)
    update = await openai_service.realtime.journal.wait("session.update", _has_instructions)
    assert "You sell to Ada." in update.event["session"]["instructions"]
    line = await host.wait_log("ignored what came with the job", room=one.room.name)
    assert (line["agent"], line["ignored"]) == (
        "sales",
        "variables: 1 that the agent does not declare",
    )


async def test_a_room_of_the_agent_s_waits_for_no_number(dial: Dial, host: Host) -> None:
    """A pattern comes before numbers: the host knows the agent when it accepts the job."""
    one = await dial("sales", **by_phone(OTHER))
    await one.wait_heard(REALTIME)
    accepted = await host.wait_log("job accepted", room=one.room.name)
    assert (accepted["agent"], accepted["because"]) == ("sales", "room pattern sales-*")


async def test_a_number_of_nobody_ends_the_job(
    caller: Callable[..., Caller],
    hosts: Callable[[Host], Host],
    host_environment: dict[str, str],
    livekit_server: LiveKitServer,
    tmp_path: Path,
) -> None:
    """Without a default one line says what was looked for, and the agent leaves the room."""
    folder = tmp_path / "agents"
    shutil.copytree(AGENTS, folder)
    (folder / "rest.yaml").write_text("prompt: You wait.\nanswers: {rooms: []}\n")
    serving = Host.serve(
        folder, "--worker-name", "alone", environment=host_environment, home=tmp_path / "home"
    )
    host = await hosts(serving).ready()
    one = caller()
    token = livekit_server.token("call-1", one.identity, agent="alone", **by_phone(OTHER))
    await one.join(livekit_server.url, token)
    line = await host.wait_log("no agent for this call", level="WARNING")
    assert (line["room"], line["looked_for"]) == (
        "call-1",
        f"a pattern for 'call-1'; the number '{OTHER}'; a default",
    )
    async with asyncio.timeout(10):
        while await present(livekit_server, "call-1") != [one.identity]:
            pass
    assert one.spans == []
    assert not [line for line in host.log if line["level"] == "ERROR"]


def _has_instructions(event: dict[str, Any]) -> bool:
    return "instructions" in event["session"]
