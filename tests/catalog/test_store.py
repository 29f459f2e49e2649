"""Snapshots on disk."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from catalog.specs import a_spec

from runner.catalog.store import SnapshotError, Store, state_folder
from runner.errors import RunnerError


def test_a_snapshot_is_read_back_as_it_was_put(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    spec = a_spec("front-desk")
    store.put(spec)
    assert store.get("front-desk", spec.digest) == spec
    assert store.current("front-desk") == spec


def test_the_pointer_moves_and_the_older_snapshot_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old, new = a_spec("front-desk"), a_spec("front-desk", prompt="Say no more.")
    store.put(old)
    store.put(new)
    assert store.current("front-desk") == new
    assert store.get("front-desk", old.digest) == old


def test_only_the_owner_reads_the_state_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    store.put(a_spec("front-desk"))
    assert stat.S_IMODE(store.state.stat().st_mode) == 0o700
    assert not [path for path in (store.state / "agents").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", b"[]", None])
def test_a_damaged_snapshot_is_refused(tmp_path: Path, damage: bytes | None) -> None:
    store = Store(tmp_path)
    spec = a_spec("front-desk")
    store.put(spec)
    path = tmp_path / "agents" / f"front-desk@{spec.digest}.json"
    other = a_spec("front-desk", prompt="Other.").to_json().encode()
    path.write_bytes(other if damage is None else damage)
    with pytest.raises(SnapshotError, match="is damaged"):
        store.get("front-desk", spec.digest)


@pytest.mark.parametrize(
    ("agent", "digest"),
    [("front-desk", "0" * 12), ("front-desk", "../x"), ("../secret", "0" * 12), ("x", "")],
)
def test_a_missing_snapshot_is_refused(tmp_path: Path, agent: str, digest: str) -> None:
    with pytest.raises(SnapshotError):
        Store(tmp_path).get(agent, digest)


@pytest.mark.parametrize("agent", ["front-desk", "../front-desk"])
def test_there_is_no_current_snapshot_before_one_is_put(tmp_path: Path, agent: str) -> None:
    with pytest.raises(SnapshotError):
        Store(tmp_path / "state").current(agent)


def test_a_state_folder_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "state"
    file.write_text("")
    with pytest.raises(RunnerError, match=r"cannot write the state folder .* with --state"):
        Store(file).put(a_spec("front-desk"))


def test_a_state_folder_that_cannot_be_made_says_what_to_do() -> None:
    with pytest.raises(RunnerError, match=r"cannot write the state folder .* with --state"):
        Store(Path("/proc/voice-runner")).put(a_spec("front-desk"))


def test_the_state_folder_is_the_chosen_one_then_the_variable_then_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNNER_STATE_DIR", str(tmp_path / "named"))
    assert state_folder(tmp_path / "chosen") == tmp_path / "chosen"
    assert state_folder() == tmp_path / "named"
    monkeypatch.delenv("RUNNER_STATE_DIR")
    assert state_folder().name == "voice-runner"
