"""The line of a LiveKit job to its room, on the real server, without a session."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from livekit import api, rtc
from livekit.agents import JobContext, JobExecutorType, JobProcess
from livekit.agents.job import JobAcceptArguments, RunningJobInfo
from livekit.protocol.agent import Job
from livekit.protocol.models import Room

from runner.voice.line import RoomLine

if TYPE_CHECKING:
    from rig.livekit_server import LiveKitServer

AGENT = "agent-1"


def job(server: LiveKitServer, room: str) -> JobContext:
    """Return a job whose participant is called `File` at first."""
    grants = api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True, agent=True)
    token = api.AccessToken(server.api_key, server.api_secret).with_kind("agent")
    token = token.with_identity(AGENT).with_name("File").with_grants(grants)
    return JobContext(
        proc=JobProcess(
            executor_type=JobExecutorType.PROCESS, user_arguments=None, http_proxy=None
        ),
        info=RunningJobInfo(
            accept_arguments=JobAcceptArguments("File", AGENT, ""),
            job=Job(id="AJ_1", room=Room(name=room)),
            url=server.url,
            token=token.to_jwt(),
            worker_id="",
            fake_job=False,
        ),
        room=rtc.Room(),
        on_connect=lambda: None,
        on_shutdown=lambda _: None,
        inference_executor=None,  # type: ignore[arg-type]
    )


async def name_of(server: LiveKitServer, room: str) -> str:
    async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as livekit:
        request = api.RoomParticipantIdentity(room=room, identity=AGENT)
        return (await livekit.room.get_participant(request)).name


async def test_a_name_outlives_attributes_that_are_set_at_the_same_moment(
    livekit_server: LiveKitServer,
) -> None:
    """LiveKit sends the name that it knows along with them, and would take the new one back."""
    ctx = job(livekit_server, f"line-{uuid.uuid4().hex[:8]}")
    await ctx.connect()
    line = RoomLine(ctx)
    line.introduce("Database")
    states = [str(number) for number in range(20)]

    async def say(state: str) -> None:
        await ctx.room.local_participant.set_attributes({"lk.agent.state": state})

    try:
        await asyncio.gather(*map(say, states))
        async with asyncio.timeout(10):
            while await name_of(livekit_server, line.room) != "Database":
                pass
    finally:
        await ctx.room.disconnect()
