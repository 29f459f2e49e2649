"""`runner doctor` tells every trouble apart, against a real LiveKit and a simulated OpenAI."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from rig.database import ExampleDatabase
from rig.livekit_server import API_SECRET
from rig.openai_http import HTTPFault
from rig.openai_realtime import Fault
from rig.serving import serving
from rig.sound import to_wav, tone

from runner.catalog.announcements import Announcements, announcement
from runner.catalog.breaker import Breakers
from runner.cli import main
from runner.commands.doctor import visit
from runner.definition.loader import load
from runner.doctor.checks import SUPPORTED, examine
from runner.doctor.setup import PACKAGES, read
from runner.reach.service import realtime_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rig.openai_service import OpenAIService

REPOSITORY = Path(__file__).parents[2]
AGENT = "prompt: You help.\ngreeting: false\n"
REALTIME = AGENT + "backends: [openai-realtime]\n"
PIPELINE = AGENT + "backends: [openai-pipeline]\n"
ANNOUNCEMENT = "{kind: announcement, say: Please ring again.}"
VARIABLES = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "OPENAI_API_KEY",
             "OPENAI_BASE_URL")  # fmt: skip
HANG = ("handshake_hangs", "hang", "stalls")
KEY = "key-3f9a-made-up-for-this-test"

ALL_WELL = """\
ok       version  Python VERSION
ok       version  voice-runner VERSION
ok       version  livekit-agents VERSION
ok       version  livekit-plugins-openai VERSION
ok       setting  no .env file here or above; only the environment counts
ok       setting  LIVEKIT_URL is set
ok       setting  LIVEKIT_API_KEY is set
ok       setting  LIVEKIT_API_SECRET is set
ok       setting  OPENAI_API_KEY is set
ok       setting  OPENAI_BASE_URL is set, for backends without a base_url
ok       agents   2 valid in agents
ok       LiveKit  ws://127.0.0.1:PORT accepts the key
ok       backend  openai-realtime-1 of desk and 1 more: gpt-realtime at http://127.0.0.1:PORT/v1 \
opens a session with the voice coral
ok       backend  openai-pipeline-2 of desk: gpt-4o-mini at http://127.0.0.1:PORT/v1 answers
ok       backend  openai-pipeline-2 of desk: gpt-4o-mini-tts at http://127.0.0.1:PORT/v1 \
speaks with the voice coral
ok       backend  openai-pipeline-2 of desk: whisper-1 at http://127.0.0.1:PORT/v1 \
understands "Hello"
ok       backend  announcement-3 of desk: not spoken yet; runner serve has it spoken, until then \
callers hear the built-in sentence
a call to desk would be answered by openai-realtime-1
a call to night would be answered by openai-realtime-1
"""


@dataclasses.dataclass(frozen=True)
class Visit:
    """What doctor printed, and its exit code."""

    code: int
    output: str

    def lines(self, *parts: str) -> list[str]:
        """Return the lines in which all the parts are."""
        return [line for line in self.output.splitlines() if all(part in line for part in parts)]

    @property
    def verdicts(self) -> list[str]:
        return [line for line in self.output.splitlines() if "call" in line.split()[:2]]


@pytest.fixture
def agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty agents folder, as seen from a clean environment."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUNNER_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "agents"
    folder.mkdir()
    return folder


@pytest.fixture
def online(agents: Path, host_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty agents folder where LiveKit and OpenAI are reached with the right keys."""
    for name, value in host_environment.items():
        monkeypatch.setenv(name, value)
    return agents


@pytest.fixture
def call_doctor(capsys: pytest.CaptureFixture[str]) -> Callable[..., Visit]:
    """Run doctor on `agents/`, with little patience."""

    def run(*, limit: float = 5.0) -> Visit:
        code = asyncio.run(visit(Path("agents"), limit=limit))
        return Visit(code, capsys.readouterr().out)

    return run


def write(folder: Path, **agents: str) -> None:
    for name, text in agents.items():
        (folder / f"{name}.yaml").write_text(text)


def normalised(text: str) -> str:
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    return re.sub(r"(?m)^(ok +version .*) \d\S+$", r"\1 VERSION", text)


def test_all_is_well(
    online: Path, openai_service: OpenAIService, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each thing that a call needs has its line, backends that are the same share one try."""
    openai_service.check_key()
    backends = f"backends: [openai-realtime, openai-pipeline, {ANNOUNCEMENT}]\n"
    write(online, desk=AGENT + backends, night=REALTIME + "temperature: 10%\n")
    assert main(["doctor", "agents"]) == 0
    assert normalised(capsys.readouterr().out) == ALL_WELL
    assert len(openai_service.realtime.journal.of("connecting")) == 1


REALTIME_TROUBLES = {
    "401": ("the key is not accepted (401)", "put a valid key into OPENAI_API_KEY"),
    "403": ("the key has no access to this (403)", "Realtime API needs access on the account"),
    "404": ("no such address or model (404)", "check the model's name and base_url"),
    "429": ("too many requests, or no credit left (429)", "limits and billing"),
    "500": ("the service has trouble of its own (500)", "run this again later"),
    "refuse": ("the connection broke off", "run this again"),
    "handshake_hangs": ("no answer within 1 s", "check the network"),
    "invalid_api_key": ("not accepted (invalid_api_key)", "put a valid key into OPENAI_API_KEY"),
    "insufficient_quota": ("no credit left (insufficient_quota)", "add credit"),
    "model_not_found": ("no such model, or the account may not use it", "ask for access"),
}


@pytest.mark.parametrize("kind", REALTIME_TROUBLES)
def test_realtime_troubles_are_told_apart(
    kind: Any, online: Path, openai_service: OpenAIService, call_doctor: Callable[..., Visit]
) -> None:
    """A fault of the Realtime service is said in words of its own, and the call is lost."""
    openai_service.realtime.fault = Fault(kind)
    write(online, desk=REALTIME)
    found = call_doctor(limit=1.0 if kind in HANG else 5.0)
    assert found.lines("failed   backend  openai-realtime-1 of desk", *REALTIME_TROUBLES[kind])
    assert found.verdicts == ["a call to desk could not be answered (openai-realtime-1 failed)"]
    assert found.code == 1


HTTP_TROUBLES = {
    "401": ("not accepted (invalid_api_key)", "put a valid key into OPENAI_API_KEY"),
    "403": ("the key has no access to this (403)", "permissions"),
    "model_not_found": ("no such model, or the account may not use it", "ask for access"),
    "429": ("too many requests at the moment (429, rate limit)", "wait a minute"),
    "insufficient_quota": ("no credit left (insufficient_quota)", "add credit"),
    "500": ("the service has trouble of its own (500)", "run this again later"),
    "503": ("the service has trouble of its own (503)", "run this again later"),
    "refuse": ("the connection broke off", "run this again"),
    "hang": ("no answer within 1 s", "check the network"),
    "cut": ("the connection broke off", "run this again"),
    "stalls": ("no answer within 1 s", "check the network"),
}


@pytest.mark.parametrize("kind", HTTP_TROUBLES)
def test_http_troubles_are_told_apart(
    kind: Any, online: Path, openai_service: OpenAIService, call_doctor: Callable[..., Visit]
) -> None:
    """A fault of one part of a pipeline is said in words of its own; the others are tried."""
    openai_service.http.faults = {"chat": HTTPFault(kind)}
    write(online, desk=PIPELINE)
    found = call_doctor(limit=1.0 if kind in HANG else 5.0)
    assert found.lines("failed   backend  openai-pipeline-1 of desk", *HTTP_TROUBLES[kind])
    assert len(found.lines("ok       backend")) == 2
    assert found.verdicts == ["a call to desk could not be answered (openai-pipeline-1 failed)"]
    assert found.code == 1


@pytest.mark.parametrize(("endpoint", "model"), [("tts", "gpt-4o-mini-tts"), ("stt", "whisper-1")])
def test_each_part_of_a_pipeline_counts(
    endpoint: Any,
    model: str,
    online: Path,
    openai_service: OpenAIService,
    call_doctor: Callable[..., Visit],
) -> None:
    """A pipeline without its voice or its ears cannot answer."""
    openai_service.http.faults = {endpoint: HTTPFault("insufficient_quota")}
    write(online, desk=PIPELINE)
    found = call_doctor()
    assert found.lines("failed   backend", f"{model} at http://127.0.0.1", "no credit left")
    assert len(found.lines("whisper-1", "not tried")) == (endpoint == "tts")
    assert found.code == 1


def test_another_backend_answers(
    online: Path, openai_service: OpenAIService, call_doctor: Callable[..., Visit]
) -> None:
    """A call is answered as long as one backend works; what failed is still said."""
    openai_service.realtime.fault = Fault("403")
    write(online, desk=AGENT)
    found = call_doctor()
    assert found.lines("failed   backend", "openai-realtime-1")
    assert found.verdicts == [
        "a call to desk would be answered by openai-pipeline-2 (openai-realtime-1 failed)"
    ]
    assert found.code == 0


def test_an_announcement_is_no_answer_unless_it_stands_alone(
    online: Path, openai_service: OpenAIService, call_doctor: Callable[..., Visit]
) -> None:
    """A last resort does not count, an agent that is an announcement does."""
    openai_service.realtime.fault = Fault("403")
    write(online, closed=AGENT + f"backends: [{ANNOUNCEMENT}]\n")
    write(online, desk=AGENT + f"backends: [openai-realtime, {ANNOUNCEMENT}]\n")
    found = call_doctor()
    assert found.verdicts == [
        "a call to closed would be answered by announcement-1",
        "a call to desk could not be answered: it would only hear announcement-2"
        " (openai-realtime-1 failed)",
    ]
    assert found.code == 1


def test_whether_an_announcement_was_spoken_beforehand_is_said(
    online: Path,
    openai_service: OpenAIService,
    call_doctor: Callable[..., Visit],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With its recording, without, and without a key for any; doctor has none spoken."""
    local = os.environ["OPENAI_BASE_URL"]
    own = f"{{kind: openai-realtime, base_url: '{local}', api_key_env: none}}"
    write(online, desk=AGENT + f"backends: [openai-realtime, {ANNOUNCEMENT}]\n")
    write(online, night=AGENT + f"voice: marin\nbackends: [{own}, {ANNOUNCEMENT}]\n")
    write(online, weekend=AGENT + f"voice: ash\nbackends: [{ANNOUNCEMENT}]\n")
    monkeypatch.delenv("OPENAI_API_KEY")
    spec = load([online]).specs["desk"]
    take, *_ = announcement(spec, spec.backends[-1]).takes
    Announcements(online.parent / "state").keep(take, to_wav(tone(440, 0.1)))
    found = call_doctor()
    assert found.lines("backend  announcement-") == [
        "ok       backend  announcement-2 of desk: spoken beforehand by gpt-4o-mini-tts with the"
        " voice coral",
        "ok       backend  announcement-2 of night: not spoken yet; runner serve has it spoken,"
        " until then callers hear the built-in sentence",
        "warning  backend  announcement-1 of weekend: cannot be spoken without a key; set"
        " OPENAI_API_KEY, until then callers hear the built-in sentence",
    ]
    assert not openai_service.http.journal.of("tts")


GREETING = "prompt: You help.\ngreeting: Hello.\n"


def test_the_speech_of_a_word_for_word_greeting_is_tried(
    online: Path, openai_service: OpenAIService, call_doctor: Callable[..., Visit]
) -> None:
    """It is asked once for all that greet alike, and not for those whose model greets."""
    only = "backends: [openai-realtime]\n"
    write(online, desk=GREETING + only, lobby=GREETING + only, night=REALTIME)
    found = call_doctor()
    assert len(openai_service.http.journal.of("tts")) == 1
    assert normalised("\n".join(found.lines("its greeting"))) == (
        "ok       backend  openai-realtime-1 of desk and 1 more, its greeting: gpt-4o-mini-tts at"
        " http://127.0.0.1:PORT/v1 speaks with the voice coral"
    )


def test_without_the_speech_of_its_greeting_a_backend_is_lost(
    online: Path, openai_service: OpenAIService, call_doctor: Callable[..., Visit]
) -> None:
    """Another agent that lists the same backend, and lets the model greet, is answered."""
    openai_service.http.faults = {"tts": HTTPFault("401")}
    write(online, desk=GREETING + "backends: [openai-realtime]\n", night=REALTIME)
    found = call_doctor()
    assert found.lines("failed   backend", "its greeting", "put a valid key into OPENAI_API_KEY")
    assert found.verdicts == [
        "a call to desk could not be answered (openai-realtime-1 failed)",
        "a call to night would be answered by openai-realtime-1",
    ]


def test_a_backend_that_calls_pass_over_has_a_line(
    online: Path, call_doctor: Callable[..., Visit]
) -> None:
    """An open breaker is a warning of its own; what a try finds counts for the verdict."""
    write(online, desk=AGENT, night=REALTIME)
    (backend,) = load([online]).specs["night"].backends
    Breakers(online.parent / "state").failed(backend, "quota", 1_700_000_000)
    found = call_doctor()
    assert found.lines("breaker") == [
        "warning  breaker  openai-realtime-1 of desk and 1 more: calls pass it over since"
        " 2023-11-14T22:13:20.000Z (quota), until a running host finds it well"
    ]
    assert found.code == 0


def test_a_database_is_asked_for_what_the_defaults_name(
    online: Path, call_doctor: Callable[..., Visit], tmp_path: Path
) -> None:
    """What a call would have of the row is said; what is not good costs no call."""
    with ExampleDatabase(tmp_path / "database") as database:
        shutil.copy(database.agents / "assistant.yaml", online)
        url = f"http://localhost:{database.port}/api/agent-configs/1"
        assert call_doctor().lines("remote") == [
            f"ok       remote   assistant: {url} has"
            " name, prompt, response_length, temperature, voice"
        ]
        database.edit("UPDATE agent_configs SET voice_model = 'corale' WHERE id = 1")
        then = "calls take the rest from its last good answer, else from the file"
        assert call_doctor().lines("remote") == [
            f"warning  remote   assistant: {url} has name, prompt, response_length, temperature;"
            f" not good: voice: voice; {then}"
        ]
        database.edit(
            "UPDATE agent_configs SET voice_model = 'coral', name = 'Anna',"
            " system_prompt = '{{ agent.name.split()[1] }}' WHERE id = 1"
        )
        assert call_doctor().lines("remote") == [
            f"warning  remote   assistant: {url} has name, response_length, temperature, voice;"
            f" not good: prompt: template-render; {then}"
        ]
    found = call_doctor()
    assert found.lines("remote") == [
        f"warning  remote   assistant: {url} has nothing; not good: unreachable; {then}"
    ]
    assert found.verdicts == ["a call to assistant would be answered by openai-realtime-1"]
    assert found.code == 0


def test_the_token_of_a_database_is_a_setting(
    online: Path, call_doctor: Callable[..., Visit]
) -> None:
    remote = "remote: {url: 'http://127.0.0.1:9/1', api_key_env: DB_TOKEN, fields: {name: name}}\n"
    write(online, desk=REALTIME + remote)
    found = call_doctor()
    assert found.lines("warning  setting  DB_TOKEN is not set")
    assert found.lines("warning  remote   desk", "has nothing; not good: no_key")


def test_a_missing_key_is_named(
    online: Path, call_doctor: Callable[..., Visit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend whose variable is not set fails before it is tried; others go on."""
    monkeypatch.delenv("OPENAI_API_KEY")
    local = os.environ["OPENAI_BASE_URL"]
    second = f"{{kind: openai-pipeline, base_url: '{local}', api_key_env: none}}"
    write(online, desk=AGENT + f"backends: [openai-realtime, {second}]\n")
    found = call_doctor()
    advice = "OPENAI_API_KEY not set; set it in the environment or in a .env file"
    assert found.lines("warning  setting", "OPENAI_API_KEY is not set")
    assert found.lines("failed   backend  openai-realtime-1 of desk: " + advice)
    assert found.verdicts == [
        "a call to desk would be answered by openai-pipeline-2 (openai-realtime-1 failed)"
    ]
    assert found.code == 0


def test_a_key_with_a_space_is_not_sent(
    online: Path,
    openai_service: OpenAIService,
    call_doctor: Callable[..., Visit],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key that was copied with more than itself is found before it is sent."""
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\nNEXT=1")
    write(online, desk=REALTIME)
    found = call_doctor()
    assert found.lines("failed   backend", "OPENAI_API_KEY holds characters that no key has")
    assert KEY not in found.output
    assert not openai_service.realtime.journal.of("connecting")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://127.0.0.1:9/v1", "nothing answers at this address; check base_url"),
        (
            "http://nowhere.invalid/v1",
            "there is no host of this name; check the network and base_url",
        ),
        ("http://127.0.0.1:99999/v1", "this is no address; correct base_url"),
    ],
)
def test_a_wrong_address_is_said(
    address: str, words: str, online: Path, call_doctor: Callable[..., Visit]
) -> None:
    """An address without a server, without a host and without sense are three things."""
    write(online, desk=AGENT + f"backends: [{{kind: openai-realtime, base_url: '{address}'}}]\n")
    found = call_doctor(limit=30.0)
    assert found.lines("failed   backend", f"gpt-realtime at {address}: {words}")
    assert found.code == 1


@pytest.mark.parametrize("path", ["", "/v1", "/openai", "/openai/v1", "/other/v1", "/realtime"])
def test_the_realtime_address_is_the_one_that_a_call_would_use(path: str) -> None:
    """Doctor dials what LiveKit's plugin dials."""
    from livekit.agents.llm._realtime.openai import process_base_url

    address = f"http://127.0.0.1:1{path}"
    assert realtime_address(address) + "?model=m" == process_base_url(address, "m")


def test_livekit_is_not_configured(
    agents: Path,
    openai_service: OpenAIService,
    call_doctor: Callable[..., Visit],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without LiveKit no call comes; the backends are tried all the same."""
    for name, value in openai_service.environment.items():
        monkeypatch.setenv(name, value)
    write(agents, desk=REALTIME)
    found = call_doctor()
    assert len(found.lines("failed   setting  LIVEKIT_", "is not set; set it in")) == 3
    assert found.lines("failed   LiveKit  LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET not set")
    assert found.lines("ok       backend  openai-realtime-1 of desk")
    assert found.verdicts == ["a call to desk could not be answered (LiveKit failed)"]
    assert found.code == 1


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("LIVEKIT_URL", "ws://127.0.0.1:9", ("cannot be reached", "check LIVEKIT_URL")),
        ("LIVEKIT_API_KEY", "another", ("does not know the key", "check LIVEKIT_API_KEY")),
        ("LIVEKIT_API_SECRET", "not-it-" * 5, ("not with this LIVEKIT_API_SECRET", "check")),
    ],
)
def test_livekit_troubles_are_told_apart(
    variable: str,
    value: str,
    words: tuple[str, str],
    online: Path,
    call_doctor: Callable[..., Visit],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An absent server, an unknown key and a wrong secret are three things."""
    monkeypatch.setenv(variable, value)
    write(online, desk=REALTIME)
    found = call_doctor()
    assert found.lines("failed   LiveKit", *words)
    assert found.verdicts == ["a call to desk could not be answered (LiveKit failed)"]
    assert found.code == 1
    assert "not-it" not in found.output
    assert API_SECRET not in found.output


def test_a_broken_agent_is_named(online: Path, call_doctor: Callable[..., Visit]) -> None:
    """A file with errors is named with the command that says more; the others can be called."""
    write(online, desk=REALTIME, broken="prompt: x\nvoice: corale\nvoice: coral\n")
    found = call_doctor()
    assert found.lines("ok       agents   1 valid in agents")
    assert found.lines("agents/broken.yaml") == [
        "failed   agents   agents/broken.yaml is not valid; run runner validate agents"
    ]
    assert found.code == 0


def test_no_valid_agent(online: Path, call_doctor: Callable[..., Visit]) -> None:
    """Nobody is there to be called."""
    write(online, broken="voice: corale\n")
    found = call_doctor()
    assert not found.lines("ok       agents")
    assert found.verdicts == ["no call could be answered: there is no valid agent"]
    assert found.code == 1


def test_no_folder(online: Path, call_doctor: Callable[..., Visit]) -> None:
    """A missing folder is a line among others, and LiveKit is asked all the same."""
    online.rmdir()
    found = call_doctor()
    assert found.lines("failed   agents   there is no file or folder 'agents'")
    assert found.lines("ok       LiveKit")
    assert found.code == 1


def test_env_file_is_read_and_the_environment_wins(
    agents: Path,
    host_environment: dict[str, str],
    call_doctor: Callable[..., Visit],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What `.env` says holds where the environment says nothing, and leaks into no other."""
    settings = host_environment | {"LIVEKIT_URL": "ws://127.0.0.1:9"}
    text = "".join(f"{name}={value}\n" for name, value in settings.items())
    Path(".env").write_text(text)
    monkeypatch.setenv("LIVEKIT_URL", host_environment["LIVEKIT_URL"])
    write(agents, desk=REALTIME)
    found = call_doctor()
    assert found.lines("ok       setting", f"{Path('.env').resolve()} is read")
    assert found.code == 0
    assert "OPENAI_API_KEY" not in os.environ


def test_an_env_file_that_is_no_text_is_said(
    online: Path, call_doctor: Callable[..., Visit]
) -> None:
    """Bytes that are no UTF-8 are a line, not a traceback."""
    Path(".env").write_bytes(b"NAME=caf\xe9\n")
    write(online, desk=REALTIME)
    found = call_doctor()
    assert found.lines("failed   setting", ".env cannot be read")
    assert found.code == 0


@pytest.fixture
async def indiscreet(online: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Serve an OpenAI that repeats the key in its refusals, and closes Realtime without a word."""

    async def repeat(request: web.Request) -> web.Response:
        said = f"bad \x1b[31m\n{request.headers['Authorization']} and sk-another123"
        return web.json_response({"error": {"message": said}}, status=400)

    async def close(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/v1/realtime", close)
    app.router.add_post("/{path:.*}", repeat)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with serving(app) as address:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{address}/v1")
        yield f"{address.removeprefix('http://')}/v1"


async def test_no_secret_is_printed(
    online: Path,
    indiscreet: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither what a server repeats nor what an address holds brings a secret into the output."""
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://user:hidden@{indiscreet}?also=hidden")
    entries = (
        f"{{kind: {kind}, base_url: 'http://{indiscreet}'}}"
        for kind in ("openai-realtime", "openai-pipeline")
    )
    write(online, desk=AGENT + f"backends: [{', '.join(entries)}]\n", night=REALTIME)
    code = await visit(Path("agents"))
    found = Visit(code, capsys.readouterr().out)
    assert found.lines("it refused (400)", 'saying "bad [31m Bearer *** and ***"')
    assert found.lines("accepted the connection and closed it without a word", "access")
    assert found.lines(f"http://{indiscreet}: the address brings a user and password")
    for secret in (KEY, "sk-another", "hidden", API_SECRET, "\x1b"):
        assert secret not in found.output
    assert code == 1


async def test_another_version_of_livekit_is_a_warning(agents: Path) -> None:
    """Versions outside the bounds are untried, and the line says how to get the right one."""
    write(agents, desk=REALTIME)
    for untried in ("1.8.8", "1.9.0rc1", "2.0"):
        setup = dataclasses.replace(read(agents), versions={"livekit-agents": untried})
        lines = [str(line) async for line in examine(setup, 0.1) if line.topic == "version"]
        assert lines[-1] == (
            f"warning  version  livekit-agents {untried} is untried;"
            " pip install 'livekit-agents>=1.8.9,<1.9'"
        )


def test_the_supported_versions_are_those_of_the_package() -> None:
    """The bounds are the ones of pyproject.toml."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    first, beyond = (".".join(map(str, version)) for version in SUPPORTED)
    for package in PACKAGES:
        assert f"{package}>={first},<{beyond}" in project["optional-dependencies"]["serve"]


def test_without_the_extra_one_sentence_says_what_to_install(
    agents: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The light install has no doctor, and says how to get it."""
    monkeypatch.setitem(sys.modules, "dotenv", None)
    for name in [name for name in sys.modules if name.startswith("runner.doctor")]:
        monkeypatch.delitem(sys.modules, name)
    assert main(["doctor", str(agents)]) == 3
    assert capsys.readouterr().err == (
        "runner: dotenv is not installed; pip install 'voice-runner[serve]'\n"
    )


def test_lines_come_as_they_are_found(online: Path, openai_service: OpenAIService) -> None:
    """What is known is read while the next answer is still awaited."""
    openai_service.realtime.fault = Fault("handshake_hangs")
    write(online, desk=REALTIME)
    command = [sys.executable, "-m", "runner", "doctor"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        for line in child.stdout:
            if "LiveKit" in line and "accepts the key" in line:
                break
        else:
            pytest.fail("doctor ended without a line on LiveKit")
        assert child.poll() is None
        child.kill()
