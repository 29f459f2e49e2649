"""How soon a caller hears an agent of `runner serve`, beside the same agent written by hand.

One livekit-server, one simulated OpenAI, one caller at a time. Each program is started alone
several times in turn, for the time to its registration and for its memory; then both are up and
answer calls in turn, each by explicit dispatch. The medians are compared. Ours keeps two idle
processes ready and the other keeps one; "all, no call" counts them as they are.
"""

import argparse
import asyncio
import json
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

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from programs import (
    OURS,
    PEER,
    ROOT,
    close_room,
    compared,
    memory,
    ours,
    peer,
    settled,
    show,
    worked,
)
from rig.caller import Caller
from rig.host import Host
from rig.livekit_server import LiveKitServer
from rig.openai_service import OpenAIService
from visitor import Visitor

TONES = {"realtime": 440.0, "pipeline": 880.0}
QUESTION = "What can you do for me?"
START = "start -> registered"
GREETING = "join -> greeting heard"
ANSWER = "end of speech -> answer heard"


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
            return peer(environment, self.folder / PEER, pipeline=kind == "pipeline")
        return ours(_agents(self.folder / kind, kind), environment, self.folder / OURS)

    def keep(self, kind: str, measure: str, program: str, value: float) -> None:
        """Add one sample."""
        self.samples[kind, measure, program].append(value)


def assistant(kind: str) -> dict[str, Any]:
    """Return what the assistant's file says, with a first backend of this kind."""
    agent: dict[str, Any] = yaml.safe_load(
        (ROOT / "agents" / "assistant.yaml").read_text(encoding="utf-8")
    )
    if kind == "pipeline":
        agent["backends"].reverse()
    return agent


async def waits(caller: Caller | Visitor, hz: float) -> tuple[float, float]:
    """Be greeted, and ask something; return how long either took to be heard, in seconds."""
    greeting = await caller.wait_heard(hz, within=20)
    silent = await caller.wait_silence(0.3)
    _, ended = await caller.say(QUESTION)
    answer = await caller.wait_heard(hz, after=silent + 0.1)
    return greeting.start, answer.start - ended


def _agents(folder: Path, kind: str) -> Path:
    """Make a folder with the assistant alone."""
    folder.mkdir(exist_ok=True)
    (folder / "assistant.yaml").write_text(yaml.safe_dump(assistant(kind)), encoding="utf-8")
    return folder


@asynccontextmanager
async def _call(rig: Rig, kind: str, program: str) -> AsyncIterator[tuple[float, float]]:
    """Call an agent and ask it something; give the two waits, while the call is still on."""
    caller, room = Caller(), f"assistant-{uuid.uuid4().hex[:8]}"
    try:
        token = rig.server.token(room, caller.identity, agent=program)
        await caller.join(rig.server.url, token)
        yield await waits(caller, TONES[kind])
        await caller.wait_silence(0.5)
    finally:
        await caller.leave()
        # Ours does it itself, and two deletions at once would leave a new, empty room behind.
        if program == PEER:
            await close_room(rig.server, room)


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
    idle = await settled(host)
    values = {
        "host, MB": memory([idle.host]),
        "forkserver, MB": memory(idle.forkserver),
        "idle process, MB": memory(idle.jobs) / len(idle.jobs),
        "all, no call, MB": memory(idle.everything),
    }
    used = {job: worked([job]) for job in idle.jobs}
    async with _call(rig, kind, program):
        # The call is in the process that has worked.
        busy = max(used, key=lambda job: worked([job]) - used[job])
        return values | {"process in a call, MB": memory([busy])}


async def _calls_in_turn(rig: Rig, kind: str, rounds: int) -> None:
    """Let both programs, up at once, answer calls in turn; the first round does not count."""
    hosts = {program: rig.host(program, kind).start() for program in (OURS, PEER)}
    try:
        idle = {program: len((await settled(host)).jobs) for program, host in hosts.items()}
        for number in range(rounds + 1):
            for program in hosts:
                for other, host in hosts.items():
                    await settled(host, idle[other])
                async with _call(rig, kind, program) as waits:
                    for measure, value in zip((GREETING, ANSWER), waits, strict=True):
                        if number:
                            rig.keep(kind, f"{measure}, s", program, value)
    finally:
        for host in hosts.values():
            host.kill()


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
        return compared(rig.samples, (OURS, PEER))


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
    show(rows, (OURS, PEER))
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
