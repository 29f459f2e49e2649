"""`runner serve --poll`: edits are found by the clock, and the system is asked for no events."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from host.studio import a_studio, address_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rig.host import Host


def watches(host: Host) -> bool:
    """Tell whether a host's process has files watched by the system (inotify)."""
    seen = ""
    for one in Path(f"/proc/{host.pid}/fdinfo").iterdir():
        # What is closed meanwhile was no watch: that one stays open.
        with suppress(FileNotFoundError):
            seen += one.read_text()
    return "inotify wd:" in seen


@pytest.mark.parametrize(("options", "by_events"), [([], True), (["--poll"], False)])
async def test_an_edit_is_found_with_and_without_events(
    hosts: Callable[[Host], Host], tmp_path: Path, options: list[str], by_events: bool
) -> None:
    """By events the folder is watched all the time; with `--poll` nothing is, and time will do."""
    folder = tmp_path / "agents"
    folder.mkdir()
    agent = folder / "desk.yaml"
    agent.write_text("prompt: Hello.\n")
    host = hosts(a_studio(folder, *options, environment={}, home=tmp_path))
    await address_of(host)
    agent.write_text("prompt: Good morning.\n")
    await host.wait_log("reload", outcome="applied", agents="desk")
    assert watches(host) == by_events
