"""The door: exit codes, formats, and what each light command prints."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli import main

ROOT = Path(__file__).parent.parent.parent
CASES = ROOT / "tests" / "cases"
GOLDEN = CASES / "explain" / "front-desk.out"

EXPLAIN = ["explain", "front-desk", "--room", "front-desk-7", "--set", "caller_name=Ada"]


@pytest.fixture
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def outcome(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(arguments)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.usefixtures("at_root")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["validate"], 0),
        (["validate", "tests/cases/err/voice.yaml"], 1),
        (["validate", "tests/cases/err/temperature-unused.yaml"], 0),
        (["validate", "nowhere"], 3),
        (["validate", "schema"], 3),
        (["explain", "front-desk"], 0),
        (["explain", "tests/cases/err/voice.yaml"], 1),
        (["explain", "front-dsk"], 3),
        (["explain", "front-desk", "--set", "caler_name=Ada"], 3),
        (["route", "front-desk-7"], 0),
        (["route", "x", "tests/cases/route/broken"], 1),
        (["route", "x", "nowhere"], 3),
        (["schema"], 0),
        (["serve", "--check"], 0),
        (["serve", "tests/cases/err", "--check"], 1),
    ],
)
def test_exit_codes(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """0 clean, 1 diagnostics, 3 could not run; a note is clean."""
    assert outcome(arguments, capsys)[0] == code


@pytest.mark.parametrize("arguments", [[], ["frobnicate"], ["validate", "--format", "xml"]])
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_an_interrupt_is_130(tmp_path: Path) -> None:
    """Ctrl-C ends a command without a traceback."""
    for number in range(95):
        (tmp_path / f"agent-{number}.yaml").write_text(f"prompt: {'x {{ now }}' * 900}{number}")
    program = (
        "import signal, sys; from runner.cli import main; "
        "signal.signal(signal.SIGALRM, signal.default_int_handler); "
        "signal.setitimer(signal.ITIMER_REAL, 0.3); "
        "sys.exit(main(['validate', sys.argv[1]]))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (130, "")


@pytest.mark.usefixtures("at_root")
def test_a_missing_path_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, err = outcome(["validate", "nowhere"], capsys)
    assert (out, err) == (
        "",
        "runner: there is no file or folder 'nowhere'; name the agents folder\n",
    )


@pytest.mark.usefixtures("at_root")
@pytest.mark.parametrize("command", ["chat", "explain"])
@pytest.mark.parametrize("name", ["/tmp/agents/front-desk", "agents", "..", "front-*", ""])
def test_a_path_or_a_pattern_is_no_id(
    command: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only an agent's file or its very id names it."""
    code, out, err = outcome([command, name], capsys)
    assert (code, out) == (3, "")
    assert err.startswith(f"runner: there is no agent '{name}' in agents/")
    assert err.count("\n") == 1


@pytest.mark.usefixtures("at_root")
def test_near_misses_of_names_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'front-desk'?" in outcome(["explain", "front-dsk"], capsys)[2]
    wrong = ["explain", "front-desk", "--set", "caler_name=Ada"]
    assert "did you mean 'caller_name'?" in outcome(wrong, capsys)[2]


def test_no_light_command_imports_livekit() -> None:
    """`validate`, `explain`, `route` and `schema` answer without LiveKit or the network."""
    program = (
        "import sys; from runner.cli import main; "
        "main(['validate']); main(['explain', 'front-desk']); "
        "main(['route', 'x']); main(['schema']); "
        "heavy = [m for m in ('livekit', 'asyncio', 'aiohttp', 'openai') if m in sys.modules]; "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_no_storey_imports_from_above() -> None:
    """The layers of the house, as pyproject.toml names them."""
    command = [str(Path(sys.executable).with_name("lint-imports"))]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.usefixtures("at_root")
def test_explain_shows_what_the_models_will_see(capsys: pytest.CaptureFixture[str]) -> None:
    """Instructions, greeting, backends and tools; the date and the revision change, no more."""
    printed = outcome(EXPLAIN, capsys)[1]
    steady = "\n".join(
        line.partition("Today is")[0] if "Today is" in line else line.partition(", revision")[0]
        for line in printed.splitlines()
    )
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(steady + "\n")
    assert steady + "\n" == GOLDEN.read_text()


@pytest.mark.usefixtures("at_root")
def test_explain_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The same for machines: temperature in percent, converted, and whether it is sent."""
    record = json.loads(outcome([*EXPLAIN, "--format", "json"], capsys)[1])
    assert record["greeting"]["say"].startswith("Hello Ada, thanks for calling Harbour Dental.")
    realtime, pipeline, announcement = record["backends"]
    assert realtime["temperature"] == {"percent": 80.0, "converted": 1.08, "sent": False}
    assert pipeline["temperature"] == {"percent": 80.0, "converted": 1.6, "sent": True}
    assert announcement["then"] == "hang_up"
    assert record["tools"][0]["parameters"]["required"] == ["day"]


@pytest.mark.usefixtures("at_root")
def test_explain_takes_variables_from_the_room_s_name(capsys: pytest.CaptureFixture[str]) -> None:
    """A captured part of the room's name is the variable of that name."""
    printed = outcome(["explain", "parcel-line", "--room", "parcels-Ada"], capsys)[1]
    assert "You help Ada to find a parcel." in printed


@pytest.mark.usefixtures("at_root")
def test_explain_shows_the_numbers_of_an_agent(capsys: pytest.CaptureFixture[str]) -> None:
    """They stand below the rooms, and there is no line for what an agent does not claim."""
    printed = outcome(["explain", "tests/cases/route/clinic/billing.yaml"], capsys)[1]
    assert printed.splitlines()[1] == "answers numbers +4930123456, +15551234567"


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["branch-hull-3"], [
            "branch (Branch) answers: room pattern branch-{city}-{desk}",
            '  city = "hull"',
            "  desk = 3",
        ]),
        (["x", "--metadata", "night"], ["night (Night) answers: dispatch metadata"]),
        (["x", "--metadata", '{"variables": {"shoe": 42}}', "--number", "0049 30 123456"], [
            "billing (Billing) answers: number +4930123456",
            "ignored: variables: 1 that the agent does not declare",
        ]),
        (["x"], [
            "rest (Rest) answers: default",
            "a phone call goes by the number that was called: --number NUMBER says where",
        ]),
        (["x", "--metadata", '{"agent": "day"}'], [
            "nobody answers: looked for 'day' from the dispatch metadata",
        ]),
    ],
)  # fmt: skip
def test_route_says_who_answers_and_why(
    arguments: list[str], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the variables that the call sets, and what was left aside."""
    room, *options = arguments
    clinic = str(CASES / "route" / "clinic")
    code, printed, complaints = outcome(["route", room, clinic, *options], capsys)
    assert (code, printed.splitlines(), complaints) == (int("nobody" in printed), lines, "")


@pytest.mark.usefixtures("at_root")
def test_route_says_why_an_agent_is_not_among_them(capsys: pytest.CaptureFixture[str]) -> None:
    """The errors of the folder go to standard error: a broken agent answers nobody."""
    _, printed, complaints = outcome(["route", "late", "tests/cases/route/broken"], capsys)
    assert printed == "nobody answers: looked for a pattern for 'late'; a default\n"
    assert "unknown key 'promt'" in complaints
    last = complaints.splitlines()[-1]
    assert last == "a running host may still serve the last good revision"


def test_explain_shows_what_would_be_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    """The URL is the one that a call in that room would ask; nothing is asked."""
    agent = ["explain", "tests/cases/ok/everything.yaml", "--set", "practice=A/B"]
    printed = outcome([*agent, "--room", "clinic 7"], capsys)[1]
    url = "https://api.example.com/practices/A%2FB/agents/everything?room=clinic%207"
    assert f"url             {url}, key from AGENTS_TOKEN" in printed
    assert "temperature     from settings.temperature" in printed
    remote = json.loads(outcome([*agent, "--format", "json"], capsys)[1])["remote"]
    assert remote["url"].endswith("?room={{ room.name }}")
    assert (remote["key"], remote["timeout"]) == ("from AGENTS_TOKEN", 0.5)
    plain = outcome(["explain", "front-desk", "--format", "json"], capsys)[1]
    assert json.loads(plain)["remote"] is None


def test_schema_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    shipped = (ROOT / "schema" / "agent.schema.json").read_text()
    assert outcome(["schema"], capsys)[1] == shipped


@pytest.mark.usefixtures("at_root")
def test_json_has_one_object_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    path = "tests/cases/err/voice.yaml"
    assert json.loads(outcome(["validate", "--format", "json", path], capsys)[1]) == [
        {
            "path": path,
            "line": 2,
            "column": 8,
            "end_column": 14,
            "level": "error",
            "rule": "voice",
            "message": "voice 'corale' is not one that openai-realtime or openai-pipeline has",
            "suggestion": "coral",
        }
    ]


@pytest.mark.usefixtures("at_root")
def test_github_gets_an_annotation_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    """Percent signs and line breaks are escaped as GitHub asks, notes are notices."""
    path = "tests/cases/err/temperature-unused.yaml"
    first = outcome(["validate", "--format", "github", path], capsys)[1].splitlines()[0]
    assert first == (
        f"::notice file={path},line=2,col=14,endColumn=17,title=temperature-unused::"
        "this temperature is not sent by openai-realtime, which takes none"
    )
    path = "tests/cases/err/value.yaml"
    assert "from 0%25 to 100%25" in outcome(["validate", "--format", "github", path], capsys)[1]


@pytest.mark.usefixtures("at_root")
def test_sarif_names_every_rule_it_uses(capsys: pytest.CaptureFixture[str]) -> None:
    """A SARIF 2.1.0 log: each result's rule is described, each place has a region."""
    log = json.loads(outcome(["validate", "--format", "sarif", "tests/cases/err"], capsys)[1])
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    described = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert {result["ruleId"] for result in run["results"]} == described
    for result in run["results"]:
        region = result["locations"][0]["physicalLocation"]["region"]
        assert region["startLine"] >= 1
        assert region["endColumn"] >= region["startColumn"] >= 1
        assert result["level"] in ("error", "warning", "note")
