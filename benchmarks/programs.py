"""What benchmarks share: `runner serve` and the hand-written session, their processes, a table.

Both answer explicit dispatches to their own names on one livekit-server.
"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livekit import api

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from rig.host import Host
from rig.livekit_server import LiveKitServer

ROOT = Path(__file__).parent.parent
OURS, PEER = "runner", "hand-written"
BUSY = 0.1  # of one processor; an idle host takes 0.02, with the processes that it keeps 0.04
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
    """The processes of one host by their role; `others` are small."""

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


def compared(
    samples: Mapping[tuple[str, str, str], Sequence[float]], pair: tuple[str, str]
) -> list[dict[str, Any]]:
    """Return each measure (backend, measure, one of the pair), and how the first stands."""
    rows = []
    for kind, measure in dict.fromkeys(key[:2] for key in samples):
        row: dict[str, Any] = {"backend": kind, "measure": measure}
        for one in pair:
            row[one] = spread(samples[kind, measure, one])
        row["ratio"] = row[pair[0]]["median"] / row[pair[1]]["median"]
        rows.append(row)
    return rows


def show(rows: Sequence[dict[str, Any]], pair: tuple[str, str]) -> None:
    """Print the table: medians, and least and most in brackets."""
    print(f"{'':<45} {pair[0]:>24} {pair[1]:>24} {'ratio':>6}")
    for row in rows:
        cells = [cell(row[one]) for one in pair]
        name = f"{row['backend']:<9} {row['measure']}"
        print(f"{name:<45} {cells[0]:>24} {cells[1]:>24} {row['ratio']:>6.2f}")


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
