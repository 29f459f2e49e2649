"""Snapshots on disk."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from catalog.records import aged
from catalog.specs import a_spec

from runner.catalog.store import SnapshotError, Store, state_folder
from runner.definition.spec import digest_of
from runner.errors import RunnerError

DAY = 24 * 3600


def test_a_snapshot_is_read_back_as_it_was_put(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    spec = a_spec("front-desk")
    store.put(spec)
    assert store.get("front-desk", spec.digest) == spec
    assert store.holds(spec)


def test_a_newer_snapshot_leaves_the_older_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old, new = a_spec("front-desk"), a_spec("front-desk", prompt="Say no more.")
    for spec in (old, new):
        store.put(spec)
    assert store.get("front-desk", new.digest) == new
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
    assert not store.holds(spec)
    with pytest.raises(SnapshotError, match="is damaged"):
        store.get("front-desk", spec.digest)


@pytest.mark.parametrize(
    ("agent", "digest"),
    [("front-desk", "0" * 12), ("front-desk", "../x"), ("../secret", "0" * 12), ("x", "")],
)
def test_a_missing_snapshot_is_refused(tmp_path: Path, agent: str, digest: str) -> None:
    with pytest.raises(SnapshotError):
        Store(tmp_path).get(agent, digest)


def test_a_snapshot_of_another_version_is_not_called_damaged(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(a_spec("front-desk"))
    text = '{"id": "front-desk"}'
    path = tmp_path / "agents" / f"front-desk@{digest_of(text)}.json"
    path.write_text(text)
    with pytest.raises(SnapshotError, match="was written by another version of voice-runner"):
        store.get("front-desk", digest_of(text))


def test_a_damaged_snapshot_is_put_anew(tmp_path: Path) -> None:
    store = Store(tmp_path)
    spec = a_spec("front-desk")
    path = tmp_path / "agents" / f"front-desk@{store.put(spec)}.json"
    path.write_text("{}")
    store.put(spec)
    assert store.get("front-desk", spec.digest) == spec


def put(store: Store, agent: str, *, days: float) -> str:
    """Put three revisions that are so old; return the first one's digest."""
    first, *_ = [store.put(a_spec(agent, prompt=f"{n}.")) for n in range(3)]
    for path in (store.state / "agents").glob(f"{agent}@*"):
        aged(path, days * DAY)
    return first


def names(store: Store) -> list[str]:
    return sorted(path.name for path in (store.state / "agents").iterdir())


def test_a_sweep_takes_what_is_old_and_nobody_s(tmp_path: Path) -> None:
    store = Store(tmp_path)
    kept = put(store, "old", days=3)
    put(store, "young", days=1)
    young = [name for name in names(store) if name.startswith("young")]
    notes = tmp_path / "agents" / "notes.txt"
    left_over = (".of-a-killed-process", "old.current", "\udcff.current")
    for path in (notes, *(tmp_path / "agents" / name for name in left_over)):
        path.write_bytes(b"\xff")
        aged(path, 3 * DAY)
    assert store.sweep({("old", kept)}, 2 * DAY) == 2 + len(left_over)
    assert names(store) == ["notes.txt", f"old@{kept}.json", *young]


def test_what_is_put_again_is_young(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = put(store, "old", days=3)
    store.put(a_spec("old", prompt="0."))
    assert store.sweep(set(), 2 * DAY) == 2
    assert store.get("old", first).prompt == "0."


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
