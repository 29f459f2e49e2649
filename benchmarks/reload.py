"""How soon a saved edit serves, and what a host of 1,000 agents costs.

Ours: from the end of the save until a job has been built from it. As soon as the host's log has the
edit the host is offered a room of the agent, as LiveKit does it; the snapshot of the revision with
which it accepts is read from disk by another process, as by a job, and the edit must be in it. Many
offers without a pause would be load, not measure. openrtc: to the report that the pool has the new
class, with its own watcher and coordinator, as `openrtc dev` runs them, if it is installed (`pip
install --no-deps openrtc`). LiveKit's own reload, `lk agent dev`, starts the worker anew after a
save: here the hand-written agent is started, to its registration, without the time that `lk` takes
to notice.
"""

import argparse
import asyncio
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from offers import Offers
from validate import copies

from runner.catalog.store import Store

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from rig.host import Host
from rig.livekit_server import LiveKitServer

MANY = 1000
OURS, OPENRTC, LIVEKIT = "runner", "openrtc", "livekit (restart)"
P50, P99, MEMORY, CPU = 0.050, 0.100, 1.2, 0.02
PEER = """
from livekit.agents import Agent


class Assistant{place}(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="Edit {edit}: you answer the phone.")
"""


def percentile(seconds: Sequence[float], share: float) -> float:
    """Return the smallest value that is not exceeded by a share of all."""
    return sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))]


async def pause() -> None:
    """Let the next save come at no particular moment of a watcher's rhythm."""
    await asyncio.sleep(random.uniform(0.1, 0.2))


async def started(livekit: LiveKitServer | Offers, folder: Path, agents: int) -> Host:
    """Start a host of so many agents."""
    (folder / "agents").mkdir(parents=True)
    copies(folder / "agents", agents)
    home = folder / "home"
    host = Host.serve(folder / "agents", environment=livekit.environment, home=home)
    return await host.start().ready(within=60)


async def cost(host: Host, seconds: float) -> dict[str, float]:
    """Return the host process's memory in MB, and the share of a processor that it takes idle."""
    process = psutil.Process(host.pid)
    await asyncio.sleep(5)
    before = process.cpu_times()
    await asyncio.sleep(seconds)
    after = process.cpu_times()
    memory = process.memory_full_info()
    used = after.user + after.system - before.user - before.system
    return {"pss": memory.pss / 1e6, "uss": memory.uss / 1e6, "cpu": used / seconds}


async def edits(host: Host, offers: Offers, agents: Path, rounds: int) -> list[float]:
    """Save one agent after the other; return the seconds until a job is built from each edit."""
    store, took = Store(host.state), []
    for edit in range(rounds):
        path = agents / f"agent-{random.randrange(MANY)}.yaml"
        text = path.read_text().replace("Find out", f"Edit {edit}. Find out", 1)
        already = sum(line.get("agents") == path.stem for line in host.log)
        waiting = asyncio.create_task(
            host.wait_log("reload", outcome="applied", agents=path.stem, count=already + 1)
        )
        await pause()
        path.write_text(text)
        saved = time.perf_counter()
        await waiting
        spec = store.get(path.stem, await offers.revision(f"{path.stem}-1"))
        took.append(time.perf_counter() - saved)
        assert f"Edit {edit}." in spec.prompt
    return took


async def reloads(folder: Path, rounds: int) -> list[float]:
    """Measure our edits, on a host of its own."""
    async with Offers() as offers:
        host = await started(offers, folder, MANY)
        try:
            return await edits(host, offers, folder / "agents", rounds)
        finally:
            host.kill()


def openrtc_agents(folder: Path) -> dict[str, Any]:
    """Make as many agents for openrtc, and let it find them."""
    folder.mkdir()
    for place in range(MANY):
        (folder / f"agent_{place}.py").write_text(PEER.format(place=place, edit=0))
    pool = import_module("openrtc.core.pool").AgentPool(isolation="coroutine")
    return {one.name: one for one in pool.discover(folder)}


async def openrtc_edits(configs: dict[str, Any], rounds: int) -> list[float]:
    """Save one Python agent after the other; return the seconds until openrtc has each."""
    sessions = import_module("openrtc.reload.session_registry").LiveSessionRegistry()
    coordinator = import_module("openrtc.reload.coordinator").ReloadCoordinator
    watcher = import_module("openrtc.runtime.file_watcher").FileWatcher
    reports: asyncio.Queue[Any] = asyncio.Queue()
    reload = coordinator(configs, sessions, report=reports.put_nowait)
    files = [one.source_path for one in configs.values()]
    watching = watcher(reload.on_change, paths=files)
    await watching.start()
    await asyncio.sleep(2)
    took = []
    for edit in range(1, rounds + 1):
        place = random.randrange(MANY)
        await pause()
        path = next(file for file in files if file.stem == f"agent_{place}")
        path.write_text(PEER.format(place=place, edit=edit))
        saved = time.perf_counter()
        await asyncio.wait_for(reports.get(), 10)
        took.append(time.perf_counter() - saved)
    await watching.stop()
    return took


async def restarts(server: LiveKitServer, home: Path, rounds: int) -> list[float]:
    """Start the hand-written agent; return the seconds until each start is registered."""
    took = []
    for _ in range(rounds):
        begun = time.perf_counter()
        host = Host.hand_written(environment=server.environment, home=home).start()
        await host.ready()
        took.append(time.perf_counter() - begun)
        host.kill()
    return took


async def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """Measure all of it, one after the other."""
    found: dict[str, Any] = {"reload": {}, "host": {}}
    found["reload"][OURS] = await reloads(folder / "edits", rounds)
    with LiveKitServer(folder) as server:
        for agents in (1, MANY):
            host = await started(server, folder / str(agents), agents)
            found["host"][agents] = await cost(host, 10)
            host.kill()
        found["reload"][LIVEKIT] = await restarts(server, folder / "peer", 3)
    if find_spec("openrtc"):
        found["reload"][OPENRTC] = await openrtc_edits(
            openrtc_agents(folder / "openrtc"), min(rounds, 30)
        )
    return found


def show(found: dict[str, Any]) -> bool:
    """Print the tables, what was missed, and all of it as JSON; tell whether the bars are met."""
    print(f"saved -> the next job is built from it, {MANY} agents in the folder")
    print(f"{'':>20} {'n':>5} {'p50':>9} {'p99':>9} {'beside ours':>12}")
    ours = statistics.median(found["reload"][OURS])
    rows = {}
    for name, took in found["reload"].items():
        p50, p99 = percentile(took, 0.5), percentile(took, 0.99)
        rows[name] = {"n": len(took), "p50": p50, "p99": p99, "ratio": p50 / ours}
        times = f"{p50 * 1e3:>6.0f} ms {p99 * 1e3:>6.0f} ms"
        print(f"{name:>20} {len(took):>5} {times} {p50 / ours:>11.1f}x")
    if OPENRTC not in rows:
        print(f"{OPENRTC:>20} not installed: pip install --no-deps openrtc")
    if not shutil.which("lk"):
        print(f"{'lk agent dev':>20} no lk on the PATH: it is a Go program, not a package")
    print(f"\nhost process, idle {'PSS':>12} {'USS':>9} {'CPU':>7}")
    for agents, row in found["host"].items():
        print(f"{agents:>11} agents {row['pss']:>9.1f} MB {row['uss']:>6.1f} MB {row['cpu']:>6.1%}")
    one, many = found["host"].values()
    memory = {kind: many[kind] / one[kind] for kind in ("pss", "uss")}
    print(f"{'ratio':>18} {memory['pss']:>12.2f} {memory['uss']:>9.2f}\n")
    met = verdicts(rows[OURS], memory, found["host"])
    for bar, kept in met.items():
        print(f"{bar}: {'met' if kept else 'missed'}")
    print(json.dumps({"reload": rows, "host": found["host"], "memory": memory, "met": met}))
    return all(met.values())


def verdicts(
    ours: dict[str, float], memory: dict[str, float], hosts: dict[int, dict[str, float]]
) -> dict[str, bool]:
    """Hold what was measured against the bars."""
    return {
        f"p50 <= {P50 * 1e3:.0f} ms": ours["p50"] <= P50,
        f"p99 <= {P99 * 1e3:.0f} ms": ours["p99"] <= P99,
        f"memory <= {MEMORY}x": max(memory.values()) <= MEMORY,
        f"idle CPU <= {CPU:.0%}": max(row["cpu"] for row in hosts.values()) <= CPU,
    }


def main() -> int:
    """Print the tables and, behind them, the same as JSON; return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="edits (default: 200)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        return 0 if show(asyncio.run(measure(Path(name), options.rounds))) else 1


if __name__ == "__main__":
    sys.exit(main())
