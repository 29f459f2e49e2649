"""`runner serve`: host a folder of agents on LiveKit, or in the studio."""

import argparse
import asyncio
import sys
from dataclasses import replace
from importlib.util import find_spec

from runner.definition.loader import Loaded, load
from runner.definition.reporters import as_text
from runner.errors import RunnerError

_CLEAN, _DIAGNOSTICS = 0, 1


def serve(options: argparse.Namespace) -> int:
    """Serve the agents of `options.folder` until a signal ends it.

    Options: `folder` (Path), `worker_name` and `log_format` (str or None), `strict`, `check`,
    `poll`, `studio` and `no_open` (bool), `host` (str), `port` (int or None), `status_port`,
    `drain` (seconds), `state` (Path or None), `record_transcripts` (bool), `keep_calls` (days).

    Raises:
        RunnerError: there is nothing to serve, or what it is to be served on is not there.
    """
    loaded = load([options.folder])
    serious = tuple(finding for finding in loaded.diagnostics if finding.level != "note")
    if serious:
        print(as_text(replace(loaded, diagnostics=serious)), file=sys.stderr)
    if loaded.has_errors and (options.check or options.strict):
        return _DIAGNOSTICS
    if options.check:
        return _CLEAN
    return _host(loaded, options)


def _host(loaded: Loaded, options: argparse.Namespace) -> int:
    # Only this command needs any of these, and importing LiveKit takes seconds.
    try:
        import dotenv

        from runner import logs
        from runner.catalog.reload import Reload
        from runner.catalog.store import Store, state_folder
        from runner.host import start

        if find_spec("livekit.agents") is None:
            raise ModuleNotFoundError(name="livekit.agents")
    except ModuleNotFoundError as error:
        raise RunnerError(
            f"{error.name} is not installed; pip install 'voice-runner[serve]'"
        ) from error

    file = dotenv.find_dotenv(usecwd=True)
    try:
        dotenv.load_dotenv(file)
    except (OSError, UnicodeDecodeError) as error:
        raise RunnerError(f"{file} cannot be read ({error}); save it as UTF-8 text") from error
    logs.set_up(options.log_format)
    store = Store(state_folder(options.state))
    agents = Reload(options.folder, store, loaded, poll=options.poll)
    if not agents.serving.catalog.specs:
        return _DIAGNOSTICS
    asyncio.run(start.run(agents, store, options))
    return _CLEAN
