"""The studio without a worker: a host whose only callers are at its page."""

import asyncio
import os
import signal

from runner.catalog.reload import Reload
from runner.catalog.store import Store
from runner.host import chores
from runner.host.recording import Recording

_INTERRUPTED = 130


async def stand_by(agents: Reload, store: Store, recording: Recording) -> None:
    """Do what a host does beside its calls, until a signal ends it; a second one does at once."""
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(_INTERRUPTED)
        stop.set()

    recording.export(store.state)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    async with chores.done(agents, store, keep_calls=recording.days):
        await stop.wait()
