"""The two programs that benchmarks compare, `runner serve` and the hand-written session.

Both answer explicit dispatches to their own names on one livekit-server.
"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from livekit import api

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from rig.host import Host
from rig.livekit_server import LiveKitServer

ROOT = Path(__file__).parent.parent
OURS, PEER = "runner", "hand-written"
BUSY = 0.1  # of one processor; an idle host takes 0.04
_PROC = Path("/proc")


def ours(agents: Path, environment: dict[str, str], home: Path) -> Host:
    """Return `runner serve` for a folder of agents, not started yet."""
    return Host.serve(agents, "--worker-name", OURS, environment=environment, home=home)


def peer(environment: dict[str, str], home: Path, *, pipeline: bool) -> Host:
    """Return the hand-written session on one kind of backend, not started yet."""
    named = {**environment, "LIVEKIT_AGENT_NAME": PEER}
    return Host.hand_written(pipeline=pipeline, environment=named, home=home)


async def close_room(server: LiveKitServer, room: str) -> None:
    """End a room, and with it the job that answers it."""
    async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as livekit:
        await livekit.room.delete_room(api.DeleteRoomRequest(room=room))


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


def memory(pids: list[int]) -> float:
    """Return the processes' share of the memory (PSS), in MB."""
    lines = [line for pid in pids for line in _read(pid, "smaps_rollup").splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith(b"Pss:")) / 1024


def worked(pids: list[int]) -> float:
    """Return the processor seconds that the processes have used."""
    # The name in brackets may hold anything; user and system time are the 12th and 13th behind it.
    fields = [_read(pid, "stat").rpartition(b")")[2].split()[11:13] for pid in pids]
    return sum(int(ticks) for pair in fields for ticks in pair) / os.sysconf("SC_CLK_TCK")


async def settled(host: Host, jobs: int | None = None, within: float = 60.0) -> Tree:
    """Wait until a host does next to nothing, with `jobs` job processes (else at least one)."""
    deadline = time.monotonic() + within
    used, since = -1.0, time.monotonic()
    while time.monotonic() < deadline:
        tree = Tree.of(host)
        before, used = used, worked(tree.everything)
        passed, since = time.monotonic() - since, time.monotonic()
        enough = tree.jobs if jobs is None else len(tree.jobs) == jobs
        if enough and 0 <= used - before <= BUSY * passed:
            return tree
        await asyncio.sleep(0.5)
    raise TimeoutError(f"still busy after {within} s: {host.stderr[-2000:]}")


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the least and the most."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def cell(values: dict[str, float]) -> str:
    """Write a spread: least and most in brackets."""
    return "{median:.2f} ({min:.2f}-{max:.2f})".format_map(values)


def _read(pid: int, name: str) -> bytes:
    """Read a file of the kernel's about a process; one that has just ended has none."""
    try:
        return (_PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""


def _children(pid: int) -> list[int]:
    threads = (_PROC / str(pid) / "task").glob("*")
    return [
        int(child) for one in threads for child in _read(pid, f"task/{one.name}/children").split()
    ]
