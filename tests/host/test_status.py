"""What a running host says of itself, over HTTP and with `runner status`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from host.studio import a_studio, address_of
from rig import needs
from rig.host import Host
from rig.page import Page

from runner.catalog.hosts import Hosts
from runner.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

    from rig.caller import Caller
    from rig.livekit_server import LiveKitServer
    from rig.openai_service import OpenAIService

AGENTS = Path(__file__).with_name("agents")
PHONES = Path(__file__).with_name("phones")
REALTIME = 440


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make an agents folder with one agent, to change at will."""
    made = tmp_path / "agents"
    made.mkdir()
    for name in ("_defaults.yaml", "front-desk.yaml"):
        shutil.copy(AGENTS / name, made)
    return made


@pytest.fixture
def serve(
    hosts: Callable[[Host], Host], host_environment: dict[str, str], tmp_path: Path
) -> Callable[..., Host]:
    """Start `runner serve` with options."""

    def start(folder: Path, *options: str, **environment: str) -> Host:
        variables = host_environment | environment
        return hosts(Host.serve(folder, *options, environment=variables, home=tmp_path / "home"))

    return start


async def ask(
    host: Host, path: str, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[int, str]:
    """Ask a host's status port."""
    line = await host.wait_log("telling the status")
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, line["url"] + path.removeprefix("/"), headers=headers) as answer,
    ):
        return answer.status, await answer.text()


async def report(host: Host) -> dict[str, Any]:
    """Ask a host for everything."""
    code, text = await ask(host, "/status")
    assert code == 200
    return dict(json.loads(text))


async def until(host: Host, path: str, expected: tuple[int, str]) -> None:
    """Ask again and again until the answer is this one."""
    began, answer = time.monotonic(), (0, "")
    while answer != expected:
        assert time.monotonic() - began < 20, answer
        answer = await ask(host, path)


async def dialled(server: LiveKitServer, one: Caller, **token: Any) -> Caller:
    """Join a new room of the front desk and be greeted."""
    room = f"front-desk-{uuid.uuid4().hex[:8]}"
    await one.join(server.url, server.token(room, one.identity, **token))
    await one.wait_heard()
    return one


async def test_agents_edits_and_calls_are_told_until_the_end(
    serve: Callable[..., Host],
    folder: Path,
    caller: Callable[..., Caller],
    livekit_server: LiveKitServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Calls are counted by revision; a refused edit is shown while the last good one serves."""
    host = serve(folder)
    await host.ready()
    await until(host, "/readyz", (200, "ready\n"))
    first = await report(host)
    (agent,) = first["agents"]
    assert (agent["id"], agent["state"], agent["rejected"]) == ("front-desk", "serving", None)
    assert (first["host"]["pid"], first["host"]["folder"]) == (host.pid, str(folder))
    assert first["host"]["worker"] == host.log[-1]["worker"]
    assert (first["calls"], first["last_reload"]) == ([], None)

    one = await dialled(livekit_server, caller())
    file = folder / "front-desk.yaml"
    good = file.read_text() + "\ndescription: Edited.\n"
    file.write_text(good)
    await host.wait_log("reload", outcome="applied")
    other = await dialled(livekit_server, caller())
    file.write_text(good + "voise: coral\nprompt: My secret {{ nobody }}.\n")
    await host.wait_log("reload", outcome="rejected")

    second = await report(host)
    (edited,) = second["agents"]
    assert edited["state"] == "last_good"
    assert edited["revision"] != agent["revision"]
    assert edited["since"] > agent["since"]
    assert second["last_reload"]["rejected"] == ["front-desk"]
    revisions = {(row["revision"], row["calls"]) for row in second["calls"]}
    assert revisions == {(agent["revision"], 1), (edited["revision"], 1)}
    assert main(["validate", str(folder), "--format", "json"]) == 1
    assert edited["rejected"]["diagnostics"] == json.loads(capsys.readouterr().out)
    assert "My secret" not in json.dumps(second)

    host.signal(signal.SIGTERM)
    await host.wait_log("draining: no new calls")
    await until(host, "/readyz", (503, "draining: no new calls\n"))
    assert (await ask(host, "/healthz"))[0] == 200
    assert main(["status", "--state", str(host.state), "--ready"]) == 1
    shown = capsys.readouterr().out
    assert f"host {host.pid} on {socket.gethostname()}, not ready: draining" in shown
    assert f"\n    1 front-desk at {agent['revision']}\n" in shown
    assert f"\n    1 front-desk at {edited['revision']}\n" in shown
    assert "unknown key 'voise'; did you mean 'voice'? [unknown-key]" in shown
    await one.leave()
    await other.leave()
    host._running.wait(15)
    assert Hosts(host.state).running() == ([], [])
    assert list((host.state / "hosts").iterdir()) == []


async def test_a_call_whose_number_decides_is_its_agent_s(
    serve: Callable[..., Host], caller: Callable[..., Caller], livekit_server: LiveKitServer
) -> None:
    """The host has not chosen that agent itself, and finds it in the call's record."""
    host = serve(PHONES)
    await host.ready()
    called = {"kind": "sip", "attributes": {"sip.trunkPhoneNumber": "+4930123456"}}
    one = caller()
    token = livekit_server.token("call-1", one.identity, **called)  # type: ignore[arg-type]
    await one.join(livekit_server.url, token)
    await one.wait_heard(REALTIME)
    chosen = await host.wait_log("agent chosen")
    assert (await report(host))["calls"] == [
        {"agent": "sales", "revision": chosen["revision"], "calls": 1}
    ]


async def test_ready_only_while_livekit_has_the_host(
    serve: Callable[..., Host], folder: Path, openai_service: OpenAIService, tmp_path: Path
) -> None:
    """A server that goes away makes the host unready, not unhealthy, until it is back."""
    from rig.livekit_server import LiveKitServer

    needs.livekit_server()
    with LiveKitServer(tmp_path) as server:
        host = serve(folder, **server.environment)
        await host.ready()
        await until(host, "/readyz", (200, "ready\n"))
        server.kill()
        await until(host, "/readyz", (503, "not registered with LiveKit\n"))
        assert (await ask(host, "/healthz")) == (200, "ok\n")
        told = (await report(host))["host"]
        assert (told["registered"], told["worker"], told["ready"]) == (False, None, False)
        server.start()
        await until(host, "/readyz", (200, "ready\n"))


async def test_without_an_agent_no_call_can_come(serve: Callable[..., Host], folder: Path) -> None:
    host = serve(folder)
    await host.ready()
    (folder / "front-desk.yaml").unlink()
    await until(host, "/readyz", (503, "no agent to serve\n"))


async def test_only_reading_is_answered_and_only_by_this_machine_s_names(
    serve: Callable[..., Host], folder: Path
) -> None:
    """A web page whose name leads to loopback learns nothing, and nobody can change anything."""
    host = serve(folder)
    line = await host.wait_log("telling the status")
    port = line["url"].rstrip("/").rpartition(":")[2]
    for name in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", ""):
        for path in ("/", "/status", "/healthz", "/readyz", "/nothing"):
            refused = await ask(host, path, headers={"Host": name})
            assert refused == (403, "ask for 127.0.0.1 by its number\n")
    assert (await ask(host, "/", headers={"Host": f"localhost:{port}"}))[0] == 200
    for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
        assert (await ask(host, "/status", method))[0] == 405
    assert (await ask(host, "/nothing"))[0] == 404
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((_address(), int(port)), timeout=2)


async def test_a_port_of_choice_is_used_and_a_taken_one_is_said(
    serve: Callable[..., Host], folder: Path
) -> None:
    port = str(needs.free_port())
    host = serve(folder, "--status-port", port)
    line = await host.wait_log("telling the status")
    assert line["url"] == f"http://127.0.0.1:{port}/"
    second = serve(folder, "--status-port", port)
    assert second._running.wait(30) == 3
    second.stop()
    assert second.stderr.splitlines()[-1] == (
        f"runner: port {port} of 127.0.0.1 is taken; choose another with --status-port"
    )


async def test_a_host_of_the_studio_alone_is_found_like_any(
    hosts: Callable[[Host], Host],
    openai_service: OpenAIService,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With its port, its agents and its calls; a taken port is said as well."""
    port = str(needs.free_port())
    options: dict[str, Any] = {"environment": openai_service.environment, "home": tmp_path / "home"}
    host = hosts(a_studio(folder, "--status-port", port, **options))
    assert (await host.wait_log("telling the status"))["url"] == f"http://127.0.0.1:{port}/"
    assert await ask(host, "/readyz") == (200, "ready\n")
    one = Page()
    await one.call(await address_of(host), "front-desk")
    await one.wait_heard(REALTIME)
    told = await report(host)
    (agent,) = told["agents"]
    assert told["calls"] == [{"agent": "front-desk", "revision": agent["revision"], "calls": 1}]
    assert (told["host"]["livekit"], told["host"]["registered"]) == (None, False)
    command = ["status", "--state", str(host.state), "--ready"]
    assert main(command) == 0
    assert "\n  livekit   none: calls come from the studio\n" in capsys.readouterr().out
    await one.leave()
    while (await report(host))["calls"]:
        pass
    second = hosts(a_studio(folder, "--status-port", port, **options))
    assert second._running.wait(30) == 3
    host.signal(signal.SIGTERM)
    assert host._running.wait(15) == 0
    assert main(command) == 1


async def test_calls_from_the_studio_beside_livekit_are_counted(
    serve: Callable[..., Host],
    folder: Path,
    caller: Callable[..., Caller],
    livekit_server: LiveKitServer,
) -> None:
    host = serve(folder, "--studio", "--no-open", "--port", "0")
    await host.ready()
    await dialled(livekit_server, caller())
    one = Page()
    await one.call(await address_of(host), "front-desk")
    await one.wait_heard(REALTIME)
    (counted,) = (await report(host))["calls"]
    assert (counted["agent"], counted["calls"]) == ("front-desk", 2)
    await one.leave()


async def test_a_list_that_cannot_be_written_keeps_nobody_from_calling(
    serve: Callable[..., Host],
    folder: Path,
    tmp_path: Path,
    caller: Callable[..., Caller],
    livekit_server: LiveKitServer,
) -> None:
    state = tmp_path / "home" / "state"
    state.mkdir(parents=True)
    (state / "hosts").write_text("no folder")
    host = serve(folder)
    line = await host.wait_log("runner status will not find it", level="WARNING")
    assert "cannot write the state folder" in line["reason"]
    await host.ready()
    await dialled(livekit_server, caller())


async def test_a_killed_host_runs_no_more(
    serve: Callable[..., Host], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is left says what served; a host that hangs is one that does not answer."""
    host = serve(folder)
    await host.ready()
    await until(host, "/readyz", (200, "ready\n"))
    command = ["status", "--state", str(host.state)]
    assert main([*command, "--ready"]) == 0
    assert main([*command, "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out.partition("\n{")[2].join(["{", ""]))
    assert [one["host"]["pid"] for one in shown["hosts"]] == [host.pid]
    assert list(shown["remembered"]) == [str(folder)]
    os.kill(host.pid, signal.SIGSTOP)
    assert main(command) == 1
    assert "not ready: it does not answer" in capsys.readouterr().out
    host.kill()
    assert main(command) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [f"no host runs on {host.state}", f"last served from {folder}:"]
    assert lines[3].split()[0] == "front-desk"
    assert lines[3].endswith("serving")


def _address() -> str:
    """Return this machine's address on a network, where nothing is to answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
