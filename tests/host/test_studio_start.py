"""How `runner serve` begins and ends at a person's desk: the browser, the first folder, an end."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from host.studio import a_studio, address_of
from rig.host import KEPT, REPOSITORY, Host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AGENTS = Path(__file__).with_name("agents")
#: A browser that only says what it was asked to open, in the terminal.
OPENER = """#!/bin/sh
echo "opened $1"
"""
PRINTED = r"the studio is at (\S+)\r\n"
OPENED = r"opened (\S+)\r\n"


def programs(folder: Path, **scripts: str) -> str:
    """Make a folder of programs; return a `PATH` that begins with it."""
    folder.mkdir()
    for name, script in scripts.items():
        program = folder / name
        program.write_text(script)
        program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def surroundings(home: Path, path: str) -> dict[str, str]:
    """Return the environment of a person without any key, at home in `home`."""
    kept = {key: os.environ[key] for key in KEPT if key in os.environ}
    return kept | {
        "HOME": str(home),
        "PATH": path,
        "PYTHONPATH": str(REPOSITORY / "src"),
        "PYTHONUNBUFFERED": "1",
        "RUNNER_STATE_DIR": str(home / "state"),
    }


class Terminal:
    """What a program shows in a terminal; it serves the agents there."""

    def __init__(self, environment: dict[str, str], *options: str) -> None:
        self.shown = ""
        self._ours, its = pty.openpty()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "runner", "serve", str(AGENTS), "--port", "0", *options],
            env=environment,
            cwd=environment["HOME"],
            stdin=its,
            stdout=its,
            stderr=subprocess.DEVNULL,
        )
        os.close(its)

    async def wait(self, pattern: str) -> str:
        """Return what `pattern` finds in brackets, once it is shown."""
        return await asyncio.wait_for(asyncio.to_thread(self._read, pattern), 20)

    def close(self) -> None:
        """End the program, and read what it still had to show."""
        self._child.terminate()
        assert self._child.wait(20) == 0
        self._read("(?!)")
        os.close(self._ours)

    def _read(self, pattern: str) -> str:
        while not (found := re.search(pattern, self.shown)):
            try:
                self.shown += os.read(self._ours, 4096).decode()
            except OSError:
                # How Linux says that nobody is left who could write.
                return ""
        return found[1]


@pytest.fixture
def desktop(tmp_path: Path) -> dict[str, str]:
    """Give the environment of a person at a desktop."""
    path = programs(tmp_path / "programs", a_browser=OPENER)
    return surroundings(tmp_path, path) | {"DISPLAY": ":0", "BROWSER": "a_browser"}


async def test_the_page_opens_by_itself_on_a_desktop(desktop: dict[str, str]) -> None:
    """In a terminal on a desktop the browser is given the address that is printed."""
    terminal = Terminal(desktop)
    try:
        assert await terminal.wait(OPENED) == await terminal.wait(PRINTED)
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("options", "display"), [(["--no-open"], ":0"), ([], "")], ids=["not wanted", "no screen"]
)
async def test_no_page_opens_where_nobody_wants_or_sees_it(
    desktop: dict[str, str], options: list[str], display: str
) -> None:
    """`--no-open`, and a machine without a screen, only print the address."""
    terminal = Terminal(desktop | {"DISPLAY": display}, *options)
    try:
        address = await terminal.wait(PRINTED)
        async with aiohttp.request("GET", address, raise_for_status=True):
            pass
    finally:
        terminal.close()
    assert "opened" not in terminal.shown


async def test_no_page_opens_without_a_terminal(
    desktop: dict[str, str], hosts: Callable[[Host], Host], tmp_path: Path
) -> None:
    """A service on a desktop opens nothing."""
    host = hosts(a_studio(AGENTS, environment=desktop, home=tmp_path / "service"))
    async with aiohttp.request("GET", await address_of(host), raise_for_status=True):
        pass
    assert host.stop() == 0
    assert "the studio is at" in host.stdout
    assert "opened" not in host.stdout


@pytest.fixture
def beginner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `runner init`, and then what it says to do next, as it stands, in a shell."""
    ours = f'#!/bin/sh\nexec {sys.executable} -m runner "$@"\n'
    environment = surroundings(tmp_path, programs(tmp_path / "programs", runner=ours))
    begun = subprocess.run(
        ["runner", "init", "my agents", "--template", "front-desk"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    line = begun.stdout.splitlines()[-1]
    assert line == "Next: cd 'my agents' && runner serve agents/"
    child = subprocess.Popen(
        line.removeprefix("Next: "),
        shell=True,
        env=environment,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    yield child
    os.killpg(child.pid, signal.SIGTERM)
    child.communicate(timeout=20)


async def test_the_command_that_init_prints_serves(beginner: subprocess.Popen[str]) -> None:
    """Who types what `runner init` has printed is at a page with the agent."""
    assert beginner.stdout is not None
    line = await asyncio.wait_for(asyncio.to_thread(beginner.stdout.readline), 20)
    url = f"{line.split()[-1]}agents"
    async with aiohttp.request("GET", url, raise_for_status=True) as answer:
        (agent,) = (await answer.json())["agents"]
    assert (agent["id"], agent["state"], agent["rehearsal"]) == ("front-desk", "serving", True)


async def test_a_studio_that_stops_before_calls_can_be_is_said(
    hosts: Callable[[Host], Host], tmp_path: Path
) -> None:
    """A call that waits for the studio to be ready ends with it, and is told why."""
    host = hosts(a_studio(AGENTS, environment={}, home=tmp_path))
    address = await address_of(host)
    async with aiohttp.ClientSession() as http:
        call = await http.ws_connect(f"{address}call?agent=welcome", origin=address.rstrip("/"))
        host.signal()
        async with asyncio.timeout(15):
            message = await call.receive_json()
            assert message == {"type": "ended", "reason": "the studio was stopped"}
            assert (await call.receive()).data == 1001
    await asyncio.to_thread(host._running.wait, 15)
    assert host.stop() == 0
    assert "Traceback" not in host.stderr
