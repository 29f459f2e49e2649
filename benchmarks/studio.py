"""How soon a person hears an agent in the studio, beside the same agent in a LiveKit room.

One host, `runner serve --studio`, one simulated OpenAI, one call at a time: in turn from a room of
a livekit-server and from the page in Chromium. The page is heard where its audio graph ends, and
its microphone plays a recording; no sound card is in it, nor in the caller in the room, who speaks
and hears in this process. Speech ends with its recording, whose last 0.28 s are quiet: differences
mean more than ratios. Before, the studio is started alone, to the moment at which its page is
there.

Each bar is met or missed, and the exit status is 1 if any is missed: a page waits no longer than a
room, in the median, and is there within 2 s of every start but the first, which compiles.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from first_word import ANSWER, QUESTION, TONES, assistant, waits
from host.studio import a_studio, address_of
from programs import OURS, cell, compared, settled, show, spread
from rig.browser import Visits
from rig.caller import Caller
from rig.host import Host
from rig.livekit_server import LiveKitServer
from rig.openai_service import OpenAIService
from visitor import Visitor, chromium

STUDIO, ROOM = ENDS = "studio", "room"
GREETING = "click or join -> greeting heard"
BAR = 2.0  # seconds from `runner serve` to the page


@dataclass
class Bench:
    """The servers, the host on them at which both ends call, and what was measured so far."""

    server: LiveKitServer
    host: Host
    visits: Visits
    samples: dict[tuple[str, str, str], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )

    async def call(self, kind: str, end: str) -> tuple[float, float]:
        """Call the agent of this kind from one end, and ask it something; return the two waits."""
        caller = await (self._visitor(kind) if end == STUDIO else self._in_a_room(kind))
        try:
            both = await waits(caller, TONES[kind])
            await caller.wait_silence(0.5)
            return both
        finally:
            await caller.leave()

    async def _visitor(self, kind: str) -> Visitor:
        visitor = Visitor(self.visits)
        await visitor.call(kind)
        return visitor

    async def _in_a_room(self, kind: str) -> Caller:
        caller, room = Caller(), f"{kind}-{uuid.uuid4().hex[:8]}"
        token = self.server.token(room, caller.identity, agent=OURS)
        await caller.join(self.server.url, token)
        return caller


def _agents(folder: Path) -> Path:
    """Make a folder with the assistant on either kind of backend."""
    folder.mkdir()
    for kind in TONES:
        agent = {**assistant(kind), "answers": {"rooms": [f"{kind}-*"]}}
        (folder / f"{kind}.yaml").write_text(yaml.safe_dump(agent), encoding="utf-8")
    return folder


async def _start(host: Host) -> float:
    """Start a studio, fetch its page, and end it; return how long the page took, in seconds."""
    began = time.monotonic()
    host.start()
    try:
        address = await address_of(host)
        async with aiohttp.request("GET", address, raise_for_status=True) as page:
            await page.read()
        return time.monotonic() - began
    finally:
        host.kill()


async def _starts(
    agents: Path, environment: dict[str, str], home: Path, rounds: int
) -> list[float]:
    """Start the studio alone, again and again; the first start compiles and does not count."""
    took = [
        await _start(a_studio(agents, environment=environment, home=home))
        for _ in range(rounds + 1)
    ]
    return took[1:]


async def _calls_in_turn(bench: Bench, rounds: int) -> None:
    """Call from both ends in turn; the first round does not count."""
    idle = len((await settled(bench.host)).jobs)
    for number in range(rounds + 1):
        for kind in TONES:
            for end in ENDS:
                await settled(bench.host, idle)
                both = await bench.call(kind, end)
                for measure, value in zip((GREETING, ANSWER), both, strict=True):
                    if number:
                        bench.samples[kind, f"{measure}, s", end].append(value)


async def _measure(folder: Path, rounds: int) -> dict[str, Any]:
    """Measure everything on servers of our own."""
    agents = _agents(folder / "agents")
    with LiveKitServer(folder) as server, OpenAIService(folder) as service:
        service.hears(QUESTION)
        starts = await _starts(agents, service.environment, folder / "alone", rounds)
        environment = {**server.environment, **service.environment}
        options = ("--worker-name", OURS, "--studio", "--port", "0")
        host = Host.serve(agents, *options, environment=environment, home=folder / "both").start()
        try:
            await host.ready()
            address = await address_of(host)
            async with chromium(folder, QUESTION) as running, Visits(running, address) as visits:
                bench = Bench(server, host, visits)
                await _calls_in_turn(bench, rounds)
        finally:
            host.kill()
    rows = compared(bench.samples, ENDS)
    return {"calls": rows, "start": spread(starts), "bars": _bars(rows, starts)}


def _bars(rows: list[dict[str, Any]], starts: list[float]) -> dict[str, bool]:
    """Return whether each bar is met, by its name."""
    waits = {
        f"{row['backend']}, {row['measure'].removesuffix(', s')}: no later than in the room": (
            row["ratio"] <= 1
        )
        for row in rows
    }
    return waits | {f"runner serve -> its page is there: within {BAR:.0f} s": max(starts) <= BAR}


def main() -> None:
    """Print the table, the bars and, behind them, the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="calls of each kind from each end")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as name:
            found = asyncio.run(_measure(Path(name), options.rounds))
    except (pytest.skip.Exception, pytest.fail.Exception) as missing:
        sys.exit(str(missing))
    show(found["calls"], ENDS)
    print(f"{'runner serve -> its page is there, s':<45} {cell(found['start']):>24}")
    for bar, is_met in found["bars"].items():
        print(f"{'met' if is_met else 'missed':<7} {bar}")
    print(json.dumps(found))
    sys.exit(not all(found["bars"].values()))


if __name__ == "__main__":
    main()
