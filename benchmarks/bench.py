"""What `failover.py` calls: both programs on one livekit-server and one simulated OpenAI."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from faults import Case, write_agents
from programs import OURS, PEER, ours, peer, settled
from rig.host import Host
from rig.livekit_server import LiveKitServer
from rig.openai_service import OpenAIService


@dataclass
class Bench:
    """The servers, and both programs on them; the hand-written one changes with the fault."""

    server: LiveKitServer
    service: OpenAIService
    folder: Path
    runner: Host
    _learnt: dict[str, bytes] = field(default_factory=dict)
    _peer: Host | None = None
    _peer_for: object = None

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path) -> AsyncIterator["Bench"]:
        """Start the servers and `runner serve`."""
        with LiveKitServer(folder) as server, OpenAIService(folder) as service:
            environment = {**server.environment, **service.environment}
            host = ours(write_agents(folder / "agents"), environment, folder / OURS)
            bench = cls(server, service, folder, host)
            try:
                await host.start().ready()
                yield bench
            finally:
                host.kill()
                bench._end_peer()

    async def rest(self, program: str, case: Case) -> None:
        """Have a program up that can meet a fault, and all at rest."""
        if program == PEER and (self._peer is None or self._peer_for != _wanted(case)):
            await self._start_peer(case)
        await asyncio.gather(*map(settled, filter(None, (self.runner, self._peer))))

    def learn(self) -> None:
        """Keep what `runner serve` has found out about its backends, for `remember`."""
        files = (self.runner.state / "backends").glob("*.json")
        self._learnt = {file.name: file.read_bytes() for file in files}

    def remember(self, case: Case) -> None:
        """Let `runner serve` know of no failure but those that are to be passed over."""
        folder = self.runner.state / "backends"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, content in self._learnt.items() if case.passed_over else ():
            (folder / name).write_bytes(content)

    async def _start_peer(self, case: Case) -> None:
        self._end_peer()
        environment = {**self.server.environment, **self.service.environment}
        environment |= dict(case.environment)
        environment = {name: value for name, value in environment.items() if value}
        self._peer = peer(environment, self.folder / PEER, pipeline=case.pipeline)
        self._peer_for = _wanted(case)
        await self._peer.start().ready()

    def _end_peer(self) -> None:
        if self._peer is not None:
            self._peer.kill()


def _wanted(case: Case) -> object:
    return case.pipeline, case.environment
