"""`runner serve` as a process: how it starts, refuses to start, and ends."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from catalog.records import a_record, aged
from rig import needs
from rig.host import Host
from rig.script import Tone

from runner.catalog.breaker import Breakers
from runner.catalog.records import Records
from runner.cli import main
from runner.definition.loader import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from rig.caller import Caller
    from rig.livekit_server import LiveKitServer
    from rig.openai_service import OpenAIService

AGENTS = Path(__file__).with_name("agents")
REALTIME = 440
NOWHERE = {
    "LIVEKIT_URL": "ws://127.0.0.1:9",
    "LIVEKIT_API_KEY": "k",
    "LIVEKIT_API_SECRET": "s" * 32,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make an agents folder with one agent, to change at will."""
    made = tmp_path / "agents"
    made.mkdir()
    for name in ("_defaults.yaml", "front-desk.yaml"):
        shutil.copy(AGENTS / name, made)
    return made


async def ended(host: Host, within: float = 15.0) -> int:
    """Wait until a host has ended by itself and its output is read; return its exit status."""
    async with asyncio.timeout(within):
        await asyncio.to_thread(host._running.wait)
    return host.stop()


async def dialled(server: LiveKitServer, one: Caller) -> Caller:
    """Join a new room of the front desk."""
    room = f"front-desk-{uuid.uuid4().hex[:8]}"
    await one.join(server.url, server.token(room, one.identity))
    return one


@pytest.fixture
def run(hosts: Callable[[Host], Host], tmp_path: Path) -> Callable[..., Host]:
    """Start `runner serve` with options, and with an environment."""

    def start(folder: Path, *options: str, **environment: str) -> Host:
        return hosts(Host.serve(folder, *options, environment=environment, home=tmp_path / "home"))

    return start


async def test_missing_variables_are_all_named(run: Callable[..., Host], folder: Path) -> None:
    host = run(folder, LIVEKIT_URL="ws://127.0.0.1:9")
    assert await ended(host) == 3
    assert host.stderr.splitlines()[-1] == (
        "runner: LIVEKIT_API_KEY, LIVEKIT_API_SECRET not set;"
        " set them in the environment or in a .env file"
    )


async def test_an_unreachable_server_is_said_at_once(
    run: Callable[..., Host], folder: Path
) -> None:
    began = time.monotonic()
    host = run(folder, **NOWHERE)
    assert await ended(host) == 3
    assert "runner: LiveKit cannot be reached at ws://127.0.0.1:9" in host.stderr
    assert "Traceback" not in host.stderr
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("wrong", ["LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"])
async def test_a_wrong_key_is_said_at_once(
    run: Callable[..., Host], folder: Path, livekit_server: LiveKitServer, wrong: str
) -> None:
    host = run(folder, **{**livekit_server.environment, wrong: "x" * 32})
    assert await ended(host) == 3
    assert host.stderr.splitlines()[-1] == (
        f"runner: LiveKit at {livekit_server.url} refuses the key;"
        " check LIVEKIT_API_KEY and LIVEKIT_API_SECRET"
    )


async def test_variables_come_from_a_dotenv_file_and_the_real_ones_win(
    run: Callable[..., Host], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    lines = [f"{name}={value}" for name, value in NOWHERE.items()]
    (tmp_path / ".env").write_text("\n".join(lines))
    host = run(folder, LIVEKIT_URL="ws://127.0.0.1:10")
    assert await ended(host) == 3
    assert "cannot be reached at ws://127.0.0.1:10" in host.stderr


async def test_a_state_folder_that_cannot_be_written_is_said(
    run: Callable[..., Host], folder: Path
) -> None:
    host = run(folder, "--state", str(folder / "front-desk.yaml"), **NOWHERE)
    assert await ended(host) == 3
    assert "name another with --state" in host.stderr


@pytest.mark.parametrize(
    ("options", "broken", "status"),
    [
        (["--check"], False, 0),
        (["--check"], True, 1),
        (["--strict"], True, 1),
        ([], True, 3),
    ],
)
async def test_what_a_broken_agent_file_means(
    run: Callable[..., Host], folder: Path, options: list[str], broken: bool, status: int
) -> None:
    if broken:
        (folder / "broken.yaml").write_text("prompt: Hello {{ nobody }}.\n")
    host = run(folder, *options, **NOWHERE)
    assert await ended(host) == status
    assert ("broken.yaml:1:" in host.stderr) is broken


async def test_strict_starts_when_every_agent_is_valid(
    run: Callable[..., Host], folder: Path, livekit_server: LiveKitServer
) -> None:
    """A warning is no error."""
    (folder / "warned.yaml").write_text("prompt: Hello.\ngreeting: no\n")
    host = run(folder, "--strict", **livekit_server.environment)
    await host.ready()
    assert "[greeting-word]" in host.stderr


async def test_no_valid_agent_is_refused(run: Callable[..., Host], folder: Path) -> None:
    (folder / "front-desk.yaml").write_text("prompt: Hello {{ nobody }}.\n")
    host = run(folder, **NOWHERE)
    assert await ended(host) == 1


async def test_a_worker_name_takes_only_explicit_dispatches(
    run: Callable[..., Host],
    caller: Callable[..., Caller],
    livekit_server: LiveKitServer,
    host_environment: dict[str, str],
) -> None:
    host = run(AGENTS, "--worker-name", "phones", **host_environment)
    await host.ready()
    asked, other = caller(), caller()
    await dialled(livekit_server, other)
    token = livekit_server.token(
        "anything", asked.identity, agent="phones", agent_metadata="front-desk"
    )
    await asked.join(livekit_server.url, token)
    await asked.wait_heard(REALTIME)
    line = await host.wait_log("job accepted", room="anything")
    assert line["because"] == "dispatch metadata"
    assert other.agent is None


async def test_a_room_of_nobody_is_turned_down(
    run: Callable[..., Host],
    caller: Callable[..., Caller],
    livekit_server: LiveKitServer,
    host_environment: dict[str, str],
) -> None:
    host = run(AGENTS, **host_environment)
    await host.ready()
    one = caller()
    await one.join(livekit_server.url, livekit_server.token("unknown", one.identity))
    line = await host.wait_log("job turned down", room="unknown")
    assert line["looked_for"] == "a pattern for 'unknown'; a default"


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_calls_end_by_themselves(
    run: Callable[..., Host],
    caller: Callable[..., Caller],
    livekit_server: LiveKitServer,
    openai_service: OpenAIService,
    host_environment: dict[str, str],
    sig: signal.Signals,
) -> None:
    openai_service.realtime.script = [Tone("A long story.", 6.0)]
    host = run(AGENTS, "--drain", "30", **host_environment)
    await host.ready()
    one, late = caller(), caller()
    await dialled(livekit_server, one)
    await one.wait_heard(REALTIME, seconds=1)
    # To the whole process group, as a terminal and a service manager do it.
    os.killpg(host.pid, sig)
    line = await host.wait_log("draining: no new calls")
    assert (line["calls"], line["seconds"]) == (1, 30.0)
    await dialled(livekit_server, late)
    await one.wait_silence(1.0)
    assert one.heard(REALTIME) > 5
    assert host.returncode is None
    assert late.agent is None
    await one.leave()
    assert await ended(host) == 0
    await host.wait_log("call ended", reason="participant_disconnected")


async def test_calls_are_ended_when_the_drain_is_over(
    run: Callable[..., Host],
    caller: Callable[..., Caller],
    livekit_server: LiveKitServer,
    host_environment: dict[str, str],
) -> None:
    host = run(AGENTS, "--drain", "1", **host_environment)
    await host.ready()
    one = await dialled(livekit_server, caller())
    await one.wait_heard(REALTIME)
    host.signal(signal.SIGTERM)
    assert await ended(host) == 0
    await host.wait_log("ending calls", calls=1)
    await one.wait_happening("participant_disconnected", about="agent")


async def test_a_second_signal_ends_at_once(
    run: Callable[..., Host],
    caller: Callable[..., Caller],
    livekit_server: LiveKitServer,
    host_environment: dict[str, str],
) -> None:
    host = run(AGENTS, **host_environment)
    await host.ready()
    one = await dialled(livekit_server, caller())
    await one.wait_heard(REALTIME)
    children = psutil.Process(host.pid).children(recursive=True)
    os.killpg(host.pid, signal.SIGINT)
    await host.wait_log("draining: no new calls")
    began = time.monotonic()
    os.killpg(host.pid, signal.SIGINT)
    _, alive = await asyncio.to_thread(psutil.wait_procs, children, 3)
    assert alive == []
    assert await ended(host) == 130
    assert time.monotonic() - began < 3


async def test_a_lost_server_is_tried_again(
    run: Callable[..., Host],
    caller: Callable[..., Caller],
    openai_service: OpenAIService,
    tmp_path: Path,
) -> None:
    from rig.livekit_server import LiveKitServer

    needs.livekit_server()
    with LiveKitServer(tmp_path) as server:
        host = run(AGENTS, **server.environment, **openai_service.environment)
        await host.ready()
        server.kill()
        server.start()
        await host.wait_log("registered worker", count=2)
        one = await dialled(server, caller())
        await one.wait_heard(REALTIME)
        await one.leave()


async def test_a_killed_call_leaves_what_was_known(
    run: Callable[..., Host],
    caller: Callable[..., Caller],
    livekit_server: LiveKitServer,
    host_environment: dict[str, str],
    openai_service: OpenAIService,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After a SIGKILL in mid-call the record says what was, and `runner calls` that it was cut."""
    openai_service.realtime.script = [Tone("Welcome.", 1.0)]
    state = tmp_path / "elsewhere"
    host = run(AGENTS, "--state", str(state), "--record-transcripts", **host_environment)
    await host.ready()
    one = await dialled(livekit_server, caller())
    await one.wait_caption("Welcome.")
    await one.wait_silence(1.0)
    host.kill()
    (path,) = (state / "calls").glob("*.json")
    aged(path, 60)
    assert main(["calls", "--state", str(state), "--format", "json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["ending"], record["ended"]) == ("cut off", None)
    assert record["room"] == one.room.name
    assert [stay["name"] for stay in record["backends"]] == ["openai-realtime-1"]
    assert record["began"] < record["answered"]
    assert [turn["text"] for turn in record["turns"]] == ["Welcome."]


async def test_a_backend_that_is_back_is_logged(
    run: Callable[..., Host], folder: Path, host_environment: dict[str, str], tmp_path: Path
) -> None:
    """The host says what is open, probes it, and says that it is closed."""
    breakers = Breakers(tmp_path / "home" / "state", host_environment)
    (backend,) = load([folder]).specs["front-desk"].backends
    breakers.failed(backend, "quota")
    host = run(folder, **host_environment)
    fields = {"backend": "openai-realtime-1", "models": "gpt-realtime", "reason": "quota"}
    await host.wait_log("backend open", level="WARNING", **fields)
    line = await host.wait_log("backend closed", **fields)
    assert 5 <= line["seconds"] < 20
    assert breakers.opened(backend) is None


async def test_old_records_are_removed_at_the_start(
    run: Callable[..., Host],
    livekit_server: LiveKitServer,
    folder: Path,
    tmp_path: Path,
) -> None:
    records = Records(tmp_path / "home" / "state")
    for call, days in (("AJ_old", 3), ("AJ_new", 1)):
        records.write(a_record(call))
        aged(records.find(call), days * 24 * 3600)
    host = run(folder, "--keep-calls", "2", **livekit_server.environment)
    await host.wait_log("old records removed", calls=1)
    assert [records.read(path).id for path in records.paths()] == ["AJ_new"]
