"""What `runner serve` starts: a worker on LiveKit, the studio, or both."""

import argparse
import logging
import os
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from runner.catalog.reload import Reload
from runner.catalog.store import Store
from runner.host.recording import Recording
from runner.host.status import Status, served
from runner.host.studio import alone, shown
from runner.host.studio.server import Studio

_log = logging.getLogger(__name__)


async def run(agents: Reload, store: Store, options: argparse.Namespace) -> None:
    """Serve `agents` as the environment and the options of `runner serve` want it, until a signal.

    Raises:
        RunnerError: LiveKit cannot be used, or there is no port for the studio.
    """
    recording = Recording(days=options.keep_calls, transcripts=options.record_transcripts)
    studio = Studio(agents, store.state, host=options.host, port=options.port)
    if is_on_livekit():
        await _on_livekit(agents, store, options, studio, recording)
        return
    _log.info("LIVEKIT_URL is not set: no calls from LiveKit")
    status = Status(agents=agents, state=store.state, in_studio=studio.calls)
    async with served(status, options.status_port), _open(studio, agents, options):
        await alone.stand_by(agents, store, recording)


async def _on_livekit(
    agents: Reload, store: Store, options: argparse.Namespace, studio: Studio, recording: Recording
) -> None:
    from runner.host import access
    from runner.host.worker import Worker

    worker = Worker(
        agents,
        store,
        access.from_environment(),
        name=options.worker_name or "",
        drain=options.drain,
        status_port=options.status_port,
        recording=recording,
        in_studio=studio.calls,
    )
    if not options.studio:
        await worker.run()
        return
    async with _open(studio, agents, options):
        await worker.run()


def is_on_livekit(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether the environment names a LiveKit server."""
    return bool(environment.get("LIVEKIT_URL"))


@asynccontextmanager
async def _open(studio: Studio, agents: Reload, options: argparse.Namespace) -> AsyncIterator[None]:
    async with studio.serve() as address:
        print(f"the studio is at {address}")
        specs = agents.serving.catalog.specs.values()
        if sentence := shown.rehearsed(specs):
            print(sentence)
        sys.stdout.flush()
        if not options.no_open and _is_on_a_desktop():
            # Some browsers return only when they are closed.
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        yield


def _is_on_a_desktop() -> bool:
    has_screen = sys.platform in ("darwin", "win32") or any(
        map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))
    )
    return has_screen and sys.stdin.isatty() and sys.stdout.isatty()
