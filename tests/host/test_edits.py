"""Edits while calls are on: which revision a call is, judged by what the model was asked for."""

from __future__ import annotations

import asyncio
import re
import threading
import uuid
from typing import TYPE_CHECKING

import pytest
from rig.host import Host

from runner.catalog.store import Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from rig.caller import Caller
    from rig.livekit_server import LiveKitServer
    from rig.openai_service import OpenAIService

    Dial = Callable[[str], Awaitable[Caller]]

REALTIME = 440
AGENT = "prompt: You are edit {0}. {1}\nbackends: [openai-realtime]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make an agents folder with three agents, to change at will."""
    made = tmp_path / "agents"
    made.mkdir()
    for name in ("front-desk", "night", "day"):
        (made / f"{name}.yaml").write_text(AGENT.format(0, ""))
    return made


@pytest.fixture
def serve(
    folder: Path,
    hosts: Callable[[Host], Host],
    host_environment: dict[str, str],
    tmp_path: Path,
) -> Callable[[], Awaitable[Host]]:
    """Start a host of the folder, on the same state folder each time."""

    async def start() -> Host:
        host = Host.serve(folder, environment=host_environment, home=tmp_path / "home")
        return await hosts(host).ready()

    return start


@pytest.fixture
def dial(livekit_server: LiveKitServer, caller: Callable[..., Caller]) -> Dial:
    """Join a new room of an agent."""

    async def join(agent: str) -> Caller:
        one = caller()
        room = f"{agent}-{uuid.uuid4().hex[:8]}"
        await one.join(livekit_server.url, livekit_server.token(room, one.identity))
        return one

    return join


def asked_for(service: OpenAIService, connection: int = -1) -> set[str]:
    """Return which edits the model of a call was told to be."""
    updates = service.realtime.journal.of("session.update")
    connections = sorted({update.connection for update in updates})
    told = [update.event["session"].get("instructions", "") for update in updates
            if update.connection == connections[connection]]  # fmt: skip
    return set(re.findall(r"edit (\d+)", " ".join(told)))


async def test_a_call_keeps_its_revision_and_the_next_has_the_new_one(
    serve: Callable[[], Awaitable[Host]], dial: Dial, folder: Path, openai_service: OpenAIService
) -> None:
    host = await serve()
    first = await dial("front-desk")
    await first.wait_heard(REALTIME)
    old = first.attributes["runner.revision"]
    (folder / "front-desk.yaml").write_text(AGENT.format(1, ""))
    await host.wait_log("reload", outcome="applied", agents="front-desk")
    second = await dial("front-desk")
    await second.wait_heard(REALTIME)
    new = second.attributes["runner.revision"]
    assert old != new
    assert (asked_for(openai_service, 0), asked_for(openai_service, 1)) == ({"0"}, {"1"})
    await first.say("What can you do for me?")
    await first.wait_heard(REALTIME, after=first.now)
    await first.leave()
    await second.leave()
    for one, revision in ((first, old), (second, new)):
        await host.wait_log("call ended", room=one.room.name, revision=revision)
    assert asked_for(openai_service, 0) == {"0"}


async def test_a_typing_error_keeps_the_last_good_revision_over_a_restart(
    serve: Callable[[], Awaitable[Host]], dial: Dial, folder: Path, openai_service: OpenAIService
) -> None:
    host = await serve()
    (folder / "front-desk.yaml").write_text(AGENT.format(1, "{{ nobody }}"))
    line = await host.wait_log("reload", outcome="rejected", rejected="front-desk")
    assert line["level"] == "WARNING"
    assert line["reason"].startswith(f"{folder / 'front-desk.yaml'}:1:")
    one = await dial("front-desk")
    await one.wait_heard(REALTIME)
    revision = one.attributes["runner.revision"]
    await one.leave()
    host.stop()
    host = await serve()
    await host.wait_log("serving the last good revision", agent="front-desk", revision=revision)
    again = await dial("front-desk")
    await again.wait_heard(REALTIME)
    assert again.attributes["runner.revision"] == revision
    assert asked_for(openai_service) == {"0"}
    (folder / "front-desk.yaml").write_text(AGENT.format(2, ""))
    await host.wait_log("reload", outcome="applied", agents="front-desk")


async def test_a_deleted_file_ends_the_agent_for_new_calls(
    serve: Callable[[], Awaitable[Host]], dial: Dial, folder: Path
) -> None:
    host = await serve()
    one = await dial("night")
    await one.wait_heard(REALTIME)
    (folder / "night.yaml").unlink()
    await host.wait_log("reload", outcome="applied", agents="night")
    late = await dial("night")
    await host.wait_log("job turned down", room=late.room.name)
    assert one.agent is not None


async def test_calls_amid_thousands_of_edits_are_whole(
    serve: Callable[[], Awaitable[Host]], dial: Dial, folder: Path, openai_service: OpenAIService
) -> None:
    """Each call's instructions are of one edit, and of the one that it is stamped with."""
    host = await serve()
    over = threading.Event()

    def edit() -> None:
        number = 0
        while not over.wait(0.001):
            number += 1
            aside = folder / ".front-desk.yaml"
            aside.write_text(AGENT.format(number, f"You are edit {number}. " * 20))
            aside.rename(folder / "front-desk.yaml")

    editing = asyncio.create_task(asyncio.to_thread(edit))
    store = Store(host.state)
    try:
        for place in range(4):
            one = await dial("front-desk")
            await one.wait_heard(REALTIME)
            spec = store.get("front-desk", one.attributes["runner.revision"])
            asked = asked_for(openai_service, place)
            assert len(asked) == 1
            assert asked == set(re.findall(r"edit (\d+)", spec.prompt))
            await one.leave()
    finally:
        over.set()
        await editing
    assert not [line for line in host.log if "snapshot" in line["message"]]


async def test_a_damaged_snapshot_costs_no_call(
    serve: Callable[[], Awaitable[Host]], dial: Dial
) -> None:
    """The host writes it anew, from what it serves."""
    host = await serve()
    (snapshot,) = (host.state / "agents").glob("front-desk@*")
    snapshot.write_text("{}")
    one = await dial("front-desk")
    await one.wait_heard(REALTIME)
    line = await host.wait_log("a lost or damaged snapshot is written anew", level="WARNING")
    assert (line["agent"], line["revision"]) == ("front-desk", one.attributes["runner.revision"])
    assert Store(host.state).get("front-desk", line["revision"])


async def test_a_state_folder_that_is_lost_costs_no_call(
    serve: Callable[[], Awaitable[Host]], dial: Dial, folder: Path, openai_service: OpenAIService
) -> None:
    """What serves goes on from memory; an edit waits for the folder, and the log says why."""
    host = await serve()
    away = host.state.rename(host.state.with_name("away"))
    host.state.write_text("no folder")
    (folder / "front-desk.yaml").write_text(AGENT.format(1, ""))
    refused = await host.wait_log("reload", outcome="rejected", rejected="front-desk")
    assert refused["reason"].startswith(f"cannot write the state folder {host.state}: ")
    one = await dial("front-desk")
    await one.wait_heard(REALTIME)
    assert asked_for(openai_service) == {"0"}
    line = await host.wait_log("the agent goes with the job", level="ERROR", agent="front-desk")
    assert line["reason"] == refused["reason"]
    await one.leave()
    host.state.unlink()
    away.rename(host.state)
    await host.wait_log("reload", outcome="applied", agents="front-desk")
    other = await dial("front-desk")
    await other.wait_heard(REALTIME)
    assert asked_for(openai_service) == {"1"}
