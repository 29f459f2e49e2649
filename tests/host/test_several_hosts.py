"""Two hosts on one LiveKit and one state folder; a revision is known by its tone."""

from __future__ import annotations

import asyncio
import json
import signal
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from rig.host import Host
from rig.script import Tone, Turn

from runner.catalog.records import Records
from runner.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rig.caller import Caller
    from rig.livekit_server import LiveKitServer
    from rig.openai_service import OpenAIService

OLD, NEW = 440, 660
PROMPT = "prompt: This is the {} revision.\nbackends: [openai-realtime]\n"
QUESTION = "What can you do for me?"


def by_revision(turn: Turn) -> Tone:
    """Answer in the tone of the revision that asks."""
    return Tone(hz=NEW if "the new revision" in turn.instructions else OLD)


def story(turn: Turn) -> Tone:
    """Talk for longer than any test takes."""
    return Tone("A long story.", 60.0, by_revision(turn).hz)


def write(folder: Path, **agents: str) -> Path:
    """Make a folder in which each agent is of the revision named."""
    folder.mkdir(exist_ok=True)
    for name, revision in agents.items():
        (folder / f"{name.replace('_', '-')}.yaml").write_text(PROMPT.format(revision))
    return folder


def accepted(host: Host, room: str) -> dict[str, Any] | None:
    """Return the log line with which a host has taken a room; None if it has not."""
    lines = (line for line in host.log if line["message"] == "job accepted")
    return next((line for line in lines if line["room"] == room), None)


async def greeted(one: Caller) -> int:
    """Return the tone in which a caller is greeted."""
    tones = {asyncio.create_task(one.wait_heard(hz, within=20)): hz for hz in (OLD, NEW)}
    done, waiting = await asyncio.wait(tones, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    (first,) = done
    return tones[first] if await first else 0


def turned_down(pair: Pair) -> list[dict[str, Any]]:
    """Return what the hosts say of rooms whose agents are the other's."""
    lines = (line for host in pair.hosts for line in host.log)
    return [line for line in lines if line["message"] == "job turned down"]


class Pair:
    """Two hosts that share a state folder, and callers that LiveKit gives to either."""

    def __init__(self, server: LiveKitServer, caller: Callable[..., Caller]) -> None:
        self.hosts: list[Host] = []
        self._server = server
        self._caller = caller

    @property
    def state(self) -> Path:
        return self.hosts[0].state

    async def dialled(self, agent: str = "front-desk", *tones: int) -> tuple[Caller, Host]:
        """Join a new room of an agent and be greeted, in a tone; return who took it as well."""
        one = self._caller()
        room = f"{agent}-{uuid.uuid4().hex[:8]}"
        await one.join(self._server.url, self._server.token(room, one.identity))
        assert await greeted(one) in (tones or (OLD, NEW))
        (host,) = [host for host in self.hosts if accepted(host, room)]
        return one, host

    async def one_each(self) -> list[Caller]:
        """Dial until each host has a call; return those two callers, in the hosts' order."""
        found: dict[int, Caller] = {}
        for _ in range(20):
            one, host = await self.dialled()
            if host.pid in found:
                await one.leave()
            found.setdefault(host.pid, one)
            if len(found) == len(self.hosts):
                return [found[host.pid] for host in self.hosts]
        raise AssertionError("one host took 20 calls, and the other none")


@pytest.fixture
async def pair(
    hosts: Callable[[Host], Host],
    host_environment: dict[str, str],
    openai_service: OpenAIService,
    livekit_server: LiveKitServer,
    caller: Callable[..., Caller],
    tmp_path: Path,
) -> Callable[..., Any]:
    """Start a host for each of two folders."""
    openai_service.hears(QUESTION, QUESTION)
    openai_service.realtime.script = by_revision

    async def start(folders: Sequence[Path], *options: str) -> Pair:
        made = Pair(livekit_server, caller)
        for folder in folders:
            host = Host.serve(
                folder, *options, environment=host_environment, home=tmp_path / "home"
            )
            made.hosts.append(hosts(host))
        for host in made.hosts:
            await host.ready()
        return made

    return start


async def asked(one: Caller, hz: int) -> None:
    """Ask something, and hear the answer in a tone."""
    silent = await one.wait_silence(0.3)
    await one.say(QUESTION)
    await one.wait_heard(hz, after=silent + 0.1)


def heard(one: Caller) -> set[float]:
    """Return the tones in which a caller was spoken to."""
    return {span.hz for span in one.spans if span.hz}


async def test_hosts_of_one_folder_share_the_calls(
    pair: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each takes some, and `runner status` tells of both from the state folder that they share."""
    folder = write(tmp_path / "agents", front_desk="old")
    two = await pair([folder, folder])
    await two.one_each()
    assert main(["status", "--ready", "--format", "json", "--state", str(two.state)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {one["host"]["pid"] for one in shown["hosts"]} == {host.pid for host in two.hosts}
    for one in shown["hosts"]:
        (agent,) = one["agents"]
        assert one["calls"] == [{"agent": "front-desk", "revision": agent["revision"], "calls": 1}]
    assert list(shown["remembered"]) == [str(folder)]


async def test_hosts_of_different_folders_answer_their_own_rooms(
    pair: Callable[..., Any], tmp_path: Path
) -> None:
    """Whichever is asked first, the room goes to the one that has its agent."""
    # The only agent of a folder would answer every room.
    one = write(tmp_path / "one", front_desk="old", first_floor="old")
    other = write(tmp_path / "other", back_office="new", second_floor="new")
    two = await pair([one, other])
    for turn in range(20):
        if turn > 3 and turned_down(two):
            break
        for host, agent, hz in zip(
            two.hosts, ("front-desk", "back-office"), (OLD, NEW), strict=True
        ):
            caller, taken = await two.dialled(agent, hz)
            assert taken is host
            await caller.leave()
    # Otherwise none of the rooms was ever offered to the wrong host.
    assert turned_down(two)


async def test_a_killed_host_takes_only_its_own_calls_along(
    pair: Callable[..., Any], tmp_path: Path, openai_service: OpenAIService
) -> None:
    """The other's call goes on, and new calls go there."""
    folder = write(tmp_path / "agents", front_desk="old")
    two = await pair([folder, folder])
    openai_service.realtime.script = story
    lost, kept = await two.one_each()
    killed, left = two.hosts
    killed.kill()
    await lost.wait_silence(1.0)
    for _ in range(3):
        one, host = await two.dialled()
        assert host is left
        await one.leave()
    await kept.wait_heard(OLD, after=kept.now, seconds=1)
    assert kept.room.name in {call.room for call in Records(two.state).running()}
    await kept.leave()
    await left.wait_log("call ended", room=kept.room.name, reason="participant_disconnected")


async def test_hosts_are_replaced_without_losing_a_call(
    pair: Callable[..., Any], tmp_path: Path, openai_service: OpenAIService
) -> None:
    """The host of the old folder ends while callers come in: all are answered, its calls go on."""
    old = write(tmp_path / "v1", front_desk="old")
    new = write(tmp_path / "v2", front_desk="new")
    two = await pair([old, new], "--drain", "120")
    openai_service.realtime.script = story
    before, other = await two.one_each()
    await other.leave()
    openai_service.realtime.script = by_revision
    ending, staying = two.hosts
    coming = [asyncio.create_task(two.dialled()) for _ in range(2)]
    ending.signal(signal.SIGTERM)
    await ending.wait_log("draining: no new calls")
    coming += [asyncio.create_task(two.dialled("front-desk", NEW)) for _ in range(2)]
    during = await asyncio.gather(*coming)
    assert [host for _, host in during[2:]] == [staying, staying]
    await before.wait_heard(OLD, after=before.now, seconds=1)
    assert ending.returncode is None
    for one in [before, *(caller for caller, host in during if host is ending)]:
        await one.leave()
    async with asyncio.timeout(20):
        assert await asyncio.to_thread(ending._running.wait) == 0
    assert not [line for line in ending.log if line["message"] == "ending calls"]


async def test_a_call_is_of_one_revision_while_folders_are_updated(
    pair: Callable[..., Any], tmp_path: Path
) -> None:
    """One host after the other gets the new folder: a call ends as what it began as."""
    folders = [write(tmp_path / name, front_desk="old") for name in ("one", "other")]
    two = await pair(folders)
    began: list[tuple[Caller, Host, int]] = []

    async def dial_each(*tones: int) -> None:
        for one, host, hz in zip(await two.one_each(), two.hosts, tones, strict=True):
            assert heard(one) == {hz}
            began.append((one, host, hz))

    await dial_each(OLD, OLD)
    for folder, host, tones in zip(folders, two.hosts, [(NEW, OLD), (NEW, NEW)], strict=True):
        write(folder, front_desk="new")
        await host.wait_log("reload", outcome="applied", agents="front-desk")
        await dial_each(*tones)

    await asked(began[0][0], OLD)
    revisions: dict[int, set[str]] = {OLD: set(), NEW: set()}
    for one, host, hz in began:
        revision = one.attributes["runner.revision"]
        revisions[hz].add(revision)
        assert heard(one) == {hz}
        await one.leave()
        for line in ("job accepted", "call ended"):
            await host.wait_log(line, room=one.room.name, revision=revision)
    assert [len(found) for found in revisions.values()] == [1, 1]
    records = Records(two.state)
    recorded = {call.room: call.revision for call in map(records.read, records.paths())}
    assert {recorded[one.room.name] for one, _, hz in began if hz == OLD} == revisions[OLD]
    assert {recorded[one.room.name] for one, _, hz in began if hz == NEW} == revisions[NEW]
