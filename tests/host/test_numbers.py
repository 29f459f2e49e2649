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

from runner.catalog.records import Records
from runner.catalog.store import Store

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


@pytest.fixture
async def alone(
    hosts: Callable[[Host], Host], host_environment: dict[str, str], tmp_path: Path
) -> Host:
    """Start a host of its own for the worker name `alone`, without a default agent."""
    folder = tmp_path / "agents"
    shutil.copytree(AGENTS, folder)
    (folder / "rest.yaml").write_text("prompt: You wait.\nanswers: {rooms: []}\n")
    serving = Host.serve(
        folder, "--worker-name", "alone", environment=host_environment, home=tmp_path / "home"
    )
    return await hosts(serving).ready()


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
    await one.wait_named("Sales Line")
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


async def test_lost_snapshots_cost_no_call_to_a_number(dial: Dial, host: Host) -> None:
    """The host has all who may answer written anew before anybody knows who does."""
    await host.ready()
    lost, damaged = sorted((host.state / "agents").glob("*.json"))
    lost.unlink()
    damaged.write_text("{}")
    one = await dial("call", **by_phone(OURS))
    await one.wait_heard(REALTIME)
    for snapshot in (lost, damaged):
        agent, revision = snapshot.stem.split("@")
        line = await host.wait_log("a lost or damaged snapshot is written anew", agent=agent)
        assert line["revision"] == revision
        assert Store(host.state).get(agent, revision)


async def test_a_lost_state_folder_costs_no_call_to_a_number(dial: Dial, host: Host) -> None:
    """All who may answer go with the job, from the host's memory."""
    await host.ready()
    away = host.state.rename(host.state.with_name("away"))
    host.state.write_text("no folder")
    try:
        one = await dial("call", **by_phone(OURS))
        await one.wait_heard(REALTIME)
        assert one.attributes["runner.agent"] == "sales"
        two = await dial("call", **by_phone(OTHER))
        await two.wait_heard(PIPELINE)
        for agent in ("rest", "sales"):
            fields = {"agent": agent, "level": "ERROR", "count": 2}
            await host.wait_log("the agent goes with the job", **fields)
    finally:
        host.state.unlink()
        away.rename(host.state)


async def test_a_job_that_dies_before_it_has_decided_is_replaced(
    alone: Host, caller: Callable[..., Caller], livekit_server: LiveKitServer
) -> None:
    """Its caller comes later, and is answered as if nothing had happened."""
    server, room = livekit_server, "early-1"
    async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as livekit:
        dispatch = api.RoomAgentDispatch(agent_name="alone")
        await livekit.room.create_room(api.CreateRoomRequest(name=room, agents=[dispatch]))
    async with asyncio.timeout(10):
        while not await present(server, room):
            pass
    await asyncio.to_thread(alone.kill_only_call)
    one = caller()
    await one.join(server.url, server.token(room, one.identity, **by_phone(OURS)))
    await alone.wait_log("a call has crashed", room=room)
    await alone.wait_log("job accepted", room=room, count=2)
    await one.wait_heard(REALTIME)


async def test_a_number_of_nobody_ends_the_job(
    alone: Host, caller: Callable[..., Caller], livekit_server: LiveKitServer
) -> None:
    """Without a default one line says what was looked for, and the agent leaves the room."""
    one = caller()
    token = livekit_server.token("call-1", one.identity, agent="alone", **by_phone(OTHER))
    await one.join(livekit_server.url, token)
    line = await alone.wait_log("no agent for this call", level="WARNING")
    assert (line["room"], line["looked_for"]) == (
        "call-1",
        f"a pattern for 'call-1'; the number '{OTHER}'; a default",
    )
    async with asyncio.timeout(10):
        while await present(livekit_server, "call-1") != [one.identity]:
            pass
    assert one.spans == []
    (path,) = Records(alone.state).paths()
    record = Records(alone.state).read(path)
    assert (record.agent, record.reason) == ("", "no agent for this call")
    assert record.because == f"looked for {line['looked_for']}"
    # The host has had the time to look whether the first call has crashed.
    for room in ("call-2", "call-3"):
        other = caller()
        await other.join(livekit_server.url, livekit_server.token(room, room, agent="alone"))
        await alone.wait_log("no agent for this call", room=room)
        async with asyncio.timeout(10):
            while len(await present(livekit_server, room)) != 1:
                pass
    assert not [line for line in alone.log if line["level"] == "ERROR"]


def _has_instructions(event: dict[str, Any]) -> bool:
    return "instructions" in event["session"]
