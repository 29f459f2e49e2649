"""What never leaves the studio, and what never spreads in it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from host.studio import a_studio, address_of, printed_address
from rig.page import ENDS, Page
from rig.script import Call, Tone

from runner.catalog.catalog import Catalog
from runner.catalog.reload import Reload
from runner.catalog.serving import Serving
from runner.catalog.store import STATE_VARIABLE, Store
from runner.definition.loader import load
from runner.host.studio import files
from runner.host.studio.server import Studio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rig.host import Host
    from rig.openai_service import OpenAIService

AGENTS = Path(__file__).with_name("agents")
KEY, PART_KEY, SECRET, PASSWORD = SECRETS = (
    "sk-MARKER-key", "sk-MARKER-part", "MARKER-secret", "MARKER-password",
)  # fmt: skip
KEYED = """\
prompt: You answer the phone.
backends:
  - {{kind: openai-realtime, first_audio_timeout: 2.0, base_url: "{base_url}"}}
  - kind: openai-pipeline
    stt: {{model: own, api_key_env: PART_KEY}}
    llm: {{model: own, api_key_env: PART_KEY}}
tools:
  - {{name: look_up, description: Look something up., returns: Nothing.}}
"""
QUESTION = "What can you do for me?"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Make a browser's other half; it keeps the cookies of numbered addresses, too."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


@pytest.fixture
async def page() -> AsyncIterator[Callable[[], Page]]:
    """Make pages; all are closed when the test ends."""
    made: list[Page] = []

    def make() -> Page:
        made.append(Page())
        return made[-1]

    yield make
    for one in made:
        await one.leave()


async def told(socket: aiohttp.ClientWebSocketResponse, into: list[str]) -> None:
    """Keep all that a socket brings."""
    while (message := await socket.receive()).type not in ENDS:
        into.append(str(message.data))


async def fetched(http: aiohttp.ClientSession, url: str) -> str:
    """Return a whole answer, its headers too."""
    async with http.get(url) as answer:
        return f"{answer.headers} {await answer.text()}"


async def test_keys_never_reach_the_page(
    hosts: Callable[[Host], Host],
    openai_service: OpenAIService,
    http: aiohttp.ClientSession,
    page: Callable[[], Page],
    tmp_path: Path,
) -> None:
    """No answer, no event and no line of the log holds a key, whatever a server says of it."""
    openai_service.realtime.script = {"": Tone("Welcome."), "do for": Call("look_up", {})}
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "keyed.yaml").write_text(KEYED.format(base_url=openai_service.base_url))
    environment = {
        "OPENAI_BASE_URL": openai_service.base_url.replace("//", f"//user:{PASSWORD}@"),
        "OPENAI_API_KEY": KEY, "PART_KEY": PART_KEY, "LIVEKIT_API_SECRET": SECRET,
    }  # fmt: skip
    host = hosts(a_studio(folder, environment=environment, home=tmp_path / "home"))
    address = await address_of(host)
    events = await http.ws_connect(f"{address}events", origin=address.rstrip("/"))
    heard: list[str] = []
    listening = asyncio.create_task(told(events, heard))
    caller = page()
    await caller.call(address, "keyed")
    await caller.wait_words("Welcome.", within=20)
    await caller.type(QUESTION)
    await caller.wait_event("tool", status="done")
    openai_service.check_key()
    await caller.tell("break")
    await caller.wait_event("left", reason="unauthorized")
    await caller.wait_event("ended", reason="no backend can carry the call", within=40)
    refused = page()
    await refused.call(address, "keyed")
    await refused.wait_event("ended", within=40)
    asked = [f"page/{name}" for name in files.read()] + ["", "agents", "none", "events", "call"]
    answers = [await fetched(http, address + path) for path in asked]
    assert host.stop() == 0
    await listening
    everything = json.dumps([caller.events, refused.events, heard, answers])
    assert "openai-pipeline-2" in everything
    assert openai_service.http.journal.of("chat")
    for secret in SECRETS:
        assert secret not in everything
        assert secret not in host.stdout + host.stderr


async def test_two_studios_let_one_browser_in(
    hosts: Callable[[Host], Host], http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Cookies are a machine's, not a port's: the token of one studio does not replace another's."""
    bases = []
    for name in ("one", "other"):
        host = hosts(a_studio(AGENTS, "--host", "0.0.0.0", environment={}, home=tmp_path / name))
        port = (await address_of(host)).rstrip("/").rpartition(":")[2]
        token = (await printed_address(host)).partition("?token=")[2]
        bases.append(f"http://127.0.0.1:{port}/")
        async with http.get(f"{bases[-1]}?token={token}", raise_for_status=True):
            pass
    for base in bases:
        async with http.get(f"{base}agents") as answer:
            assert answer.status == 200


class Agents:
    """What is served: all of a folder, with one agent that breaks whatever carries its call."""

    def __init__(self, folder: Path, state: Path) -> None:
        serving = Reload(folder, Store(state), load([folder])).serving
        specs = dict(serving.catalog.specs)
        broken: Any = None
        specs["welcome"] = replace(specs["welcome"], turn_taking=broken)
        self.serving = Serving(catalog=Catalog(specs, files=len(specs)), agents=serving.agents)


async def test_a_call_that_breaks_breaks_alone(
    openai_service: OpenAIService,
    http: aiohttp.ClientSession,
    page: Callable[[], Page],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A defect ends its own call with a sentence; the other call, the page and new calls go on."""
    for name, value in openai_service.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    openai_service.realtime.script = {"": Tone("Welcome."), "do for": Tone("A lot.")}
    studio = Studio(Agents(AGENTS, tmp_path / "state"), tmp_path / "state", port=0)
    async with studio.serve() as address:
        events = await http.ws_connect(f"{address}events", origin=address.rstrip("/"))
        other = page()
        await other.call(address, "front-desk")
        await other.wait_words("Welcome.", within=20)
        broken = page()
        await broken.call(address, "welcome")
        await broken.wait_event("ended", reason="the call broke")
        assert (await broken.wait_closed())[0] == 1000
        await other.type(QUESTION)
        await other.wait_words("A lot.")
        assert (await events.receive_json())["type"] == "agents"
        again = page()
        await again.call(address, "front-desk")
        await again.wait_words("Welcome.")
        for one in (other, again):
            await one.tell("hang_up")
            await one.wait_event("ended", reason="participant_disconnected")
    (line,) = [one for one in caplog.records if one.message == "the call broke"]
    assert line.exc_info
