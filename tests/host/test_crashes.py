"""A job process that dies takes its own call with it, and the caller gets another."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING

import pytest
from livekit.agents import JobRequest
from livekit.protocol.agent import Job
from livekit.protocol.models import Room
from rig.script import Tone

from runner.catalog.records import CRASHED, Records
from runner.catalog.reload import Reload
from runner.catalog.store import Store
from runner.definition.loader import load
from runner.host.access import Access
from runner.host.again import Again
from runner.host.recording import Recording
from runner.host.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from rig.caller import Caller
    from rig.host import Host
    from rig.openai_service import OpenAIService

    Dial = Callable[..., Awaitable[Caller]]

REALTIME = 440


def lose(snapshots: Path, over: threading.Event) -> None:
    """Remove every snapshot as soon as the host has written it, until it is `over`."""
    while not over.wait(0.001):
        for snapshot in snapshots.glob("*.json"):
            snapshot.unlink(missing_ok=True)


async def test_a_killed_call_is_answered_again_and_the_other_goes_on(
    dial: Dial, host: Host, openai_service: OpenAIService
) -> None:
    openai_service.realtime.script = [Tone("Welcome.", 0.6), Tone("A story.", 8.0), Tone("Again.")]
    crashed = await dial("front-desk")
    await crashed.wait_heard(REALTIME)
    await crashed.wait_silence(0.3)
    dead = crashed.agent
    assert dead
    other, _ = await asyncio.gather(dial("front-desk"), asyncio.to_thread(host.kill_only_call))
    killed = crashed.now
    await other.wait_heard(REALTIME)
    greeting = await crashed.wait_heard(REALTIME, after=killed)
    await crashed.wait_happening("participant_disconnected", about=dead.identity)
    assert greeting.start - killed < 5
    assert [line["room"] for line in host.log if line["message"] == "asking for a new job"] == [
        crashed.room.name
    ]
    await other.wait_silence(1.0)
    assert other.heard(REALTIME) > 7
    ended = [record.ended for record in map(Records(host.state).read, Records(host.state).paths())]
    assert ended == [None, None, None]


async def test_a_room_whose_calls_crash_one_after_the_other_is_given_up(
    dial: Dial, host: Host
) -> None:
    one = await dial("front-desk")
    for time in range(3):
        await host.wait_log("backend started", room=one.room.name, count=time + 1)
        await asyncio.to_thread(host.kill_only_call)
    await host.wait_log("giving the room up", room=one.room.name)
    await one.wait_happening("disconnected")


async def test_nobody_is_left_in_silence_by_a_call_that_cannot_begin(
    dial: Dial, host: Host
) -> None:
    """Each job of the room finds its agent's snapshot lost; in the end the room is closed."""
    over = threading.Event()
    losing = asyncio.create_task(asyncio.to_thread(lose, host.state / "agents", over))
    one = await dial("front-desk")
    try:
        await one.wait_happening("disconnected", within=30)
    finally:
        over.set()
        await losing
    await host.wait_log("giving the room up", room=one.room.name)
    records = Records(host.state)
    ended = [records.read(path).reason for path in records.paths() if one.room.name in path.name]
    assert ended == [CRASHED] * 3


async def test_a_job_that_gets_no_process_is_watched_like_one_that_loses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiveKit's pool of processes gives up when it has failed to make one."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    watched: list[str] = []
    monkeypatch.setattr(Again, "watch", lambda _, job: watched.append(job.id))
    (tmp_path / "desk.yaml").write_text("prompt: Hello.\n")
    store = Store(tmp_path / "state")
    agents = Reload(tmp_path, store, load([tmp_path]))
    worker = Worker(agents, store, Access("ws://x", "key", "y"), drain=0, recording=Recording())

    async def no_process(_: object) -> None:
        raise RuntimeError("no process became available after 3 attempts")

    job = Job(id="AJ_1", room=Room(name="desk-1"))
    with pytest.raises(RuntimeError, match="no process"):
        await worker._on_request(JobRequest(job=job, on_reject=no_process, on_accept=no_process))
    assert watched == ["AJ_1"]
