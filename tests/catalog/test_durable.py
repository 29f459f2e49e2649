"""What must outlive a power cut is on the disk: each file before its name, its name after it."""

from __future__ import annotations

import io
import os
import wave
from typing import TYPE_CHECKING

import pytest
from catalog.backends import announcement as an_announcement
from catalog.reloading import PROMPT, Reloading
from catalog.specs import a_spec

from runner.catalog import files
from runner.catalog.announcements import Announcements, announcement

if TYPE_CHECKING:
    from pathlib import Path

#: What was done to a file or a folder, by its inode, and how large it was.
Step = tuple[str, int, int]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """Note every wait for the disk and every rename, and do it."""
    noted: list[Step] = []
    fsync, replace = os.fsync, os.replace

    def note(what: str, found: os.stat_result) -> None:
        noted.append((what, found.st_ino, found.st_size))

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        note("sync", os.fstat(descriptor))

    def renamed(old: Path, new: Path) -> None:
        replace(old, new)
        note("rename", new.stat())

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    return noted


def step(what: str, path: Path) -> Step:
    """Return what `steps` has of a file or a folder that is as it was then."""
    found = path.stat()
    return what, found.st_ino, found.st_size


def durable(path: Path) -> list[Step]:
    """Return the steps by which a file outlives a power cut whole, or is not there."""
    return [step("sync", path), step("rename", path), step("sync", path.parent)]


def test_a_durable_file_is_on_the_disk_before_its_name(tmp_path: Path, steps: list[Step]) -> None:
    """All of its content is, and the disk has the name before anybody goes on."""
    files.replace(tmp_path / "one.json", "{}", durable=True)
    assert steps == durable(tmp_path / "one.json")


def test_a_file_that_may_be_lost_waits_for_no_disk(tmp_path: Path, steps: list[Step]) -> None:
    files.replace(tmp_path / "one.json", "{}")
    assert steps == [step("rename", tmp_path / "one.json")]


def test_what_serves_is_on_the_disk_before_it_is_remembered(
    tmp_path: Path, steps: list[Step]
) -> None:
    """The snapshot is swapped in first, for the calls; the ledger names only what the disk has."""
    folder, state = tmp_path / "agents", tmp_path / "state"
    folder.mkdir()
    (folder / "front.yaml").write_text(PROMPT.format("Hello."))
    Reloading(folder, state)
    (snapshot,) = (state / "agents").iterdir()
    (ledger,) = (state / "folders").iterdir()
    first = [step("rename", snapshot), step("sync", snapshot), step("sync", snapshot.parent)]
    assert steps == first + durable(ledger)


def test_an_announcement_is_durable(tmp_path: Path, steps: list[Step]) -> None:
    """It was paid for, and the servers may be down when the host is back."""
    last = an_announcement()
    sound = io.BytesIO()
    with wave.open(sound, "wb") as wav:
        wav.setparams((1, 2, 24_000, 0, "NONE", ""))
        wav.writeframes(b"\1\2" * 2400)
    take = announcement(a_spec("desk", backends=(last,)), last).otherwise
    Announcements(tmp_path).keep(take, sound.getvalue())
    (path,) = (tmp_path / "announcements").iterdir()
    assert steps == durable(path)
