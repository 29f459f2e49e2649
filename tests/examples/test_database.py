"""`examples/database/` does what its README shows."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig import needs
from rig.database import EXAMPLE, ExampleDatabase

if TYPE_CHECKING:
    from collections.abc import Iterator

README = (EXAMPLE / "README.md").read_text()
BLOCKS = re.findall(r"^```console\n\$ (.*?)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SERVICE = "python service.py agents.db"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[ExampleDatabase]:
    with ExampleDatabase(tmp_path / "database") as one:
        yield one


def shell(command: str, folder: Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def answer(database: ExampleDatabase, path: str, token: str = "") -> tuple[int, dict[str, object]]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"http://127.0.0.1:{database.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as found:
            return found.status, json.load(found)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_readme_s_service_says_where_it_is(tmp_path: Path) -> None:
    one = ExampleDatabase(tmp_path / "database")
    try:
        assert one.start() == one.here(dict(BLOCKS)[SERVICE])
    finally:
        one.stop()


@pytest.mark.parametrize("command", [command for command, _ in BLOCKS if command != SERVICE])
def test_a_command_prints_what_the_readme_shows(command: str, database: ExampleDatabase) -> None:
    """Each console block is what its command prints, letter by letter."""
    for tool in ("sqlite3", "curl"):
        needs.needed(shutil.which(tool), tool)
    printed = shell(database.here(command), database.folder)
    assert printed == database.here(dict(BLOCKS)[command])


def test_an_edit_is_in_the_next_answer(database: ExampleDatabase) -> None:
    needs.needed(shutil.which("sqlite3"), "sqlite3")
    (edit,) = (command for command, _ in BLOCKS if command.startswith("sqlite3"))
    shell(edit, database.folder)
    assert answer(database, "/api/agent-configs/2")[1]["voiceModel"] == "marin"


@pytest.mark.parametrize("path", ["/api/agent-configs/3", "/api/agent-configs/x", "/", "/api"])
def test_what_is_not_there_is_not_found(path: str, database: ExampleDatabase) -> None:
    assert answer(database, path) == (404, {"error": "not found"})


def test_with_a_key_only_those_who_bring_it_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_CONFIGS_KEY", "s3cret")
    with ExampleDatabase(tmp_path / "database") as one:
        assert answer(one, "/api/agent-configs/1")[0] == 401
        assert answer(one, "/api/agent-configs/1", "other")[0] == 401
        assert answer(one, "/api/agent-configs/1", "s3cret")[1]["name"] == "Default Agent"
