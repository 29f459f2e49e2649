"""Fields from a database: what a call takes of an answer, and what it does without one."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
import stat
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from catalog.records import aged
from rig import needs
from rig.serving import serving

from runner.catalog.remote import LastAnswers
from runner.definition.loader import load
from runner.definition.prompt import greeting, instructions, template_names
from runner.reach.remote import fetched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from runner.definition.spec import AgentSpec

    Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

AGENT = """
name: Own
prompt: The file's own prompt.
voice: coral
temperature: 50%
response_length: long
variables: {config_id: "1", practice: Harbour Dental}
backends:
  - openai-realtime
  - {kind: openai-pipeline, voice: marin, temperature: 10%}
  - {kind: announcement, say: Goodbye.}
remote:
  url: http://127.0.0.1:PORT/api/agent-configs/{{ config_id }}
  timeout: 0.5
  fields:
    name: name
    prompt: systemPrompt
    voice: voiceModel
    temperature: temperature
    response_length: responseLength
"""
ROW = {
    "id": 1,
    "name": "My Agent",
    "systemPrompt": "You work for {{ practice }}.",
    "voiceModel": "sage",
    "temperature": 80,
    "responseLength": "short",
}
OWN = ("Own", "The file's own prompt.", "coral", 50, "long")
GOOD = ("My Agent", "You work for {{ practice }}.", "sage", 80, "short")
ALL = "name, prompt, response_length, temperature, voice"
SECRET = "no-such-thing-is-logged"


def five(spec: AgentSpec) -> tuple[Any, ...]:
    return (spec.name, spec.prompt, spec.voice, spec.temperature, spec.response_length)


async def good(_: web.Request) -> web.Response:
    return web.json_response(ROW)


@dataclass
class Database:
    """An HTTP service on loopback; `answer` is what it does with a request."""

    port: int
    answer: Answer = good
    asked: list[web.Request] = field(default_factory=list)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        return await self.answer(request)


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    one = Database(needs.free_port())
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", one.serve)
    async with serving(app, one.port):
        yield one


@pytest.fixture
def agent(database: Database, tmp_path: Path) -> AgentSpec:
    return an_agent(tmp_path, AGENT.replace("PORT", str(database.port)))


def an_agent(folder: Path, text: str) -> AgentSpec:
    (folder / "desk.yaml").write_text(text)
    return load([folder / "desk.yaml"]).specs["desk"]


@pytest.fixture
def fetch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> Callable[..., Awaitable[tuple[AgentSpec, logging.LogRecord]]]:
    """Fetch as a call does; give the agent that it has, and the one line that the log has."""
    caplog.set_level(logging.INFO, "runner")

    async def run(
        spec: AgentSpec, environment: dict[str, str] | None = None, **variables: Any
    ) -> tuple[AgentSpec, logging.LogRecord]:
        caplog.clear()
        found = await fetched(spec, variables, "room-1", tmp_path / "state", environment or {})
        (line,) = [record for record in caplog.records if record.name.startswith("runner")]
        return found, line

    return run


Fetch = Any


async def test_the_guide_s_row_becomes_the_agent(
    agent: AgentSpec, fetch: Fetch, database: Database
) -> None:
    """Every field comes from the database; the revision stays the file's."""
    spec, line = await fetch(agent, config_id="7")
    assert five(spec) == GOOD
    assert spec.digest == agent.digest
    assert replace(spec, backends=()).digest == agent.digest
    assert [request.path for request in database.asked] == ["/api/agent-configs/7"]
    assert (line.levelname, line.fields) == ("INFO", ALL)
    assert not hasattr(line, "reason")


async def test_a_backend_keeps_what_the_file_gives_it_alone(agent: AgentSpec, fetch: Fetch) -> None:
    spec, _ = await fetch(agent)
    realtime, pipeline, announcement = spec.backends
    assert (realtime.voice, realtime.temperature) == ("sage", 80)
    assert (pipeline.voice, pipeline.temperature) == ("marin", 10)
    assert announcement == agent.backends[2]


async def test_an_agent_without_a_database_asks_nobody(agent: AgentSpec, tmp_path: Path) -> None:
    plain = replace(agent, remote=None)
    assert await fetched(plain, {}, "room-1", tmp_path) is plain


async def html(_: web.Request) -> web.Response:
    return web.Response(text=f"<html>{SECRET}</html>", content_type="text/html")


async def never(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def drip(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    await answer.write(b'{"name": "')
    return await never(request)


async def cut(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "1000"})
    await answer.prepare(request)
    await answer.write(b'{"name": "')
    assert request.transport is not None
    request.transport.abort()
    return answer


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b" " * 65_536)


async def packed(_: web.Request) -> web.Response:
    body = gzip.compress(json.dumps(ROW).encode())
    return web.Response(body=body, headers={"Content-Encoding": "gzip"})


async def circle(request: web.Request) -> web.Response:
    raise web.HTTPFound(request.path)


async def nowhere(_: web.Request) -> web.Response:
    return web.Response(status=302)


def status(code: int) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(ROW | {"error": SECRET}, status=code)

    return answer


def body(text: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="application/json")

    return answer


FAILURES: dict[str, tuple[Answer, str]] = {
    "slow": (never, "timeout"),
    "slow in the middle": (drip, "timeout"),
    "cut off": (cut, "connection_lost"),
    "401": (status(401), "unauthorized"),
    "403": (status(403), "forbidden"),
    "404": (status(404), "not_found"),
    "418": (status(418), "refused"),
    "429": (status(429), "rate_limit"),
    "500": (status(500), "server_error"),
    "HTML": (html, "not_json"),
    "nothing": (status(204), "not_json"),
    "a list": (body("[1]"), "not_json"),
    "nested deeply": (body("[" * 100_000), "not_json"),
    "not a number": (body('{"temperature": NaN}'), "not_json"),
    "a huge number": (body(f'{{"temperature": {"9" * 5000}}}'), "not_json"),
    "Latin-1": (lambda r: _latin(r), "not_json"),
    "packed": (packed, "not_json"),
    "5 MB": (body(json.dumps(ROW | {"systemPrompt": "x" * 5_000_000})), "too_large"),
    "endless": (endless, "too_large"),
    "redirects in a circle": (circle, "redirected"),
    "redirects to nowhere": (nowhere, "redirected"),
}


async def _latin(_: web.Request) -> web.Response:
    return web.Response(body=b'{"name": "Caf\xe9"}')


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_failure_leaves_the_file_s_own_values(
    failure: str, agent: AgentSpec, fetch: Fetch, database: Database
) -> None:
    """No answer, or one that cannot be used, is one warning in time, and the call goes on."""
    database.answer, reason = FAILURES[failure]
    began = time.monotonic()
    spec, line = await fetch(agent)
    assert time.monotonic() - began < 1.5
    assert five(spec) == OWN
    assert (line.levelname, line.reason) == ("WARNING", reason)
    assert SECRET not in str(line.__dict__)


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_failure_leaves_the_last_good_answer(
    failure: str, agent: AgentSpec, fetch: Fetch, database: Database
) -> None:
    """What was good in an earlier call stands before the file's own values."""
    await fetch(agent)
    database.answer, reason = FAILURES[failure]
    spec, line = await fetch(agent)
    assert five(spec) == GOOD
    assert (line.reason, line.last_good) == (reason, ALL)
    other, _ = await fetch(agent, config_id="2")
    assert five(other) == OWN


async def test_a_refused_connection_leaves_the_file_s_own_values(
    fetch: Fetch, tmp_path: Path
) -> None:
    spec, line = await fetch(an_agent(tmp_path, AGENT.replace("PORT", str(needs.free_port()))))
    assert five(spec) == OWN
    assert line.reason == "unreachable"


async def test_what_is_no_http_leaves_the_file_s_own_values(fetch: Fetch, tmp_path: Path) -> None:
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        spec, line = await fetch(an_agent(tmp_path, AGENT.replace("PORT", str(port))))
    assert five(spec) == OWN
    assert line.reason == "not_json"


async def test_a_template_that_takes_long_to_check_is_late(
    agent: AgentSpec, fetch: Fetch, database: Database
) -> None:
    """The timeout holds for all that stands between the call and its agent."""
    assert agent.remote is not None
    database.answer = body(json.dumps(ROW | {"systemPrompt": "{{ practice }}" * 18_000}))
    spec, line = await fetch(replace(agent, remote=replace(agent.remote, timeout=0.1)))
    assert five(spec) == OWN
    assert line.reason == "timeout"


async def test_a_redirect_to_another_server_is_not_followed(
    agent: AgentSpec, fetch: Fetch, database: Database
) -> None:
    """A database cannot send the call to a server that the file does not name."""
    asked = []

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(writer)
        writer.close()

    async with await asyncio.start_server(note, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]

        async def elsewhere(_: web.Request) -> web.Response:
            raise web.HTTPFound(f"http://127.0.0.1:{port}/api/agent-configs/1")

        database.answer = elsewhere
        spec, line = await fetch(agent)
    assert five(spec) == OWN
    assert line.reason == "redirected"
    assert asked == []


async def test_a_redirect_within_the_server_is_followed(
    agent: AgentSpec, fetch: Fetch, database: Database
) -> None:
    async def with_slash(request: web.Request) -> web.Response:
        if not request.path.endswith("/"):
            raise web.HTTPPermanentRedirect(f"{request.path}/")
        return web.json_response(ROW)

    database.answer = with_slash
    assert five((await fetch(agent))[0]) == GOOD


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a name that is none": ({"name": 5}, "name: type"),
    "an empty name": ({"name": ""}, "name: size"),
    "a long name": ({"name": "x" * 101}, "name: size"),
    "a name for terminals": ({"name": "\x1b[2J"}, "name: encoding"),
    "half a character": ({"name": "\ud800"}, "name: encoding"),
    "no prompt": ({"systemPrompt": None}, "prompt: missing"),
    "an empty prompt": ({"systemPrompt": ""}, "prompt: size"),
    "a prompt's file": ({"systemPrompt": {"file": "/etc/passwd"}}, "prompt: type"),
    "a broken template": ({"systemPrompt": "{% if %}"}, "prompt: template-syntax"),
    "an undeclared name": ({"systemPrompt": "{{ nobody }}"}, "prompt: template-name"),
    "a way out": ({"systemPrompt": "{{ agent.__class__ }}"}, "prompt: template-name"),
    "an include": ({"systemPrompt": "{% include '/etc/passwd' %}"}, "prompt: template-include"),
    "an endless prompt": (
        {"systemPrompt": "{% for a in range(99999) %}{{ practice }}{% endfor %}"},
        "prompt: template-render",
    ),
    "a filter's wrong argument": (
        {"systemPrompt": "{{ practice | truncate(2) }}"},
        "prompt: template-render",
    ),
    "a voice that no backend has": ({"voiceModel": "corale"}, "voice: voice"),
    "a voice that one backend lacks": ({"voiceModel": "fable"}, "voice: voice"),
    "temperature 900": ({"temperature": 900}, "temperature: range"),
    "temperature infinite": ({"temperature": 1e999}, "temperature: range"),
    "temperature true": ({"temperature": True}, "temperature: type"),
    "temperature in words": ({"temperature": "hot"}, "temperature: value"),
    "an unknown length": ({"responseLength": "tiny"}, "response_length: value"),
    "a list for a length": ({"responseLength": ["short"]}, "response_length: type"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_wrong_field_costs_that_field_alone(
    wrong: str, agent: AgentSpec, fetch: Fetch, database: Database
) -> None:
    """A value that the file could not have is the file's own; the others are the database's."""
    values, reason = WRONG[wrong]
    database.answer = body(json.dumps(ROW | values).replace("Infinity", "1e999"))
    spec, line = await fetch(agent)
    own = [old != new for old, new in zip(five(spec), GOOD, strict=True)]
    assert own.count(True) == 1
    place = own.index(True)
    assert five(spec)[place] == OWN[place]
    assert (line.levelname, line.reason) == ("WARNING", reason)


MISFITS = {
    "the prompt and the name": (
        {"prompt": "You are {{ agent.name.split(' ')[1] }}."},
        {"name": "Anna"},
        "name: template-render",
    ),
    "the prompt and the length": (
        {"prompt": "{{ {'long': 'Talk.', 'medium': 'Answer.'}[response_length] }}"},
        {"responseLength": "short"},
        "response_length: template-render",
    ),
    "the greeting and the name": (
        {"greeting": "I am {{ agent.name.split(' ')[1] }}."},
        {"name": "Anna"},
        "name: template-render",
    ),
    "the two of the database": (
        {},
        {"name": "Anna", "systemPrompt": "You are {{ agent.name.split(' ')[1] }}."},
        "prompt: template-render",
    ),
}


@pytest.mark.parametrize("misfit", MISFITS)
async def test_good_values_that_do_not_fit_cost_one_of_them(
    misfit: str, fetch: Fetch, database: Database, tmp_path: Path
) -> None:
    """What the call is left with can be rendered."""
    file, row, reason = MISFITS[misfit]
    text = AGENT.replace("name: Own", "name: Harbour Dental").replace("PORT", str(database.port))
    if "prompt" in file:
        text = text.replace("    prompt: systemPrompt\n", "")
        text = text.replace("The file's own prompt.", json.dumps(file["prompt"]))
    if "greeting" in file:
        text += f"greeting: {json.dumps(file['greeting'])}\n"
    database.answer = body(json.dumps(ROW | row))
    spec, line = await fetch(an_agent(tmp_path, text))
    assert (line.levelname, line.reason) == ("WARNING", reason)
    refused = reason.partition(":")[0]
    own = {"name": "Harbour Dental", "prompt": "The file's own prompt.", "response_length": "long"}
    assert getattr(spec, refused) == own[refused]
    assert refused not in line.fields
    assert (spec.voice, spec.temperature) == ("sage", 80)
    instructions(spec, template_names(spec))
    greeting(spec, template_names(spec))


async def test_a_wrong_field_is_as_it_was_last_good(
    agent: AgentSpec, fetch: Fetch, database: Database
) -> None:
    """Field by field: the new values where they are good, the last good ones where not."""
    await fetch(agent)
    database.answer = body(json.dumps(ROW | {"name": "Renamed", "voiceModel": 7}))
    spec, line = await fetch(agent)
    assert (spec.name, spec.voice) == ("Renamed", "sage")
    assert (line.last_good, line.reason) == ("voice", "voice: type")
    database.answer = status(500)
    spec, _ = await fetch(agent)
    assert (spec.name, spec.voice) == ("Renamed", "sage")


async def test_a_value_that_does_not_fit_is_as_it_was_last_good(
    fetch: Fetch, database: Database, tmp_path: Path
) -> None:
    text = AGENT.replace("PORT", str(database.port)).replace("    prompt: systemPrompt\n", "")
    second = "The second word is {{ agent.name.split(' ')[1] }}."
    text = text.replace("The file's own prompt.", second).replace("name: Own", "name: Our Own")
    agent = an_agent(tmp_path, text)
    await fetch(agent)
    database.answer = body(json.dumps(ROW | {"name": "Anna"}))
    for _ in range(2):
        spec, line = await fetch(agent)
        assert spec.name == "My Agent"
        assert (line.last_good, line.reason) == ("name", "name: template-render")


async def test_a_last_good_value_must_fit_the_answer_of_today(
    fetch: Fetch, database: Database, tmp_path: Path
) -> None:
    """What the database has now comes first, though it fits only as a whole."""
    text = AGENT.replace("PORT", str(database.port)).replace("name: Own", "name: Our Own")
    second = "Say {{ agent.name.split(' ')[1] }}."
    agent = an_agent(tmp_path, text.replace("The file's own prompt.", second))
    await fetch(agent)
    prompt = "{{ {'long': agent.name}[response_length] }}"
    row = ROW | {"name": "Anna", "systemPrompt": prompt, "responseLength": "tiny"}
    database.answer = body(json.dumps(row))
    spec, line = await fetch(agent)
    assert (spec.name, spec.prompt, spec.response_length) == ("Anna", prompt, "long")
    assert line.reason == "response_length: value; response_length: template-render"


async def test_a_last_good_value_must_fit_the_file_of_today(
    agent: AgentSpec, fetch: Fetch, database: Database, tmp_path: Path
) -> None:
    """A prompt that uses a variable which the file no longer has is not taken."""
    await fetch(agent)
    database.answer = status(500)
    text = AGENT.replace("PORT", str(database.port)).replace(", practice: Harbour Dental", "")
    spec, line = await fetch(an_agent(tmp_path, text))
    assert (spec.prompt, spec.name) == ("The file's own prompt.", "My Agent")
    assert line.last_good == "name, response_length, temperature, voice"


@pytest.mark.parametrize("value", ["60%", "60 %", 60, 60.0])
async def test_a_temperature_is_written_as_in_the_file(
    value: Any, agent: AgentSpec, fetch: Fetch, database: Database
) -> None:
    database.answer = body(json.dumps(ROW | {"temperature": value}))
    spec, _ = await fetch(agent)
    assert (spec.temperature, spec.backends[0].temperature) == (60.0, 60.0)


async def test_a_dot_leads_into_an_object(fetch: Fetch, database: Database, tmp_path: Path) -> None:
    database.answer = body(json.dumps({"data": {"voice": "echo"}, "name": "flat"}))
    text = AGENT.replace("PORT", str(database.port)).replace("voiceModel", "data.voice")
    spec, line = await fetch(an_agent(tmp_path, text.replace("name: name", "name: name.first")))
    assert (spec.voice, spec.name) == ("echo", "Own")
    assert "name: missing" in line.reason


@pytest.mark.parametrize(
    "value", ["../../admin", "1/../admin", "1?admin=1", "1#x", "a\\b", "%2e%2e", "é x", "//x"]
)
async def test_a_value_stays_in_its_segment(
    value: str, agent: AgentSpec, fetch: Fetch, database: Database
) -> None:
    """What a caller brings names a row, whatever is in it."""
    await fetch(agent, config_id=value)
    (request,) = database.asked
    assert request.raw_path.count("/") == 3
    assert request.raw_path.startswith("/api/agent-configs/")
    assert request.path == f"/api/agent-configs/{value}"
    assert request.query_string == ""


@pytest.mark.parametrize("value", ["..", ".", ""])
async def test_a_value_that_is_no_segment_asks_nobody(
    value: str, agent: AgentSpec, fetch: Fetch, database: Database
) -> None:
    spec, line = await fetch(agent, config_id=value)
    assert five(spec) == OWN
    assert line.reason == "bad_address"
    assert database.asked == []


async def test_the_room_s_name_may_choose_the_row(
    fetch: Fetch, database: Database, tmp_path: Path
) -> None:
    text = AGENT.replace("PORT", str(database.port)).replace("config_id }}", "room.name }}")
    await fetch(an_agent(tmp_path, text))
    assert database.asked[0].path == "/api/agent-configs/room-1"


@pytest.mark.parametrize(
    ("key", "reason"),
    [("s3cret", None), ("", "no_key"), ("s3cret\n", "unauthorized"), ("other", "unauthorized")],
)
async def test_a_token_is_taken_from_the_environment(
    key: str, reason: str | None, fetch: Fetch, database: Database, tmp_path: Path
) -> None:
    """The file names the variable; the token goes to the database and into no line of the log."""

    async def guarded(request: web.Request) -> web.Response:
        known = request.headers.get("Authorization") == "Bearer s3cret"
        return web.json_response(ROW, status=200 if known else 401)

    database.answer = guarded
    text = AGENT.replace("PORT", str(database.port)) + "  api_key_env: DATABASE_TOKEN\n"
    spec, line = await fetch(an_agent(tmp_path, text), {"DATABASE_TOKEN": key})
    assert five(spec) == (OWN if reason else GOOD)
    assert getattr(line, "reason", None) == reason
    assert "s3cret" not in str(line.__dict__)


async def test_only_the_owner_reads_the_last_good_answers(
    agent: AgentSpec, fetch: Fetch, tmp_path: Path
) -> None:
    await fetch(agent)
    (kept,) = (tmp_path / "state" / "remote").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("damage", [b"", b"\xff", b"[]", b"5", b'{"name": 7, "voice": "corale"}'])
async def test_a_damaged_last_answer_costs_nothing(
    damage: bytes, agent: AgentSpec, fetch: Fetch, database: Database, tmp_path: Path
) -> None:
    await fetch(agent)
    (kept,) = (tmp_path / "state" / "remote").iterdir()
    kept.write_bytes(damage)
    database.answer = status(500)
    assert five((await fetch(agent))[0]) == OWN


async def test_a_state_folder_that_cannot_be_written_costs_nothing(
    agent: AgentSpec, fetch: Fetch, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("")
    assert five((await fetch(agent))[0]) == GOOD


def test_answers_that_no_call_asks_for_are_removed(tmp_path: Path) -> None:
    answers = LastAnswers(tmp_path)
    answers.put("http://x/1", {"name": "name"}, {"name": "One"})
    assert answers.tidy(60, 1) == 0
    assert answers.tidy(-60, 1) == 1
    assert answers.get("http://x/1", {"name": "name"}) == {}


async def test_a_slow_disk_is_not_heard(agent: AgentSpec, fetch: Fetch, tmp_path: Path) -> None:
    """The loop turns on while the last good answer is read."""
    await fetch(agent)
    (kept,) = (tmp_path / "state/remote").iterdir()
    kept.unlink()
    os.mkfifo(kept)
    turned = threading.Event()

    def write() -> bool:
        # Comes back when somebody reads.
        with kept.open("w") as pipe:
            turned.clear()
            still_turns = turned.wait(5.0)
            kept.unlink()
            pipe.write("{}")
        return still_turns

    writing = asyncio.create_task(asyncio.to_thread(write))
    fetching = asyncio.create_task(fetch(agent))
    while not writing.done():
        turned.set()
        await asyncio.sleep(0.01)
    assert await writing
    await fetching


def test_of_very_many_answers_the_last_stay(tmp_path: Path) -> None:
    answers, fields = LastAnswers(tmp_path), {"name": "name"}
    for room in range(5):
        answers.put(f"http://x/room-{room}", fields, {"name": f"Room {room}"})
        aged(answers._path(f"http://x/room-{room}", fields), 10 - room)
    answers.put("http://x/room-0", fields, {"name": "Room 0"})
    assert answers.tidy(60, 3) == 2
    kept = [room for room in range(5) if answers.get(f"http://x/room-{room}", fields)]
    assert kept == [0, 3, 4]
