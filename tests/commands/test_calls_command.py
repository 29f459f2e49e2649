"""`runner calls` lists and shows records, letter by letter."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from catalog.records import a_record, aged

from runner.catalog.records import Records, Stay, ToolRun, Turn
from runner.cli import main

if TYPE_CHECKING:
    from pathlib import Path

REALTIME, PIPELINE = "openai-realtime", "openai-pipeline"

LISTED = """\
call   began                 agent       room           backends                               \
seconds  turns  ended
AJ_aa  2026-11-22T16:45:52Z  front-desk  front-desk-1   openai-realtime-1 > openai-pipeline-2  \
14.50    2      participant_disconnected
AJ_bb  2026-11-22T16:46:00Z  front-desk  bad\\x1b[31m\\n  none                                   \
         0      cut off
AJ_cc  2026-11-22T16:47:00Z  front-desk  front-desk-1   none                                   \
         0      running
"""

SHOWN = """\
call AJ_aa
  agent     front-desk, revision f605e1c3e9f9
  remote    name, voice
  room      front-desk-1
  because   room pattern front-desk-*
  began     2026-11-22T16:45:52.000Z
  answered  after 0.50 s
  ended     participant_disconnected after 14.50 s
backends, by seconds into the call:
  openai-realtime-1 (openai-realtime): entered 0.10, left 2.50: stalled
  openai-realtime-1 (openai-realtime): never entered, left 2.60: unauthorized
  openai-pipeline-2 (openai-pipeline): entered 2.71, after 0.21 s of silence
tools:
      3.00  look_up: done after 0.50 s
      9.00  look_up: running
turns:
      1.50  agent   e2e_latency 0.41
      4.20  caller  transcription_delay 0.2, end_of_turn_delay 0.5, interrupted: What?
usage:
  type llm_usage, provider openai, model gpt-realtime, input_tokens 10
"""


def at(seconds: float) -> str:
    return f"2026-11-22T16:45:{52 + seconds:06.3f}Z"


@pytest.fixture
def records(tmp_path: Path) -> Records:
    """Give three records: one that ended, one that was cut off, one of a running call."""
    made = Records(tmp_path / "state")
    whole = a_record(
        "AJ_aa",
        began=at(0),
        answered=at(0.5),
        ended="2026-11-22T16:46:06.500Z",
        reason="participant_disconnected",
        remote=("name", "voice"),
        backends=(
            Stay(name=f"{REALTIME}-1", kind=REALTIME, entered=at(0.1), left=at(2.5),
                 reason="stalled"),
            Stay(name=f"{REALTIME}-1", kind=REALTIME, left=at(2.6), reason="unauthorized"),
            Stay(name=f"{PIPELINE}-2", kind=PIPELINE, entered=at(2.71), gap=0.21),
        ),
        tools=(
            ToolRun(id="1", name="look_up", began=at(3), seconds=0.5, outcome="done"),
            ToolRun(id="2", name="look_up", began="2026-11-22T16:46:01.000Z"),
        ),
        turns=(
            Turn(who="agent", at=at(1.5), backend="", interrupted=False,
                 latencies={"e2e_latency": 0.41}),
            Turn(who="caller", at=at(4.2), backend="", interrupted=True, text="What?",
                 latencies={"transcription_delay": 0.2, "end_of_turn_delay": 0.5}),
        ),
        usage=({"type": "llm_usage", "provider": "openai", "model": "gpt-realtime",
                "input_tokens": 10},),
    )  # fmt: skip
    made.write(whole)
    made.write(a_record("AJ_bb", began="2026-11-22T16:46:00.000Z", room="bad\x1b[31m\n"))
    aged(made.find("AJ_bb"), 60)
    made.write(a_record("AJ_cc", began="2026-11-22T16:47:00.000Z"))
    return made


def test_calls_are_listed(records: Records, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "--state", str(records.state)]) == 0
    assert capsys.readouterr().out == LISTED


def test_a_call_is_shown(records: Records, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "AJ_a", "--state", str(records.state)]) == 0
    assert capsys.readouterr().out == SHOWN


def test_a_call_that_nobody_answers_has_no_agent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = a_record("AJ_dd", began=at(0), ended=at(0), agent="", revision="", reason="no agent")
    Records(tmp_path).write(nobody)
    assert main(["calls", "--state", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[2] == "none"
    assert main(["calls", "AJ_dd", "--state", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "  agent     none"


def test_json_holds_the_whole_record(records: Records, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "--state", str(records.state), "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [call["ending"] for call in listed] == [
        "participant_disconnected", "cut off", "running",
    ]  # fmt: skip
    assert main(["calls", "AJ_aa", "--state", str(records.state), "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == listed[0]
    assert shown["tools"][0] == {
        "id": "1", "name": "look_up", "began": at(3), "seconds": 0.5, "outcome": "done",
    }  # fmt: skip


def test_a_damaged_record_does_not_hide_the_others(
    records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    records.find("AJ_bb").write_text("{}")
    assert main(["calls", "--state", str(records.state)]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 3
    assert printed.err.startswith("runner: the record ")
    assert printed.err.count("\n") == 1


def test_an_unknown_call_is_said(records: Records, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "AJ_x", "--state", str(records.state)]) == 3
    assert capsys.readouterr().err.startswith("runner: no call begins with 'AJ_x' in ")


def test_without_calls_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "--state", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "no calls are recorded\n"


def test_without_the_extra_one_sentence_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    monkeypatch.delitem(sys.modules, "runner.catalog.store")
    assert main(["calls"]) == 3
    sentence = "runner: platformdirs is not installed; pip install 'voice-runner[serve]'\n"
    assert capsys.readouterr().err == sentence


@pytest.mark.parametrize("days", ["x", "-1", "nan", "inf"])
def test_days_that_are_none_are_a_usage_error(
    days: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["serve", f"--keep-calls={days}"])
    assert "is no number of days" in capsys.readouterr().err
