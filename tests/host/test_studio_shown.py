"""What the page is told of agents, from files as they are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from catalog.records import a_record
from catalog.specs import a_spec

from runner.catalog.catalog import Catalog
from runner.catalog.reload import Reload
from runner.catalog.serving import Serving, Standing
from runner.catalog.store import Store
from runner.definition.loader import load
from runner.definition.reporters import as_text
from runner.host.studio import shown

if TYPE_CHECKING:
    from pathlib import Path


class Folder:
    """One agent file, and what the page is told of it after each edit."""

    def __init__(self, home: Path) -> None:
        self._file = home / "agents" / "desk.yaml"
        self._file.parent.mkdir()
        self._state = home / "state"
        self._reload: Reload | None = None

    def told(self, text: str) -> dict[str, Any]:
        """Write the file; return the agent as the page has it then."""
        self._file.write_text(text)
        folder = self._file.parent
        if self._reload is None:
            self._reload = Reload(folder, Store(self._state), load([folder]))
        self._reload.look()
        (agent,) = shown.agents(self._reload.serving)["agents"]
        return dict(agent)

    def validated(self) -> list[str]:
        """Return what `runner validate` prints, without its last line."""
        return as_text(load([self._file.parent])).splitlines()[:-1]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Make a folder."""
    return Folder(tmp_path)


def test_a_warning_is_shown_while_the_agent_serves(folder: Folder) -> None:
    """What `validate` warns of is on the page as it prints it, until the file is mended."""
    agent = folder.told("prompt: Hello.\ngreeting: no\n")
    assert (agent["state"], agent["greeting"]) == ("serving", "no")
    (finding,) = agent["findings"]
    assert "warning: the agent will greet with the word 'no'" in finding
    assert finding.splitlines() == folder.validated()
    assert folder.told("prompt: Hello.\ngreeting: false\n")["findings"] == []


def test_what_keeps_an_edit_out_is_shown_in_order(folder: Folder) -> None:
    """Every finding of a refused edit is there, as `validate` prints them."""
    folder.told("prompt: Hello.\n")
    agent = folder.told("prompt: Hello.\nvoise: coral\ngreeting: no\n")
    assert agent["state"] == "last_good"
    assert len(agent["findings"]) == 2
    assert "\n".join(agent["findings"]).splitlines() == folder.validated()


def test_a_note_is_for_validate_alone(folder: Folder) -> None:
    """What an author need not change is not held against an agent on the page."""
    agent = folder.told("prompt: Hello.\ntemperature: 30%\n")
    assert "note:" in folder.validated()[0]
    assert agent["findings"] == []


@pytest.mark.parametrize(
    ("greeting", "told", "generated"),
    [
        ("'{Hello}'", "{Hello}", False),
        ("{generate: Greet them.}", "Greet them.", True),
        ("false", "", False),
    ],
)
def test_a_greeting_is_told_from_a_wish_for_one(
    folder: Folder, greeting: str, told: str, generated: bool
) -> None:
    """Braces that are to be spoken are no instruction."""
    agent = folder.told(f"prompt: Hello.\ngreeting: {greeting}\n")
    assert (agent["greeting"], agent["generated"]) == (told, generated)


def test_a_file_s_name_that_is_no_text_can_be_an_address(tmp_path: Path) -> None:
    """A browser makes none of half a character."""
    file = tmp_path / os.fsdecode(b"desk\xff.yaml")
    file.write_text("prompt: Hello.\n")
    reload = Reload(tmp_path, Store(tmp_path / "state"), load([tmp_path]))
    (agent,) = shown.agents(reload.serving)["agents"]
    assert (agent["id"], agent["name"], agent["state"]) == ("desk?", "Desk?", "broken")
    assert agent["file"] == f"{tmp_path}/desk?.yaml"


@pytest.mark.parametrize(
    ("because", "where"),
    [("studio", "studio"), ("chat", "terminal"), ("room pattern *", "livekit")],
)
def test_where_a_call_is(because: str, where: str) -> None:
    """Calls of the studio, of `runner chat` and of LiveKit are told apart."""
    (call,) = shown.calls([a_record("c", because=because)])["calls"]
    assert call["where"] == where


def test_an_agent_that_cannot_be_rendered_today_hides_no_other() -> None:
    """What it comes to depends on the time, and the page is there at any time."""
    specs = {"desk": a_spec("desk", prompt="{{ 1 // 0 }}"), "other": a_spec("other")}
    standing = {id_: Standing(path=f"{id_}.yaml", id=id_, name=id_, digest="d") for id_ in specs}
    told = shown.agents(Serving(catalog=Catalog(specs, files=2), agents=standing))
    desk, other = told["agents"]
    assert desk["prompt"].startswith("This cannot be rendered now: ZeroDivisionError")
    assert other["prompt"].startswith("Talk to there.")
