"""The studio without a worker: a host whose only callers are at its page."""

import asyncio
import os
import signal
from collections.abc import Sequence

from runner.catalog.breaker import Breakers
from runner.catalog.records import Records
from runner.catalog.store import Store
from runner.definition.spec import Backend
from runner.host import upkeep
from runner.host.probe import Prober
from runner.host.recording import Recording
from runner.host.studio.server import Agents

_INTERRUPTED = 130


async def stand_by(agents: Agents, store: Store, recording: Recording) -> None:
    """Do what a host does beside its calls, until a signal ends it; a second one does at once."""

    def backends() -> Sequence[Backend]:
        specs = agents.serving.catalog.specs.values()
        return [backend for spec in specs for backend in spec.backends]

    def on_signal() -> None:
        if stop.is_set():
            os._exit(_INTERRUPTED)
        stop.set()

    recording.export(store.state)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    async with upkeep.beside(
        upkeep.keep_records(Records(store.state), recording.days),
        Prober(Breakers(store.state), backends).run(),
    ):
        await stop.wait()
