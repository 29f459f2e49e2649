"""The list of running hosts: with real processes, killed ones among them."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.catalog.hosts import Hosts, Listing
from runner.errors import RunnerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

ONE = Listing(machine="a", pid=7, port=4001, started="2026-11-22T16:45:52.000Z")
TWIN = Listing(machine="b", pid=7, port=4002, started="2026-11-22T16:45:51.000Z")


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    return Hosts(tmp_path / "state")


def _list(state: Path, told: Connection) -> None:
    with Hosts(state).listed(ONE):
        told.send("listed")
        told.recv()


@pytest.fixture
def killed(hosts: Hosts) -> Iterator[None]:
    """Leave what a host leaves that was killed."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_list, args=(hosts.state, theirs))
    process.start()
    assert ours.recv() == "listed"
    assert hosts.running() == ([ONE], [])
    process.kill()
    process.join()
    yield
    process.close()


def test_a_state_folder_that_is_not_there_has_no_host(hosts: Hosts) -> None:
    assert hosts.running() == ([], [])
    assert not hosts.state.exists()


def test_hosts_with_one_process_id_are_two(hosts: Hosts) -> None:
    """Containers that share a state folder count their processes alike; the first is the oldest."""
    with hosts.listed(ONE):
        with hosts.listed(TWIN):
            assert hosts.running() == ([TWIN, ONE], [])
        assert hosts.running() == ([ONE], [])
    assert hosts.running() == ([], [])


@pytest.mark.usefixtures("killed")
def test_a_killed_host_is_listed_no_more(hosts: Hosts) -> None:
    """Whatever process has its id now; the next host removes what it left."""
    (left,) = (hosts.state / "hosts").iterdir()
    assert json.loads(left.read_text())["pid"] == ONE.pid
    assert hosts.running() == ([], [])
    with hosts.listed(TWIN):
        assert hosts.running() == ([TWIN], [])
        assert not left.exists()


def test_a_host_that_fails_is_listed_no_more(hosts: Hosts) -> None:
    with pytest.raises(ZeroDivisionError), hosts.listed(ONE):
        _ = 1 / 0
    assert list((hosts.state / "hosts").iterdir()) == []


def test_the_list_is_its_owner_s_alone(hosts: Hosts) -> None:
    with hosts.listed(ONE):
        assert stat.S_IMODE((hosts.state / "hosts").stat().st_mode) == 0o700


def test_a_state_folder_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    hosts = Hosts(tmp_path / "state")
    with pytest.raises(RunnerError, match="cannot read the state folder"):
        hosts.running()
    with pytest.raises(RunnerError, match="cannot write the state folder"):
        hosts.listed(ONE).__enter__()


@pytest.mark.parametrize(
    "text", ["", "[]", '{"pid": 7}', '{"machine": "a", "pid": 7, "port": "80", "started": ""}']
)
def test_a_host_of_another_version_is_said_and_hides_no_other(hosts: Hosts, text: str) -> None:
    """Its file may hold anything, but the host that locks it runs."""
    with hosts.listed(ONE):
        (path,) = (hosts.state / "hosts").iterdir()
        path.write_text(text)
        with hosts.listed(TWIN):
            running, (unread,) = hosts.running()
    assert running == [TWIN]
    assert unread == f"{path} is of a host of another version of voice-runner"


def test_a_list_entry_that_cannot_be_read_is_said_and_hides_no_other(hosts: Hosts) -> None:
    with hosts.listed(ONE):
        path = hosts.state / "hosts/8-0.json"
        path.mkdir()
        with hosts.listed(TWIN):
            assert hosts.running() == ([TWIN, ONE], [f"cannot read {path}: Is a directory"])


def test_a_child_of_a_host_does_not_keep_it_listed(hosts: Hosts) -> None:
    """Job processes outlive a killed host for a moment, and have none of its files."""
    with hosts.listed(ONE):
        (path,) = (hosts.state / "hosts").iterdir()
        ours = [fd for fd in Path("/proc/self/fd").iterdir() if _leads_to(fd, path)]
        assert ours
        assert not any(os.get_inheritable(int(fd.name)) for fd in ours)


def _leads_to(fd: Path, path: Path) -> bool:
    try:
        return fd.readlink() == path
    except OSError:
        return False
