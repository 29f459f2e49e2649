"""Rooms that are made before their caller comes: the agent is there, and waits."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from livekit import api
from rig.openai_realtime import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rig.caller import Caller
    from rig.host import Host
    from rig.livekit_server import LiveKitServer
    from rig.openai_service import OpenAIService

    Dial = Callable[..., Awaitable[Caller]]
    MakeRoom = Callable[[str], Awaitable[str]]

AGENTS = Path(__file__).with_name("failing")
REALTIME, PIPELINE = 440, 880


@pytest.fixture
def make_room(livekit_server: LiveKitServer, host: Host) -> MakeRoom:
    """Make a room of an agent, and wait until the agent is in it."""

    async def make(agent: str) -> str:
        await host.ready()
        room = f"{agent}-{uuid.uuid4().hex[:8]}"
        server = livekit_server
        async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as livekit:
            await livekit.room.create_room(api.CreateRoomRequest(name=room))
        await host.wait_log("using agent", room=room)
        return room

    return make


async def test_the_greeting_waits_for_the_caller(
    dial: Dial, make_room: MakeRoom, openai_service: OpenAIService
) -> None:
    room = await make_room("spoken")
    await openai_service.realtime.journal.wait("session.update")
    assert not openai_service.realtime.journal.of("response.create")
    one = await dial("spoken", room=room)
    await one.wait_heard(REALTIME)
    assert len(openai_service.realtime.journal.of("response.create")) == 1


async def test_a_backend_that_fails_before_the_caller_comes_is_not_heard(
    dial: Dial, host: Host, make_room: MakeRoom, openai_service: OpenAIService
) -> None:
    openai_service.realtime.fault = Fault("401")
    room = await make_room("spoken")
    await host.wait_log("backend took over", room=room)
    one = await dial("spoken", room=room)
    await one.wait_heard(PIPELINE)
    assert one.heard(REALTIME) == 0
    assert len(openai_service.http.journal.of("chat")) == 1


async def test_an_only_backend_is_tried_again_once_the_caller_is_there(
    dial: Dial, host: Host, make_room: MakeRoom, openai_service: OpenAIService
) -> None:
    openai_service.realtime.fault = Fault("refuse")
    room = await make_room("alone")
    await host.wait_log("leaving backend", room=room)
    openai_service.realtime.fault = None
    one = await dial("alone", room=room)
    await one.wait_heard(REALTIME)
