"""`runner route`: say which agent would answer a room, and why."""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace

from runner.catalog.catalog import ByNumber, Catalog, NoRoute, RoomRequest, Route
from runner.definition.loader import Loaded, load
from runner.definition.reporters import as_text


def route(options: argparse.Namespace) -> int:
    """Print who of `options.folder` answers a call, as the host would choose; return 1 if nobody.

    Options: `room` and `metadata` (str, that of a dispatch), `number` (str or None: the one that
    was called), `folder` (Path).

    Raises:
        RunnerError: there is no such folder, or no agent file in it.
    """
    loaded = load([options.folder])
    _print_errors(loaded)
    catalog = Catalog(loaded.specs, loaded.files)
    request = RoomRequest(
        room=options.room, dispatch_metadata=options.metadata, number=options.number
    )
    routes = [catalog.route(request)]
    if isinstance(routes[0], ByNumber):
        routes.insert(0, catalog.route(replace(request, number="")))
    print("\n".join(line for one in routes for line in _lines(one)))
    return 0 if isinstance(routes[0], Route) else 1


def _print_errors(loaded: Loaded) -> None:
    """Say why an agent is not among those that answer."""
    errors = tuple(finding for finding in loaded.diagnostics if finding.level == "error")
    if errors:
        print(as_text(replace(loaded, diagnostics=errors)), file=sys.stderr)
        print("a running host may still serve the last good revision", file=sys.stderr)


def _lines(route: Route | ByNumber | NoRoute) -> Iterator[str]:
    match route:
        case Route():
            yield f"{route.spec.id} ({route.spec.name}) answers: {route.because}"
            for name, value in sorted(route.variables.items()):
                yield f"  {name} = {json.dumps(value)}"
            yield from (f"ignored: {reason}" for reason in route.ignored)
        case NoRoute():
            yield f"nobody answers: looked for {route.looked_for}"
        case ByNumber():
            yield "a phone call goes by the number that was called: --number NUMBER says where"
