"""Records of calls on disk."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from catalog.records import a_record, aged

from runner.catalog.records import (
    RecordError,
    Records,
    Stay,
    ToolRun,
    Turn,
    record_from_json,
    seconds_between,
    utc,
)

WRITER = """
import itertools, sys
from dataclasses import replace
from pathlib import Path
from catalog.records import a_record
from runner.catalog.records import Records, Turn

records, record = Records(Path(sys.argv[1])), a_record("AJ_1")
turn = Turn(who="agent", at=record.began, backend="one", interrupted=False, latencies={})
for number in itertools.count():
    records.write(replace(record, turns=(turn,) * (number % 500)))
    print(number, flush=True)
"""


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    record = a_record(
        "AJ_1",
        backends=(Stay(name="one", kind="openai-realtime", gap=0.5),),
        tools=(ToolRun(id="call_1", name="look_up", began="2026-11-22T16:45:53.000Z"),),
        turns=(Turn(who="agent", at="x", backend="one", interrupted=True, latencies={"e2e": 1.5}),),
        usage=({"type": "llm_usage", "input_tokens": 3},),
        remote=("name", "prompt"),
    )
    records = Records(tmp_path)
    records.write(record)
    (path,) = records.paths()
    assert records.read(path) == record
    assert path.name == "20261122T164552.566Z.front-desk-1.AJ_1.json"


def test_only_the_owner_reads_a_record(tmp_path: Path) -> None:
    records = Records(tmp_path / "state")
    records.write(a_record("AJ_1"))
    (path,) = records.paths()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_later_record_of_a_call_replaces_the_earlier(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.write(a_record("AJ_1"))
    records.write(a_record("AJ_1", reason="participant_disconnected"))
    (path,) = (tmp_path / "calls").iterdir()
    assert records.read(path).reason == "participant_disconnected"


def test_records_sort_by_time_whatever_the_rooms_are_called(tmp_path: Path) -> None:
    records = Records(tmp_path)
    rooms = ["zebra", "../../etc/passwd", "x" * 5000, "", "späti / \n\x1b[31m"]
    for number, room in reversed(list(enumerate(rooms))):
        records.write(a_record(f"AJ_{number}", room=room, began=f"2026-11-22T16:45:5{number}.000Z"))
    assert [records.read(path).room for path in records.paths()] == rooms
    assert {path.parent for path in records.paths()} == {tmp_path / "calls"}


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", b"[]", b'{"backends": [{"x": 1}]}'])
def test_a_damaged_record_is_refused(tmp_path: Path, damage: bytes) -> None:
    records = Records(tmp_path)
    records.write(a_record("AJ_1"))
    (path,) = records.paths()
    path.write_bytes(damage)
    with pytest.raises(RecordError, match="is damaged"):
        records.read(path)


def test_a_call_is_found_by_its_id_or_how_that_begins(tmp_path: Path) -> None:
    records = Records(tmp_path)
    for call in ("AJ_1", "AJ_12", "AJ_2"):
        records.write(a_record(call))
    assert records.read(records.find("AJ_1")).id == "AJ_1"
    assert records.read(records.find("AJ_2")).id == "AJ_2"
    for many, sentence in (("AJ", "3 calls begin"), ("AJ_3", "no call begins"), ("", "3 calls")):
        with pytest.raises(RecordError, match=sentence):
            records.find(many)


def test_a_call_without_an_end_runs_until_its_process_is_silent(tmp_path: Path) -> None:
    records = Records(tmp_path)
    record = a_record("AJ_1")
    records.write(record)
    (path,) = records.paths()
    assert records.ending(path, record) == "running"
    aged(path, 60)
    assert records.ending(path, record) == "cut off"
    records.touch(record)
    assert records.ending(path, record) == "running"
    done = a_record("AJ_1", ended=record.began, reason="job_shutdown")
    assert records.ending(path, done) == "job_shutdown"


def test_a_call_that_was_heard_of_only_before_is_left_out(tmp_path: Path) -> None:
    records = Records(tmp_path)
    for call in ("AJ_1", "AJ_2"):
        records.write(a_record(call))
    aged(records.find("AJ_1"), 10)
    assert [one.id for one in records.running()] == ["AJ_1", "AJ_2"]
    assert [one.id for one in records.running(since=time.time() - 5)] == ["AJ_2"]


def test_old_records_are_removed_and_running_calls_are_not(tmp_path: Path) -> None:
    records = Records(tmp_path)
    assert records.remove_older(0) == 0
    for call in ("AJ_1", "AJ_2", "AJ_3"):
        records.write(a_record(call))
    aged(records.find("AJ_1"), 100)
    left_over = tmp_path / "calls" / ".aside"
    left_over.touch()
    aged(left_over, 100)
    assert records.remove_older(90) == 1
    assert [records.read(path).id for path in records.paths()] == ["AJ_2", "AJ_3"]
    assert records.remove_older(0) == 0
    assert not left_over.exists()


@pytest.mark.parametrize("last", [0, 10, 100, 400])
def test_a_process_killed_while_it_writes_leaves_what_was_known(tmp_path: Path, last: int) -> None:
    """SIGKILL at any moment leaves one whole record, which lists as cut off."""
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | _paths()) as writer:
        assert writer.stdout
        while int(writer.stdout.readline()) < last:
            pass
        writer.send_signal(signal.SIGKILL)
    records = Records(tmp_path)
    (path,) = records.paths()
    record = records.read(path)
    assert record.id == "AJ_1"
    assert len(record.turns) >= last
    aged(path, 60)
    assert records.ending(path, record) == "cut off"


def test_times_are_utc_to_the_millisecond() -> None:
    assert utc(1_763_829_952.5664) == "2025-11-22T16:45:52.566Z"
    assert utc(0) == "1970-01-01T00:00:00.000Z"
    assert seconds_between(utc(0), utc(1.5)) == 1.5


def test_a_record_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="not a record of this version"):
        record_from_json(a_record("AJ_1").to_json().replace('"room"', '"space"'))


def _paths() -> dict[str, str]:
    root = Path(__file__).parents[2]
    return {"PYTHONPATH": os.pathsep.join([str(root / "src"), str(root / "tests")])}
