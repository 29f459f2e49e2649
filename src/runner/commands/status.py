"""`runner status`: say which hosts run on a state folder, and how their agents stand."""

import argparse
import http.client
import json
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.commands.columns import columns, printable, to_the_second
from runner.definition.diagnostics import diagnostic_from_json
from runner.errors import RunnerError

if TYPE_CHECKING:
    from runner.catalog.hosts import Listing
    from runner.catalog.ledger import Entry

_HEADS = ("agent", "revision", "since", "state")
_STATES = {"serving": "serving", "last_good": "last good", "broken": "broken"}
#: A host that lives answers in milliseconds.
_PATIENCE = 2.0

Report = Mapping[str, Any]


def status(options: argparse.Namespace) -> int:
    """Print what every running host says of itself; return 1 if there is none.

    With `options.ready` return 0 only if one of them takes new calls. Options: `state` (Path or
    None), `ready` (bool), `format` (text or json).

    Raises:
        RunnerError: the state folder cannot be read.
    """
    state = _state(options.state)
    running, unread = _listed(state)
    reports = list(map(_report, running))
    if options.format == "json":
        entries = {name: list(_plain(agents)) for name, agents in _remembered(state).items()}
        shown = {"state": str(state), "hosts": reports, "remembered": entries}
        print(json.dumps(shown, indent=2))
    elif reports:
        print("\n".join(line for report in reports for line in _host(report)))
    else:
        print("\n".join(_nobody(state, "no other host" if unread else "no host")))
    good = [report["host"]["ready"] if options.ready else "agents" in report for report in reports]
    return 0 if any(good) else 1


def _state(chosen: Path | None) -> Path:
    try:
        from runner.catalog.store import state_folder
    except ModuleNotFoundError as error:
        raise RunnerError(
            f"{error.name} is not installed; pip install 'voice-runner[serve]'"
        ) from error
    return state_folder(chosen)


def _listed(state: Path) -> "tuple[list[Listing], list[str]]":
    """Return the hosts that run, and say which cannot be read."""
    from runner.catalog.hosts import Hosts

    running, unread = Hosts(state).running()
    _complain(unread)
    return running, unread


def _report(host: "Listing") -> Report:
    if host.machine != socket.gethostname():
        report: Report = _silent(host, "it is in another container, or on another machine")
    else:
        report = _asked(host) or _silent(host, "it does not answer")
    if not _is_known({"port": host.port, **report}):
        report = _silent(host, "it is of another version of voice-runner")
    return {"port": host.port, **report}


def _is_known(report: Report) -> bool:
    """Tell whether a report can be shown: a host of another version may have other keys."""
    try:
        list(_host(report))
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return True


def _asked(host: "Listing") -> Report | None:
    """Return what a host says of itself; None if it says nothing."""
    # Not urllib, which may ask a proxy.
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/status")
        report: Report = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    match report:
        # The port may have gone to somebody else meanwhile.
        case {"host": {"pid": host.pid}, "agents": _}:
            return report
    return None


def _silent(host: "Listing", trouble: str) -> dict[str, Any]:
    known = {"machine": host.machine, "pid": host.pid, "started": host.started}
    return {"host": known | {"ready": False, "trouble": trouble}}


def _host(report: Report) -> Iterator[str]:
    host = report["host"]
    ready = "ready" if host["ready"] else f"not ready: {host['trouble']}"
    yield f"host {host['pid']} on {host['machine']}, {ready}"
    yield f"  started   {to_the_second(host['started'])}"
    if "agents" not in report:
        return
    yield f"  version   {host['version']}"
    yield f"  livekit   {_livekit(host)}"
    yield f"  folder    {printable(host['folder'])}"
    yield f"  status    http://127.0.0.1:{report['port']}/"
    if report["last_reload"]:
        yield f"  reload    {_reload(report['last_reload'])}"
    yield f"  calls     {sum(counted['calls'] for counted in report['calls'])}"
    yield from (f"    {line}" for line in _calls(report["calls"]))
    yield from (f"  {line}" for line in _table(report["agents"]))
    for agent in report["agents"]:
        yield from (f"  {line}" for line in _rejected(agent))


def _livekit(host: Report) -> str:
    worker = f" as {host['worker']}" if host["worker"] else ""
    return f"{host['livekit']}{worker}" if host["livekit"] else "none: calls come from the studio"


def _reload(last: Report) -> str:
    took = f"{last['outcome']} in {last['seconds']:.3f} s, {to_the_second(last['at'])}"
    changed = {"changed": last["agents"], "rejected": last["rejected"]}
    named = [f"; {name} {', '.join(ids)}" for name, ids in changed.items() if ids]
    trouble = f"; {last['trouble']}" if last["trouble"] else ""
    return printable("".join([took, *named, trouble]))


def _calls(counted: Sequence[Report]) -> Iterator[str]:
    for one in counted:
        agent = f"{one['agent']} at {one['revision']}" if one["agent"] else "not known yet"
        yield printable(f"{one['calls']} {agent}")


def _table(agents: Sequence[Report]) -> Iterator[str]:
    rows = [
        (
            printable(agent["id"]),
            agent["revision"] or "",
            to_the_second(agent["since"]) if agent["since"] else "",
            _STATES[agent["state"]],
        )
        for agent in agents
    ]
    return columns([_HEADS, *rows])


def _rejected(agent: Report) -> Iterator[str]:
    if rejected := agent["rejected"]:
        since = to_the_second(rejected["since"])
        yield f"{printable(agent['path'])} is refused since {since}"
        for finding in rejected.get("diagnostics", ()):
            yield f"  {diagnostic_from_json(finding).headline}"


def _nobody(state: Path, subject: str) -> Iterator[str]:
    """Say that no host runs, and what served when the last one did."""
    yield f"{subject} runs on {state}"
    for folder, agents in _remembered(state).items():
        yield f"last served from {printable(folder)}:"
        stood = list(_plain(agents))
        yield from (f"  {line}" for line in _table(stood))
        for agent in stood:
            yield from (f"  {line}" for line in _rejected(agent))


def _remembered(state: Path) -> "dict[str, dict[str, Entry]]":
    from runner.catalog.ledger import remembered

    found, unread = remembered(state)
    _complain(unread)
    return found


def _complain(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        print(f"runner: {sentence}", file=sys.stderr)


def _plain(agents: "Mapping[str, Entry]") -> Iterator[dict[str, Any]]:
    from runner.catalog.records import utc
    from runner.catalog.serving import state

    for path, entry in agents.items():
        yield {
            "id": entry.id,
            "path": path,
            "state": state(entry.digest, entry.rejected),
            "revision": entry.digest,
            "since": entry.since and utc(entry.since),
            "rejected": entry.rejected and {"since": utc(entry.rejected)},
        }
