"""The studio as a process: how it starts, who may come in, what it tells, and how it ends."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yaml
from host.studio import a_studio, address_of, printed_address
from rig.host import REPOSITORY, Host
from rig.page import Page
from rig.script import Tone

from runner.host.studio import files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from rig.caller import Caller
    from rig.livekit_server import LiveKitServer
    from rig.openai_service import OpenAIService

AGENTS = Path(__file__).with_name("agents")
BROKEN = "prompt: Hello {{ nobody }}.\n"
REALTIME, PIPELINE = 440.0, 880.0
RECIPE = re.compile(r"^## Without OpenAI\n.*?^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def keyless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A studio in an environment without any key; one of its agents is broken."""
    home = tmp_path_factory.mktemp("keyless")
    folder = home / "agents"
    shutil.copytree(AGENTS, folder)
    (folder / "broken.yaml").write_text(BROKEN)
    host = a_studio(folder, environment={}, home=home)
    yield host.start()
    host.kill()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Make a browser's other half."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """Make a page; it is closed when the test ends."""
    made = Page()
    yield made
    await made.leave()


@pytest.fixture
def start(
    hosts: Callable[[Host], Host], openai_service: OpenAIService, tmp_path: Path
) -> Callable[..., Host]:
    """Start a studio with options."""

    def run(*options: str, folder: Path = AGENTS, **environment: str) -> Host:
        environment = openai_service.environment | environment
        return hosts(a_studio(folder, *options, environment=environment, home=tmp_path / "home"))

    return run


async def agents_of(http: aiohttp.ClientSession, address: str) -> dict[str, Any]:
    async with http.get(f"{address}agents") as response:
        told: dict[str, Any] = await response.json()
        return told | {"by_id": {one["id"]: one for one in told["agents"]}}


async def test_the_page_is_there_before_calls_are(
    start: Callable[..., Host], http: aiohttp.ClientSession
) -> None:
    """The page does not wait for what only calls need, which takes longer than that."""
    start().kill()
    began = time.monotonic()
    address = await address_of(start())
    async with http.get(address) as response:
        assert response.status == 200
    print(f"  page ready: {time.monotonic() - began:.2f} s")
    assert time.monotonic() - began < 3


async def test_every_file_of_the_page_is_served(keyless: Host, http: aiohttp.ClientSession) -> None:
    """What is shipped is there with its type, and nothing else of the machine is."""
    address = await address_of(keyless)
    shipped = files.read()
    for name, file in shipped.items():
        async with http.get(f"{address}page/{name}") as response:
            assert (response.content_type, await response.read()) == (file.type, file.content)
    for name in ("../server.py", "%2e%2e/server.py", "..%2f..%2fworker.py", "/etc/passwd", ""):
        url = aiohttp.client.URL(f"{address}page/{name}", encoded=True)
        async with http.get(url) as response:
            assert response.status == 404


async def test_the_page_may_load_and_be_framed_by_nothing_foreign(
    keyless: Host, http: aiohttp.ClientSession
) -> None:
    """Every answer, a refusal too, carries the headers that keep others out."""
    address = await address_of(keyless)
    for path, status in (("", 200), ("agents", 200), ("nothing", 404)):
        async with http.get(address + path) as response:
            assert response.status == status
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert response.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("{own}", 200),
        ("localhost:{port}", 200),
        ("[::1]:{port}", 200),
        ("127.0.0.1:9000", 200),
        ("rebound.example:{port}", 403),
        ("127.0.0.1.rebound.example:{port}", 403),
        ("localhost@rebound.example", 403),
        ("[", 403),
        ("", 403),
    ],
)
@pytest.mark.parametrize("path", ["", "agents", "page/index.html", "events", "call?agent=x"])
async def test_a_name_that_was_made_to_point_here_is_refused(
    keyless: Host, http: aiohttp.ClientSession, path: str, host: str, status: int
) -> None:
    """DNS rebinding: only this machine's own names are answered; a tunnel may change the port."""
    address = await address_of(keyless)
    own = address.removeprefix("http://").rstrip("/")
    name = host.format(own=own, port=own.rpartition(":")[2])
    upgrades = path.startswith(("events", "call"))
    async with http.get(address + path, headers={"Host": name}) as response:
        assert response.status == (400 if upgrades and status == 200 else status)


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost", "file://{own}", ""],
)
@pytest.mark.parametrize("path", ["events", "call?agent=front-desk"])
async def test_a_foreign_page_can_open_no_websocket(
    keyless: Host, http: aiohttp.ClientSession, path: str, origin: str
) -> None:
    """A browser names the page that asks; only the studio's own may."""
    address = await address_of(keyless)
    own = address.removeprefix("http://").rstrip("/")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(address + path, origin=origin.format(own=own))
    assert refused.value.status == 403
    with pytest.raises(aiohttp.WSServerHandshakeError) as unnamed:
        await http.ws_connect(address + path)
    assert unnamed.value.status == 403


async def test_a_foreign_page_can_read_nothing(keyless: Host, http: aiohttp.ClientSession) -> None:
    """A fetch from elsewhere is refused, and no header would let its page read the answer."""
    address = await address_of(keyless)
    async with http.get(f"{address}agents", headers={"Origin": "http://evil.example"}) as response:
        assert response.status == 403
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_another_address_needs_the_token(
    start: Callable[..., Host], http: aiohttp.ClientSession
) -> None:
    """Beyond the loopback the printed address lets in, then a cookie; the log has no token."""
    host = start("--host", "0.0.0.0")
    line = await host.wait_log("studio ready")
    port = line["url"].rstrip("/").rpartition(":")[2]
    base = f"http://127.0.0.1:{port}/"
    token = (await printed_address(host)).partition("?token=")[2]
    assert len(token) >= 32
    assert token not in host.stderr
    for wrong in ("", "?token=", "?token=x", f"?token={token}x"):
        async with http.get(base + wrong) as response:
            assert response.status == 403
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await http.ws_connect(f"{base}events", origin=base.rstrip("/"))
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as browser:
        async with browser.get(f"{base}?token={token}") as response:
            assert response.status == 200
            cookie = response.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
        async with browser.get(f"{base}agents") as response:
            assert response.status == 200
        socket_ = await browser.ws_connect(f"{base}events", origin=base.rstrip("/"))
        assert (await socket_.receive_json())["type"] == "agents"
        await socket_.close()


async def test_the_next_free_port_is_taken_unless_one_is_named(
    hosts: Callable[[Host], Host], tmp_path: Path
) -> None:
    """Two studios find a port each; a named one that is taken is said."""
    one, two = (
        hosts(Host.serve(AGENTS, environment={}, home=tmp_path / name)) for name in ("one", "two")
    )
    addresses = [await address_of(one), await address_of(two)]
    ports = [int(address.rstrip("/").rpartition(":")[2]) for address in addresses]
    assert ports[0] != ports[1]
    assert all(8090 <= port < 8110 for port in ports)
    assert await printed_address(one) == addresses[0]
    three = hosts(
        Host.serve(AGENTS, "--port", str(ports[0]), environment={}, home=tmp_path / "three")
    )
    await asyncio.to_thread(three._running.wait, 20)
    assert three.stop() == 3
    assert three.stderr.splitlines()[-1] == (
        f"runner: port {ports[0]} is taken; name another with --port"
    )


async def test_agents_are_told_as_they_are(keyless: Host, http: aiohttp.ClientSession) -> None:
    """The page learns what a call would have, and the findings exactly as validate prints them."""
    told = await agents_of(http, await address_of(keyless))
    assert told["mode"] == "rehearsal"
    assert told["line"] == (
        "NO_SUCH_KEY and OPENAI_API_KEY are not set: agents are rehearsed, not run"
    )
    assert told["line"] in keyless.stdout
    agent = told["by_id"]["front-desk"]
    assert (agent["state"], agent["name"], agent["rehearsal"]) == ("serving", "Front Desk", True)
    assert "You answer the phone for Harbour Dental. You talk to there" in agent["prompt"]
    assert (agent["voice"], agent["temperature"]) == ("coral", "60 %")
    assert agent["backends"] == [
        {
            "name": "openai-realtime-1",
            "kind": "openai-realtime",
            "about": "gpt-realtime, voice coral",
        }
    ]
    (tool,) = agent["tools"]
    assert tool["parameters"]["properties"]["day"]["enum"] == ["monday", "tuesday"]
    broken = told["by_id"]["broken"]
    assert (broken["state"], broken["revision"], broken["prompt"]) == ("broken", None, "")
    (finding,) = broken["findings"]
    assert finding in keyless.stderr
    assert finding.splitlines()[1:] == [
        "   1 | prompt: Hello {{ nobody }}.",
        "     |                  ^~~~~~",
    ]


async def test_live_calls_are_told(
    start: Callable[..., Host], http: aiohttp.ClientSession, page: Page
) -> None:
    """A call is in the list of every page while it lasts, with the backend that has it."""
    address = await address_of(start())
    feed = await http.ws_connect(f"{address}events", origin=address.rstrip("/"))
    assert (await feed.receive_json())["type"] == "agents"
    assert await feed.receive_json() == {"type": "calls", "calls": []}
    await page.call(address, "front-desk")
    await page.wait_heard(within=20)
    async with asyncio.timeout(5):
        while not (calls := (await feed.receive_json())["calls"]) or not calls[0]["backend"]:
            pass
    started = page.of("started")[0]
    assert (calls[0]["id"], calls[0]["where"]) == (started["call"], "studio")
    assert (calls[0]["agent"], calls[0]["backend"]) == ("front-desk", "openai-realtime-1")
    await page.tell("hang_up")
    async with asyncio.timeout(5):
        assert (await feed.receive_json())["calls"] == []
    await feed.send_str("{}")
    assert (await feed.receive()).data == 1003


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_studio_and_its_calls(
    start: Callable[..., Host],
    openai_service: OpenAIService,
    http: aiohttp.ClientSession,
    page: Page,
    sig: signal.Signals,
) -> None:
    """Pages are told why their call is over, and the exit status is 0."""
    openai_service.realtime.script = [Tone("A long story.", 20.0)]
    host = start()
    address = await address_of(host)
    feed = await http.ws_connect(f"{address}events", origin=address.rstrip("/"))
    await page.call(address, "front-desk")
    await page.wait_heard(REALTIME, within=20)
    host.signal(sig)
    await page.wait_event("ended", reason="the studio was stopped")
    assert (await page.wait_closed())[0] == 1001
    await asyncio.to_thread(host._running.wait, 15)
    assert host.stop() == 0
    async with asyncio.timeout(5):
        while (message := await feed.receive()).type is not aiohttp.WSMsgType.CLOSE:
            pass
    assert message.data == 1001
    assert "Traceback" not in host.stderr
    await host.wait_log("call ended", reason="the studio was stopped")


async def test_the_recipe_without_openai_holds_a_call(
    hosts: Callable[[Host], Host], openai_service: OpenAIService, page: Page, tmp_path: Path
) -> None:
    """The agent in the docs is checked, hears and answers where no key is set at all."""
    openai_service.hears("What is on show?")
    openai_service.http.answers({"": "Welcome here.", "on show": "A whale."})
    (recipe,) = RECIPE.findall((REPOSITORY / "docs" / "studio.md").read_text("utf-8"))
    folder = tmp_path / "agents"
    folder.mkdir()
    own = re.sub(r"http://127\.0\.0\.1:\d+/v1", openai_service.base_url, recipe)
    (folder / "museum.yaml").write_text(own, "utf-8")
    host = hosts(a_studio(folder, environment={}, home=tmp_path / "home"))
    await page.call(await address_of(host), "museum")
    await page.wait_words("Welcome here.", within=20)
    await page.wait_silence()
    await page.say("What is on show?")
    await page.wait_words("A whale.")
    await page.wait_heard(PIPELINE, after=page.said[-1][1])
    (backend,) = yaml.safe_load(recipe)["backends"]
    for part, endpoint in (("stt", "stt"), ("llm", "chat"), ("tts", "tts")):
        asked = {entry.event["model"] for entry in openai_service.http.journal.of(endpoint)}
        assert asked == {backend[part]["model"]}


async def test_the_studio_stands_beside_the_worker(
    start: Callable[..., Host],
    livekit_server: LiveKitServer,
    caller: Callable[..., Caller],
    http: aiohttp.ClientSession,
    page: Page,
) -> None:
    """With --studio one process answers rooms and pages, and the page lists the calls of both."""
    host = start("--studio", **livekit_server.environment)
    address = await address_of(host)
    await host.ready()
    one = caller()
    await one.join(livekit_server.url, livekit_server.token("front-desk-1", one.identity))
    await asyncio.gather(page.call(address, "back-office"), one.wait_heard(REALTIME))
    await page.wait_heard(PIPELINE, within=20)
    feed = await http.ws_connect(f"{address}events", origin=address.rstrip("/"))
    await feed.receive_json()
    calls = (await feed.receive_json())["calls"]
    assert {(call["agent"], call["where"]) for call in calls} == {
        ("front-desk", "livekit"),
        ("back-office", "studio"),
    }
    line = await host.wait_log("using agent", agent="back-office")
    assert line["room"].startswith("studio-")
    await one.leave()
    await feed.close()


async def test_no_studio_beside_the_worker_unless_it_is_wanted(
    start: Callable[..., Host], livekit_server: LiveKitServer
) -> None:
    """With LIVEKIT_URL and without --studio nothing listens for pages."""
    host = start(**livekit_server.environment)
    await host.ready()
    assert host.stdout == ""
    assert not [line for line in host.log if line["message"] == "studio ready"]


async def test_an_address_that_is_not_this_machine_s_is_said(start: Callable[..., Host]) -> None:
    """A host that cannot be bound ends with one sentence."""
    host = start("--host", "192.0.2.1")
    await asyncio.to_thread(host._running.wait, 20)
    assert host.stop() == 3
    assert "runner: cannot serve at 192.0.2.1, port 0: " in host.stderr
    assert "Traceback" not in host.stderr
