"""What the host tidies up, and what it leaves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from catalog.records import a_record, aged
from catalog.specs import a_spec

from runner.catalog.ledger import Entry, Ledger
from runner.catalog.records import Records
from runner.catalog.reload import Reload
from runner.catalog.store import Store
from runner.definition.loader import load
from runner.host import upkeep

if TYPE_CHECKING:
    from pathlib import Path

OLD = 3 * 24 * 3600


@pytest.fixture
def agents(tmp_path: Path) -> Reload:
    """Serve one agent, whose file has changed since."""
    (tmp_path / "agents").mkdir()
    file = tmp_path / "agents/front-desk.yaml"
    file.write_text("prompt: Hello.\n")
    reload = Reload(tmp_path / "agents", Store(tmp_path / "state"), load([tmp_path / "agents"]))
    file.write_text("prompt: [\n")
    reload.look()
    return reload


def test_a_sweep_leaves_what_serves_and_what_a_running_call_has(
    agents: Reload, tmp_path: Path
) -> None:
    """Here and on another host, and the last good revision of a broken file."""
    store = Store(tmp_path / "state")
    serving = agents.serving.agents[str(tmp_path / "agents/front-desk.yaml")].digest
    running, ended, nobody_s = (store.put(a_spec("front-desk", prompt=p)) for p in "123")
    records = Records(store.state)
    records.write(a_record("AJ_1", revision=running))
    records.write(a_record("AJ_2", revision=ended, ended="2026-11-22T16:46:00.000Z"))
    other = Reload(tmp_path / "agents", store, load([tmp_path / "agents"]))
    for path in (store.state / "agents").iterdir():
        aged(path, OLD)
    empty = replace(other.serving, catalog=replace(other.serving.catalog, specs={}))
    other.serving = empty
    upkeep.sweep(other, store)
    left = {path.name for path in (store.state / "agents").iterdir()}
    assert left == {f"front-desk@{serving}.json", f"front-desk@{running}.json"}
    assert nobody_s not in str(left)


def test_what_serves_is_written_again_if_it_was_lost(agents: Reload, tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    for path in (store.state / "agents").iterdir():
        path.unlink()
    upkeep.sweep(agents, store)
    spec = agents.serving.catalog.specs["front-desk"]
    assert store.get("front-desk", spec.digest) == spec


def test_nothing_is_swept_by_a_ledger_that_cannot_be_read(
    agents: Reload, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "state")
    digest = store.put(a_spec("other"))
    aged(store.state / "agents" / f"other@{digest}.json", OLD)
    (ledger,) = (store.state / "folders").iterdir()
    ledger.write_text('{"version": 2}')
    upkeep.sweep(agents, store)
    assert store.get("other", digest)
    assert caplog.messages == ["snapshots are not tidied up"]


def test_a_folder_that_nobody_serves_any_more_is_forgotten(agents: Reload, tmp_path: Path) -> None:
    """After a month; until then its last good revisions are kept, even if its files are gone."""
    store = Store(tmp_path / "state")
    digest = store.put(a_spec("gone"))
    left = Ledger(store.state, tmp_path / "gone")
    left.write({"gone.yaml": Entry(id="gone", digest=digest, since=0.0)})
    for path in (store.state / "agents").iterdir():
        aged(path, OLD)
    for days in (29, 31):
        for path in (store.state / "folders").iterdir():
            aged(path, days * 24 * 3600)
        upkeep.sweep(agents, store)
        assert bool(left.read()) is (days == 29)
        assert (store.state / f"agents/gone@{digest}.json").exists() is (days == 29)
        assert Ledger(store.state, tmp_path / "agents").read()


def test_hosts_of_two_folders_share_nothing_but_the_state_folder(tmp_path: Path) -> None:
    """Each restores its own last good revision of an agent that both have."""
    store = Store(tmp_path / "state")
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
        (folder / "front-desk.yaml").write_text(f"prompt: Of {folder.name}.\n")
        Reload(folder, store, load([folder]))
        (folder / "front-desk.yaml").write_text("prompt: [\n")
    for folder in folders:
        (spec,) = Reload(folder, store, load([folder])).serving.catalog.specs.values()
        assert spec.prompt == f"Of {folder.name}."
