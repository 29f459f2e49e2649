"""Edits of every kind, made to real files, told by real events."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import resource
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import pytest
from catalog.reloading import PROMPT, Reloading
from rig import needs

from runner.catalog import reload as reload_module
from runner.catalog.reload import Reload
from runner.catalog.store import Store
from runner.definition.loader import load
from runner.errors import RunnerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from runner.definition.spec import AgentSpec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder of two agents; one of them includes a text."""
    made = tmp_path / "agents"
    (made / "shared").mkdir(parents=True)
    (made / "front.yaml").write_text(PROMPT.format("Hello."))
    (made / "back.yaml").write_text('prompt: Be {% include "shared/tone.md" %}.\n')
    (made / "shared/tone.md").write_text("kind")
    return made


@pytest.fixture
async def edits(folder: Path, tmp_path: Path) -> AsyncIterator[Reloading]:
    """Watch the folder."""
    async with Reloading(folder, tmp_path / "state").running() as one:
        yield one


def in_place(path: Path, text: str) -> None:
    """Write as `echo` and VS Code do."""
    path.write_text(text)


def renamed_over(path: Path, text: str) -> None:
    """Write aside and rename, as rsync and most deployments do."""
    aside = path.with_name(f".{path.name}.Xy1")
    aside.write_text(text)
    aside.rename(path)


def as_vim(path: Path, text: str) -> None:
    """Rename the old file to a backup, write a new one, and remove the backup."""
    backup = path.with_name(f"{path.name}~")
    path.rename(backup)
    path.write_text(text)
    backup.unlink()


def removed_first(path: Path, text: str) -> None:
    """Remove and write anew, as git does."""
    path.unlink()
    path.write_text(text)


@pytest.mark.parametrize("save", [in_place, renamed_over, as_vim, removed_first])
async def test_a_saved_edit_serves(edits: Reloading, save: Callable[[Path, str], None]) -> None:
    before = edits.standing("front")
    for text in ("Good morning.", "Good night."):
        save(edits.folder / "front.yaml", PROMPT.format(text))
        event = await edits.until("applied")
        assert event.agents == ("front",)
        assert edits.prompt("front") == text
    after = edits.standing("front")
    assert (after.digest, after.rejected) != (before.digest, before.rejected)
    assert after.digest
    assert edits.store.get("front", after.digest).prompt == "Good night."
    assert {event.outcome for event in edits.events} == {"applied"}


async def test_an_edit_from_before_the_watch_serves(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was made after the files had been loaded, and is found before the clock says so."""
    monkeypatch.setattr(reload_module, "_SELDOM", 60.0)
    reloading = Reloading(folder, tmp_path / "state")
    in_place(folder / "front.yaml", PROMPT.format("Good morning."))
    async with reloading.running() as edits:
        assert (await edits.next()).agents == ("front",)
        assert edits.prompt("front") == "Good morning."


async def test_the_same_bytes_change_nothing(edits: Reloading) -> None:
    serving = edits.reload.serving
    os.utime(edits.folder / "front.yaml")
    event = await edits.next()
    assert (event.outcome, event.agents, event.rejected) == ("unchanged", (), ())
    assert edits.reload.serving.catalog is serving.catalog
    assert edits.reload.serving.agents == serving.agents


async def test_a_template_reloads_those_that_use_it(edits: Reloading) -> None:
    (edits.folder / "shared/tone.md").write_text("brief")
    event = await edits.next()
    assert (event.outcome, event.agents) == ("applied", ("back",))
    assert edits.reload.serving.catalog.specs["back"].templates == {"shared/tone.md": "brief"}


async def test_the_defaults_reload_those_that_they_change(edits: Reloading) -> None:
    (edits.folder / "front.yaml").write_text("prompt: Hello.\nvoice: sage\n")
    await edits.until("applied")
    (edits.folder / "_defaults.yaml").write_text("voice: echo\n")
    event = await edits.next()
    assert (event.outcome, event.agents) == ("applied", ("back",))
    assert edits.reload.serving.catalog.specs["back"].voice == "echo"


async def test_an_include_that_comes_later_mends_the_agent(edits: Reloading) -> None:
    (edits.folder / "front.yaml").write_text("prompt: {file: shared/front.md}\n")
    event = await edits.next()
    assert (event.outcome, event.rejected) == ("rejected", ("front",))
    (edits.folder / "shared/front.md").write_text("Hello again.")
    event = await edits.next()
    assert (event.outcome, event.agents) == ("applied", ("front",))
    assert edits.prompt("front") == "Hello again."


async def test_a_new_file_is_a_new_agent_and_a_deleted_one_is_none(edits: Reloading) -> None:
    (edits.folder / "night.yaml").write_text(PROMPT.format("Good night."))
    assert (await edits.next()).agents == ("night",)
    (edits.folder / "night.yaml").unlink()
    event = await edits.next()
    assert (event.outcome, event.agents) == ("applied", ("night",))
    assert list(edits.reload.serving.catalog.specs) == ["back", "front"]


async def test_the_last_agent_may_go_too(edits: Reloading) -> None:
    for name in ("front", "back"):
        (edits.folder / f"{name}.yaml").unlink()
    assert (await edits.next()).agents == ("back", "front")
    assert not edits.reload.serving.catalog.specs


async def test_a_renamed_file_is_another_agent(edits: Reloading) -> None:
    (edits.folder / "front.yaml").rename(edits.folder / "entrance.yaml")
    event = await edits.next()
    assert (event.outcome, event.agents) == ("applied", ("entrance", "front"))
    assert list(edits.reload.serving.catalog.specs) == ["back", "entrance"]


async def test_a_half_written_file_is_waited_for_and_nothing_else_is(edits: Reloading) -> None:
    """Though what stands in it is good; it is there as soon as its writer is done."""
    (edits.folder / "shared/tone.md").write_text("brief")
    await edits.until("applied")
    with (edits.folder / "front.yaml").open("w") as file:
        file.write(PROMPT.format("Good morning."))
        file.flush()
        (edits.folder / "shared/tone.md").write_text("polite")
        assert (await edits.next()).agents == ("back",)
        assert edits.prompt("front") == "Hello."
        file.write("voice: echo\n")
    event = await edits.next(0.9)
    assert (event.outcome, event.agents) == ("applied", ("front",))
    assert edits.reload.serving.catalog.specs["front"].voice == "echo"


async def test_a_half_written_template_is_waited_for(edits: Reloading) -> None:
    with (edits.folder / "shared/tone.md").open("w") as file:
        file.write("very, ")
        file.flush()
        (edits.folder / "front.yaml").write_text(PROMPT.format("Good morning."))
        assert (await edits.next()).agents == ("front",)
        file.write("very brief")
    assert (await edits.next()).agents == ("back",)
    templates = edits.reload.serving.catalog.specs["back"].templates
    assert templates == {"shared/tone.md": "very, very brief"}


async def test_a_file_that_is_kept_open_is_not_waited_for_for_ever(edits: Reloading) -> None:
    with (edits.folder / "front.yaml").open("w") as file:
        file.write(PROMPT.format("Good morning."))
        file.flush()
        assert (await edits.next()).agents == ("front",)
        assert edits.prompt("front") == "Good morning."


@pytest.mark.parametrize("outcome", ["rejected", "applied"])
async def test_a_file_that_is_empty_or_gone_is_waited_for_and_nothing_else_is(
    edits: Reloading, outcome: str
) -> None:
    front = edits.folder / "front.yaml"
    front.write_text("") if outcome == "rejected" else front.unlink()
    (edits.folder / "back.yaml").write_text(PROMPT.format("Back."))
    event = await edits.next()
    assert (event.outcome, event.agents) == ("applied", ("back",))
    assert edits.prompt("front") == "Hello."
    event = await edits.next()
    assert (event.outcome, event.agents + event.rejected) == (outcome, ("front",))


async def test_a_claim_that_goes_to_another_file_is_never_refused(edits: Reloading) -> None:
    """The file that takes the rooms over waits for the one that is gone, perhaps for a moment."""
    claim = "prompt: Hi.\nanswers: {rooms: [desk]}\n"
    (edits.folder / "front.yaml").write_text(claim)
    await edits.until("applied")
    (edits.folder / "front.yaml").unlink()
    (edits.folder / "back.yaml").write_text(claim)
    event = await edits.next()
    assert (event.outcome, event.agents, event.rejected) == ("applied", ("back", "front"), ())


async def test_a_file_that_stays_empty_is_refused(edits: Reloading) -> None:
    (edits.folder / "front.yaml").write_text("")
    event = await edits.next()
    assert (event.outcome, event.rejected) == ("rejected", ("front",))
    assert edits.prompt("front") == "Hello."


async def test_a_config_map_swaps_a_link(tmp_path: Path) -> None:
    """Kubernetes writes a new folder beside the old one and renames a link over the other."""
    folder = tmp_path / "agents"
    for version in ("1", "2"):
        (folder / f"..{version}").mkdir(parents=True)
        (folder / f"..{version}/front.yaml").write_text(PROMPT.format(f"Version {version}."))
        (folder / f"..{version}/same.yaml").write_text(PROMPT.format("Same."))
    (folder / "..data").symlink_to("..1")
    for name in ("front.yaml", "same.yaml"):
        (folder / name).symlink_to(f"..data/{name}")
    async with Reloading(folder, tmp_path / "state").running() as edits:
        (folder / "..data_tmp").symlink_to("..2")
        (folder / "..data_tmp").rename(folder / "..data")
        shutil.rmtree(folder / "..1")
        event = await edits.until("applied")
        assert event.agents == ("front",)
        assert edits.prompt("front") == "Version 2."


async def test_a_deployment_swaps_the_folder_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event tells of a link above the folder: it is found by the clock."""
    monkeypatch.setattr(reload_module, "_SELDOM", 0.2)
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "front.yaml").write_text(PROMPT.format(f"Version {version}."))
    folder = tmp_path / "agents"
    folder.symlink_to("1")
    async with Reloading(folder, tmp_path / "state").running() as edits:
        (tmp_path / "next").symlink_to("2")
        (tmp_path / "next").rename(folder)
        await edits.until("applied")
        assert edits.prompt("front") == "Version 2."
        monkeypatch.setattr(reload_module, "_SELDOM", 60.0)
        (tmp_path / "2/front.yaml").write_text(PROMPT.format("Version 3."))
        await edits.until("applied")
        assert edits.prompt("front") == "Version 3."


async def test_a_folder_may_go_and_come_back(edits: Reloading) -> None:
    away = edits.folder.with_name("away")
    edits.folder.rename(away)
    event = await edits.next()
    assert event.outcome == "rejected"
    assert "there is no file or folder" in event.trouble
    assert edits.prompt("front") == "Hello."
    (away / "front.yaml").write_text(PROMPT.format("Back."))
    away.rename(edits.folder)
    assert (await edits.until("applied")).agents == ("front",)
    (edits.folder / "front.yaml").write_text(PROMPT.format("Here to stay."))
    await edits.until("applied")
    assert edits.prompt("front") == "Here to stay."


async def test_a_folder_that_is_replaced_at_once_is_not_missed(edits: Reloading) -> None:
    shutil.copytree(edits.folder, edits.folder.with_name("new"))
    (edits.folder.with_name("new") / "front.yaml").write_text(PROMPT.format("New."))
    shutil.rmtree(edits.folder)
    edits.folder.with_name("new").rename(edits.folder)
    assert (await edits.until("applied")).agents == ("front",)
    assert [event.outcome for event in edits.events] == ["applied"]


def git(folder: Path, *arguments: str) -> None:
    """Run git, with nobody's settings."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    command = ["git", "-C", str(folder), *identity, *arguments]
    subprocess.run(command, check=True, capture_output=True)


async def test_a_checkout_of_500_files_is_settled(tmp_path: Path) -> None:
    """All of it is taken over in a few attempts, while the loop goes on answering."""
    folder = tmp_path / "agents"
    folder.mkdir()
    git(folder, "init", "-b", "main")
    for version in ("old", "new"):
        for place in range(500):
            (folder / f"agent-{place}.yaml").write_text(PROMPT.format(f"{version} {place}"))
        git(folder, "add", ".")
        git(folder, "commit", "-m", version)
    async with Reloading(folder, tmp_path / "state").running() as edits:
        lag = asyncio.create_task(longest_lag())
        await asyncio.to_thread(git, folder, "checkout", "HEAD~1")
        left = {f"agent-{place}" for place in range(500)}
        while left:
            left -= set((await edits.next(60)).agents)
        lag.cancel()
        specs = edits.reload.serving.catalog.specs.values()
        assert {spec.prompt for spec in specs} == {f"old {place}" for place in range(500)}
        assert {event.outcome for event in edits.events} == {"applied"}
        assert len(edits.events) <= 8
        assert await lag < 0.5


@pytest.mark.parametrize("options", [[], ["--inplace", "--bwlimit=2000"], ["--delete-delay"]])
async def test_rsync_brings_every_file_whole(tmp_path: Path, options: list[str]) -> None:
    """Also where it writes the files in place, one part after the other."""
    rsync, folder, new = needs.rsync(), tmp_path / "agents", tmp_path / "new"
    for made, word in ((folder, "old"), (new, "newer")):
        made.mkdir()
        for place in range(20):
            text = "".join(f"  {word} {line} {'-' * 60}\n" for line in range(500))
            (made / f"agent-{place}.yaml").write_text(f"prompt: |\n{text}  {word}\n")
    (folder / "gone.yaml").write_text(PROMPT.format("Gone."))
    async with Reloading(folder, tmp_path / "state").running() as edits:
        specs = set(edits.reload.serving.catalog.specs)
        command = [rsync, "--archive", *options, f"{new}/", f"{folder}/"]
        process = await asyncio.create_subprocess_exec(*command)
        left = specs if "--delete-delay" in options else specs - {"gone"}
        while left:
            event = await edits.next()
            assert event.outcome == "applied"
            left = left - set(event.agents)
        assert await process.wait() == 0
        for place in range(20):
            assert edits.prompt(f"agent-{place}").splitlines()[-1] == "newer"
        assert len(edits.events) <= 21


async def longest_lag() -> float:
    """Return, when cancelled, for how long at most the loop was late."""
    longest = 0.0
    try:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - began - 0.01)
    except asyncio.CancelledError:
        return longest


async def test_polling_needs_no_events(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchfiles.awatch", None)
    async with Reloading(folder, tmp_path / "state", poll=True).running() as edits:
        (folder / "front.yaml").write_text(PROMPT.format("Good morning."))
        assert (await edits.next()).agents == ("front",)


async def test_a_name_that_is_no_text_stops_nothing(edits: Reloading) -> None:
    """The watcher ends with an error on such a name, and is started again."""
    with open(os.fsencode(edits.folder) + b"/\xff.txt", "w"):  # noqa: PTH123, ASYNC230
        pass
    await edits.next_line("no file events; looking by the clock")
    for text in ("One.", "Two."):
        (edits.folder / "front.yaml").write_text(PROMPT.format(text))
        await edits.until("applied")
        assert edits.prompt("front") == text


async def test_a_filter_s_wrong_argument_holds_up_nobody_else(edits: Reloading) -> None:
    (edits.folder / "front.yaml").write_text("prompt: \"{{ 'Hello' | truncate(2) }}\"\n")
    event = await edits.next()
    assert (event.outcome, event.rejected) == ("rejected", ("front",))
    (edits.folder / "shared/tone.md").write_text("brief")
    event = await edits.next()
    assert (event.agents, edits.prompt("front")) == (("back",), "Hello.")


async def test_a_rejected_edit_keeps_the_last_good_revision(edits: Reloading) -> None:
    good = edits.standing("front")
    began = time.time()
    (edits.folder / "front.yaml").write_text("prompt: Hello {{ nobody }}.\n")
    event = await edits.next()
    assert (event.outcome, event.agents, event.rejected) == ("rejected", (), ("front",))
    one = edits.standing("front")
    assert one.rejected
    assert (one.digest, one.since) == (good.digest, good.since)
    assert began <= one.rejected.since <= time.time()
    assert [finding.rule for finding in one.rejected.diagnostics] == ["template-name"]
    (edits.folder / "front.yaml").write_text("prompt: [\n")
    await edits.next()
    two = edits.standing("front").rejected
    assert two
    assert (two.since, two.diagnostics[0].rule) == (one.rejected.since, "syntax")
    assert edits.prompt("front") == "Hello."
    (edits.folder / "front.yaml").write_text(PROMPT.format("Hello."))
    event = await edits.next()
    assert (event.outcome, event.agents) == ("applied", ("front",))
    assert edits.standing("front") == good


async def test_an_agent_that_was_never_good_is_seen(edits: Reloading) -> None:
    (edits.folder / "new.yaml").write_text("prompt: [\n")
    await edits.until("rejected")
    one = edits.standing("new")
    assert (one.id, one.name, one.digest, one.since) == ("new", "New", None, None)
    assert one.rejected
    assert one.rejected.diagnostics[0].rule == "syntax"


async def test_a_second_claim_is_refused_and_the_first_serves_on(edits: Reloading) -> None:
    (edits.folder / "front.yaml").write_text("prompt: Hi.\nanswers: {rooms: [desk]}\n")
    await edits.until("applied")
    (edits.folder / "back.yaml").write_text("prompt: Hi.\nanswers: {rooms: [desk]}\n")
    event = await edits.next()
    assert (event.outcome, event.rejected) == ("rejected", ("back", "front"))
    specs = edits.reload.serving.catalog.specs
    assert specs["front"].answers.rooms == ("desk",)
    assert specs["back"].answers.rooms == ("back", "back-*")


async def test_the_same_id_twice_leaves_the_first(edits: Reloading) -> None:
    """Even while the first one's file cannot be read."""
    (edits.folder / "front.yaml").write_text("prompt: [\n")
    await edits.until("rejected")
    (edits.folder / "other").mkdir()
    (edits.folder / "other/front.yaml").write_text(PROMPT.format("Second."))
    event = await edits.until("rejected")
    assert event.rejected == ("front",)
    assert edits.prompt("front") == "Hello."


async def test_the_log_names_the_place_and_quotes_nothing(edits: Reloading) -> None:
    (edits.folder / "front.yaml").write_text("prompt: Hi.\nNever give refunds: 1\nvoice: 3\n")
    line = await edits.next_line("reload")
    reason = line["reason"]
    assert reason.startswith(f"{edits.folder / 'front.yaml'}:2:1: Every key is one that")
    assert reason.endswith("[unknown-key]; and 2 more")
    assert "refunds" not in str(line)
    assert (line["levelname"], line["rejected"]) == ("WARNING", "front")


def restarted(folder: Path, state: Path) -> Reloading:
    """Return the folder as a new host finds it."""
    return Reloading(folder, state)


def test_the_last_good_revision_serves_after_a_restart(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = tmp_path / "state"
    good = restarted(folder, state).standing("front")
    (folder / "front.yaml").write_text("prompt: Hello {{ nobody }}.\n")
    first = restarted(folder, state).standing("front")
    again = restarted(folder, state)
    assert again.prompt("front") == "Hello."
    assert (first.digest, first.since) == (good.digest, good.since)
    assert first.rejected
    assert again.standing("front") == first
    lines = [r for r in caplog.records if r.getMessage() == "serving the last good revision"]
    assert [line.__dict__["agent"] for line in lines] == ["front", "front"]
    (folder / "front.yaml").write_text(PROMPT.format("Hello."))
    assert restarted(folder, state).standing("front") == good


def test_an_edit_while_no_host_runs_is_a_new_revision(folder: Path, tmp_path: Path) -> None:
    good = restarted(folder, tmp_path / "state").standing("front")
    (folder / "front.yaml").write_text(PROMPT.format("Hello again."))
    after = restarted(folder, tmp_path / "state").standing("front")
    assert after.digest != good.digest
    assert after.since
    assert good.since
    assert after.since > good.since


def test_a_deleted_file_is_forgotten(folder: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    restarted(folder, state)
    (folder / "front.yaml").unlink()
    restarted(folder, state)
    (folder / "front.yaml").write_text("prompt: [\n")
    assert "front" not in restarted(folder, state).reload.serving.catalog.specs


@pytest.mark.parametrize(
    ("damage", "message"),
    [("", "is damaged"), ('{"version": 2}', "was written by another version")],
)
def test_a_ledger_that_cannot_be_read_is_said(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str, message: str
) -> None:
    restarted(folder, tmp_path / "state")
    (ledger,) = (tmp_path / "state/folders").iterdir()
    ledger.write_text(damage)
    assert restarted(folder, tmp_path / "state").prompt("front") == "Hello."
    (line,) = [r for r in caplog.records if r.getMessage() == "what served before is not known"]
    assert message in line.__dict__["reason"]


def test_a_lost_snapshot_is_said(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    restarted(folder, tmp_path / "state")
    for path in (tmp_path / "state/agents").glob("front@*"):
        path.write_text("{}")
    (folder / "front.yaml").write_text("prompt: [\n")
    assert list(restarted(folder, tmp_path / "state").reload.serving.catalog.specs) == ["back"]
    (line,) = [r for r in caplog.records if r.getMessage() == "the last good revision is lost"]
    assert "is damaged" in line.__dict__["reason"]


def test_a_damaged_snapshot_of_a_good_file_is_written_anew(folder: Path, tmp_path: Path) -> None:
    digest = restarted(folder, tmp_path / "state").standing("front").digest
    for path in (tmp_path / "state/agents").glob("front@*"):
        path.write_text("{}")
    restarted(folder, tmp_path / "state")
    assert digest
    assert Store(tmp_path / "state").get("front", digest).prompt == "Hello."


def test_a_state_folder_that_cannot_be_written_is_said_at_the_start(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(RunnerError, match="cannot write the state folder"):
        Reloading(folder, tmp_path / "state")


@contextmanager
def full_disk(_: Path) -> Iterator[None]:
    """Let no file grow, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def read_only(state: Path) -> Iterator[None]:
    """Let nobody write below the state folder; in this thread that holds for root as well."""
    libc = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    had = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, had) == 0
    # CAP_DAC_OVERRIDE, which lets root write everywhere.
    assert libc.capset(header, type(had)(had[0] & ~2, *had[1:])) == 0
    folders = [state, *(path for path in state.iterdir() if path.is_dir())]
    try:
        for folder in folders:
            folder.chmod(0o500)
        yield
    finally:
        for folder in folders:
            folder.chmod(0o700)
        libc.capset(header, had)


@contextmanager
def no_folder(state: Path) -> Iterator[None]:
    """Put a file in the place of the state folder."""
    away = state.rename(state.with_name("away"))
    state.write_text("")
    try:
        yield
    finally:
        state.unlink()
        away.rename(state)


@pytest.mark.parametrize("trouble", [full_disk, read_only, no_folder])
def test_a_state_folder_that_cannot_be_written_any_more_keeps_what_serves(
    folder: Path, tmp_path: Path, trouble: Callable[[Path], AbstractContextManager[None]]
) -> None:
    """The reason is said once, and the edit is taken over when the folder can be written again."""
    reload = Reloading(folder, tmp_path / "state").reload
    path = str(folder / "front.yaml")
    (folder / "front.yaml").write_text(PROMPT.format("Good morning."))
    with trouble(tmp_path / "state"):
        reload.look()
        (event, serving) = (reload.serving.last, reload.serving)
        reload.look()
    assert event
    assert (event.outcome, event.rejected) == ("rejected", ("front",))
    assert event.trouble.startswith(f"cannot write the state folder {tmp_path / 'state'}: ")
    assert serving.catalog.specs["front"].prompt == "Hello."
    assert serving.agents[path].rejected
    assert reload.serving is serving
    reload.look()
    assert reload.serving.last
    assert (reload.serving.last.outcome, reload.serving.last.agents) == ("applied", ("front",))
    assert reload.serving.catalog.specs["front"].prompt == "Good morning."
    assert reload.serving.agents[path].rejected is None


class Timed(Store):
    """A store that notes how long it has taken to write."""

    took: ClassVar[list[float]] = []

    def put(self, spec: AgentSpec) -> str:
        began = time.monotonic()
        try:
            return super().put(spec)
        finally:
            self.took.append(time.monotonic() - began)


def test_an_attempt_says_how_long_it_took(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All of it: no less than its writing, and no more than the look that it was part of."""
    caplog.set_level(logging.INFO, "runner.catalog")
    reload = Reload(folder, Timed(tmp_path / "state"), load([folder]))
    for place in range(50):
        (folder / f"agent-{place}.yaml").write_text(PROMPT.format(f"Agent {place}."))
    Timed.took.clear()
    began = time.monotonic()
    reload.look()
    took = time.monotonic() - began
    assert reload.serving.last
    assert len(Timed.took) == 50
    assert sum(Timed.took) < reload.serving.last.seconds < took
    (line,) = [record for record in caplog.records if record.getMessage() == "reload"]
    assert line.__dict__["seconds"] == round(reload.serving.last.seconds, 3)


def test_only_what_changed_is_read_again(folder: Path) -> None:
    before = load([folder])
    (folder / "front.yaml").write_text(PROMPT.format("Good morning."))
    after = load([folder], before=before)
    front, back = str(folder / "front.yaml"), str(folder / "back.yaml")
    assert after.agents[back] is before.agents[back]
    assert after.agents[front] is not before.agents[front]
    assert load([folder], before=after).agents is after.agents


def test_a_reload_says_what_a_fresh_load_says(folder: Path) -> None:
    """Whatever was edited, in whatever order."""
    loaded = load([folder])
    edits = [
        ("front.yaml", "prompt: Hi.\nanswers: {rooms: [desk]}\n"),
        ("back.yaml", "prompt: Hi.\nanswers: {rooms: [desk]}\n"),
        ("_defaults.yaml", "voice: nobody\n"),
        ("front.yaml", "prompt: \"{% include 'x.md' %}\"\n"),
        ("x.md", "{{ nobody }}"),
        ("x.md", "Hi."),
        ("_defaults.yaml", "voice: echo\n"),
    ]
    for name, text in edits:
        (folder / name).write_text(text)
        loaded = load([folder], before=loaded)
        fresh = load([folder])
        assert loaded.specs == fresh.specs
        assert loaded.diagnostics == fresh.diagnostics
        assert loaded.agents == fresh.agents
