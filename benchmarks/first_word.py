"""How soon a caller hears an agent of `runner serve`, beside the same agent written by hand.

One livekit-server, one simulated OpenAI, one caller at a time. Each program is started alone
several times in turn, for the time to its registration and for its memory; then both are up and
answer calls in turn, each by explicit dispatch. The medians are compared. Ours keeps two idle
processes ready and the other keeps one; "all, no call" counts them as they are.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from livekit import api

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from rig.caller import Caller
from rig.host import Host
from rig.livekit_server import LiveKitServer
from rig.openai_service import OpenAIService

ROOT = Path(__file__).parent.parent
PROC = Path("/proc")
OURS, PEER = "runner", "hand-written"
TONES = {"realtime": 440.0, "pipeline": 880.0}
QUESTION = "What can you do for me?"
START = "start -> registered"
GREETING = "join -> greeting heard"
ANSWER = "end of speech -> answer heard"
BUSY = 0.1  # of one processor; an idle host takes 0.04


@dataclass(frozen=True)
class Tree:
    """The processes of one host by their role; `others` are small helpers."""

    host: int
    forkserver: list[int]
    jobs: list[int]
    others: list[int]

    @classmethod
    def of(cls, host: Host) -> "Tree":
        """Look at a host's processes of this moment."""
        children = _children(host.pid)
        fork = [pid for pid in children if b"forkserver" in _read(pid, "cmdline")]
        jobs = [job for pid in fork for job in _children(pid)]
        return cls(host.pid, fork, jobs, [pid for pid in children if pid not in fork])

    @property
    def everything(self) -> list[int]:
        """All processes."""
        return [self.host, *self.forkserver, *self.jobs, *self.others]


@dataclass
class Rig:
    """The servers that both programs work with, and what was measured on them so far."""

    server: LiveKitServer
    service: OpenAIService
    folder: Path
    samples: dict[tuple[str, str, str], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def host(self, program: str, kind: str) -> Host:
        """Return one of the two programs, not started yet."""
        environment = {**self.server.environment, **self.service.environment}
        if program == PEER:
            environment["LIVEKIT_AGENT_NAME"] = PEER
            pipeline = kind == "pipeline"
            return Host.hand_written(
                pipeline=pipeline, environment=environment, home=self.folder / PEER
            )
        agents = _agents(self.folder / kind, kind)
        home = self.folder / OURS
        return Host.serve(agents, "--worker-name", OURS, environment=environment, home=home)

    async def close_room(self, room: str) -> None:
        """End a room, and with it the job that answers it."""
        async with api.LiveKitAPI(
            self.server.url, self.server.api_key, self.server.api_secret
        ) as livekit:
            await livekit.room.delete_room(api.DeleteRoomRequest(room=room))

    def keep(self, kind: str, measure: str, program: str, value: float) -> None:
        """Add one sample."""
        self.samples[kind, measure, program].append(value)


def _agents(folder: Path, kind: str) -> Path:
    """Make a folder with the assistant, whose first backend is of this kind."""
    agent = yaml.safe_load((ROOT / "agents" / "assistant.yaml").read_text(encoding="utf-8"))
    if kind == "pipeline":
        agent["backends"].reverse()
    folder.mkdir(exist_ok=True)
    (folder / "assistant.yaml").write_text(yaml.safe_dump(agent), encoding="utf-8")
    return folder


def _read(pid: int, name: str) -> bytes:
    """Read a file of the kernel's about a process; one that has just ended has none."""
    try:
        return (PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""


def _children(pid: int) -> list[int]:
    threads = (PROC / str(pid) / "task").glob("*")
    return [
        int(child) for one in threads for child in _read(pid, f"task/{one.name}/children").split()
    ]


def _pss(pids: list[int]) -> float:
    """Return the processes' share of the memory, in MB."""
    lines = [line for pid in pids for line in _read(pid, "smaps_rollup").splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith(b"Pss:")) / 1024


def _cpu(pids: list[int]) -> float:
    """Return the processor seconds that the processes have used."""
    # The name in brackets may hold anything; user and system time are the 12th and 13th behind it.
    fields = [_read(pid, "stat").rpartition(b")")[2].split()[11:13] for pid in pids]
    return sum(int(ticks) for pair in fields for ticks in pair) / os.sysconf("SC_CLK_TCK")


async def _settled(host: Host, jobs: int | None = None, within: float = 60.0) -> Tree:
    """Wait until a host does next to nothing, with `jobs` job processes (else at least one)."""
    deadline = time.monotonic() + within
    used, since = -1.0, time.monotonic()
    while time.monotonic() < deadline:
        tree = Tree.of(host)
        before, used = used, _cpu(tree.everything)
        passed, since = time.monotonic() - since, time.monotonic()
        enough = tree.jobs if jobs is None else len(tree.jobs) == jobs
        if enough and 0 <= used - before <= BUSY * passed:
            return tree
        await asyncio.sleep(0.5)
    raise TimeoutError(f"still busy after {within} s: {host.stderr[-2000:]}")


@asynccontextmanager
async def _call(rig: Rig, kind: str, program: str) -> AsyncIterator[tuple[float, float]]:
    """Call an agent and ask it something; give the two waits, while the call is still on."""
    caller, room = Caller(), f"assistant-{uuid.uuid4().hex[:8]}"
    hz = TONES[kind]
    try:
        token = rig.server.token(room, caller.identity, agent=program)
        await caller.join(rig.server.url, token)
        greeting = await caller.wait_heard(hz, within=20)
        silent = await caller.wait_silence(0.3)
        _, ended = await caller.say(QUESTION)
        answer = await caller.wait_heard(hz, after=silent + 0.1)
        yield greeting.start, answer.start - ended
        await caller.wait_silence(0.5)
    finally:
        await caller.leave()
        # Ours does it itself, and two deletions at once would leave a new, empty room behind.
        if program == PEER:
            await rig.close_room(room)


async def _start_alone(rig: Rig, kind: str, program: str) -> dict[str, float]:
    """Start a program with nothing else up, measure it idle and in a call, and end it."""
    host = rig.host(program, kind)
    began = time.monotonic()
    host.start()
    try:
        await host.ready()
        values = {f"{START}, s": time.monotonic() - began}
        return values | await _memory(rig, host, kind, program)
    finally:
        host.kill()


async def _starts_in_turn(rig: Rig, kind: str, starts: int) -> None:
    """Start the programs in turn; their first start compiles modules and does not count."""
    for number in range(starts + 1):
        for program in (OURS, PEER):
            values = await _start_alone(rig, kind, program)
            for measure, value in values.items() if number else ():
                rig.keep(kind, measure, program, value)


async def _memory(rig: Rig, host: Host, kind: str, program: str) -> dict[str, float]:
    """Measure the memory of a registered host by role, in MB."""
    idle = await _settled(host)
    values = {
        "host, MB": _pss([idle.host]),
        "forkserver, MB": _pss(idle.forkserver),
        "idle process, MB": _pss(idle.jobs) / len(idle.jobs),
        "all, no call, MB": _pss(idle.everything),
    }
    used = {job: _cpu([job]) for job in idle.jobs}
    async with _call(rig, kind, program):
        # The call is in the process that has worked.
        busy = max(used, key=lambda job: _cpu([job]) - used[job])
        return values | {"process in a call, MB": _pss([busy])}


async def _calls_in_turn(rig: Rig, kind: str, rounds: int) -> None:
    """Let both programs, up at once, answer calls in turn; the first round does not count."""
    hosts = {program: rig.host(program, kind).start() for program in (OURS, PEER)}
    try:
        idle = {program: len((await _settled(host)).jobs) for program, host in hosts.items()}
        for number in range(rounds + 1):
            for program in hosts:
                for other, host in hosts.items():
                    await _settled(host, idle[other])
                async with _call(rig, kind, program) as waits:
                    for measure, value in zip((GREETING, ANSWER), waits, strict=True):
                        if number:
                            rig.keep(kind, f"{measure}, s", program, value)
    finally:
        for host in hosts.values():
            host.kill()


def _rows(rig: Rig) -> list[dict[str, Any]]:
    """Return each measure of both programs, and how ours stands to the other."""
    rows = []
    for kind, measure in dict.fromkeys(key[:2] for key in rig.samples):
        row: dict[str, Any] = {"backend": kind, "measure": measure}
        for program in (OURS, PEER):
            values = rig.samples[kind, measure, program]
            row[program] = {
                "median": statistics.median(values), "min": min(values), "max": max(values)
            }  # fmt: skip
        row["ratio"] = row[OURS]["median"] / row[PEER]["median"]
        rows.append(row)
    return rows


def _print(rows: list[dict[str, Any]]) -> None:
    """Print the table: medians, and least and most in brackets."""
    print(f"{'':<45} {OURS:>24} {PEER:>24} {'ratio':>6}")
    for row in rows:
        cells = [_cell(row[program]) for program in (OURS, PEER)]
        name = f"{row['backend']:<9} {row['measure']}"
        print(f"{name:<45} {cells[0]:>24} {cells[1]:>24} {row['ratio']:>6.2f}")


def _cell(values: dict[str, float]) -> str:
    return "{median:.2f} ({min:.2f}-{max:.2f})".format_map(values)


async def _measure(rounds: int, starts: int) -> list[dict[str, Any]]:
    """Measure everything on servers of our own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with LiveKitServer(folder) as server, OpenAIService(folder) as service:
            service.hears(QUESTION)
            rig = Rig(server, service, folder)
            for kind in TONES:
                await _calls_in_turn(rig, kind, rounds)
                await _starts_in_turn(rig, kind, starts)
        return _rows(rig)


def main() -> None:
    """Print the table and, behind it, the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="calls to each program")
    parser.add_argument("--starts", type=int, default=5, help="starts of each program")
    options = parser.parse_args()
    try:
        rows = asyncio.run(_measure(options.rounds, options.starts))
    except (pytest.skip.Exception, pytest.fail.Exception) as missing:
        sys.exit(str(missing))
    _print(rows)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
