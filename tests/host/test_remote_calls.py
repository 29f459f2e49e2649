"""Calls to an agent whose fields are rows of a real database behind a real HTTP service."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from catalog.records import aged
from livekit import api
from rig.database import ExampleDatabase
from rig.host import Host
from rig.serving import serving

from runner.catalog.records import Records
from runner.catalog.remote import LastAnswers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from rig.caller import Caller
    from rig.livekit_server import LiveKitServer
    from rig.openai_service import OpenAIService

REALTIME = 440
ALL = "name, prompt, response_length, temperature, voice"
EDIT = """
    UPDATE agent_configs SET name = 'Night Desk', voice_model = 'marin',
    system_prompt = 'You are {{ agent.name }} of row {{ config_id }}.' WHERE id = 2
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[ExampleDatabase]:
    with ExampleDatabase(tmp_path / "database") as one:
        yield one


@pytest.fixture
def host(
    database: ExampleDatabase,
    hosts: Callable[[Host], Host],
    host_environment: dict[str, str],
    tmp_path: Path,
) -> Host:
    home = tmp_path / "home"
    return hosts(Host.serve(database.agents, environment=host_environment, home=home))


async def greeted(one: Caller, server: LiveKitServer, room: str, row: int | None = None) -> Caller:
    """Join a room, and wait for the greeting; `row` goes into the room's metadata."""
    variables = json.dumps({"variables": {"config_id": row}} if row else {})
    config = api.RoomConfiguration(metadata=variables)
    await one.join(server.url, server.token(room, one.identity, room_config=config))
    await one.wait_heard(REALTIME)
    return one


def sent(service: OpenAIService) -> tuple[str, str]:
    """Return the voice and the instructions that the last call has sent."""
    session: dict[str, Any] = {}
    for update in service.realtime.journal.of("session.update"):
        session |= update.event["session"]
    return session["audio"]["output"]["voice"], session["instructions"]


async def test_an_edited_row_is_in_the_next_call(
    database: ExampleDatabase,
    host: Host,
    caller: Callable[..., Caller],
    livekit_server: LiveKitServer,
    openai_service: OpenAIService,
) -> None:
    """The room names the row; each call has the row as it is, at the same revision of the file."""
    await host.ready()
    first = await greeted(caller(), livekit_server, "voice_agent_session_2")
    voice, instructions = sent(openai_service)
    assert voice == "sage"
    assert instructions.startswith("You answer the phone for Harbour Dental. Today is ")
    assert instructions.endswith("Answer in one or two short sentences.")
    line = await host.wait_log("remote fields fetched", room=first.room.name)
    assert (line["fields"], line["agent"]) == (ALL, "assistant")
    using = await host.wait_log("using agent", room=first.room.name)
    assert (using["display_name"], using["temperature"]) == ("Harbour Dental", 0.84)
    (path,) = Records(host.state).paths()
    assert Records(host.state).read(path).remote == tuple(ALL.split(", "))
    await first.wait_named("Harbour Dental")

    database.edit(EDIT)
    openai_service.realtime.journal.clear()
    second = await greeted(caller(), livekit_server, "night-1", row=2)
    voice, instructions = sent(openai_service)
    assert (voice, instructions.splitlines()[0]) == ("marin", "You are Night Desk of row 2.")
    assert second.attributes["runner.revision"] == first.attributes["runner.revision"]
    assert second.attributes["runner.revision"] == line["revision"]


async def test_a_database_that_fails_costs_a_call_its_fields_alone(
    database: ExampleDatabase,
    host: Host,
    caller: Callable[..., Caller],
    livekit_server: LiveKitServer,
    openai_service: OpenAIService,
) -> None:
    """A call has the row's last good answer, another row's the file's own values."""
    await host.ready()
    await greeted(caller(), livekit_server, "evening-1", row=2)
    database.stop()
    openai_service.realtime.journal.clear()
    known = await greeted(caller(), livekit_server, "evening-2", row=2)
    assert sent(openai_service)[0] == "sage"
    fields = {"room": known.room.name, "level": "WARNING", "reason": "unreachable"}
    line = await host.wait_log("remote fields are not all good", **fields)
    assert line["last_good"] == ALL
    openai_service.realtime.journal.clear()
    await greeted(caller(), livekit_server, "evening-3", row=1)
    voice, instructions = sent(openai_service)
    assert voice == "coral"
    assert instructions.startswith("You are a helpful AI assistant.")
    assert "You answer the phone" not in json.dumps(host.log)


@pytest.fixture
async def slow_database() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Serve one answer, from an event on."""
    go_on = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        await go_on.wait()
        return web.json_response({"name": "Night Desk"})

    app = web.Application()
    app.router.add_get("/", answer)
    async with serving(app) as address:
        yield f"{address}/", go_on


async def test_the_room_is_joined_while_the_database_is_asked(
    slow_database: tuple[str, asyncio.Event],
    hosts: Callable[[Host], Host],
    host_environment: dict[str, str],
    caller: Callable[..., Caller],
    livekit_server: LiveKitServer,
    tmp_path: Path,
) -> None:
    """It answers only once the agent is in the room: neither waits for the other to begin."""
    url, go_on = slow_database
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents/desk.yaml").write_text(
        "prompt: You answer the phone.\nbackends: [openai-realtime]\n"
        f"remote: {{url: '{url}', timeout: 10, fields: {{name: name}}}}\n"
    )
    host = Host.serve(tmp_path / "agents", environment=host_environment, home=tmp_path / "home")
    await hosts(host).ready()
    one = caller()
    await one.join(livekit_server.url, livekit_server.token("desk-1", one.identity))
    await one.wait_happening("participant_connected")
    go_on.set()
    await one.wait_heard(REALTIME)
    assert (await host.wait_log("remote fields fetched"))["fields"] == "name"


async def test_old_answers_are_removed_at_the_start(
    hosts: Callable[[Host], Host],
    database: ExampleDatabase,
    livekit_server: LiveKitServer,
    tmp_path: Path,
) -> None:
    host = Host.serve(
        database.agents, environment=livekit_server.environment, home=tmp_path / "home"
    )
    answers, fields = LastAnswers(host.state), {"name": "name"}
    answers.put("http://localhost/old", fields, {"name": "Old"})
    (old,) = (host.state / "remote").iterdir()
    aged(old, 31 * 24 * 3600)
    answers.put("http://localhost/new", fields, {"name": "New"})
    await hosts(host).wait_log("old answers removed")
    assert not old.exists()
    assert answers.get("http://localhost/new", fields) == {"name": "New"}
