"""Agents and calls as the page shows them: plain values, with no key among them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from runner.catalog.backends import parts
from runner.catalog.records import CallRecord
from runner.catalog.serving import Serving, Standing
from runner.definition import prompt
from runner.definition.prompt import RenderError
from runner.definition.reporters import with_caret
from runner.definition.spec import (
    AgentSpec,
    AnnouncementBackend,
    Backend,
    Greeting,
    Part,
    RehearsalBackend,
)
from runner.voice import rehearsal

#: Where a call is, by its `because`; any other is one of LiveKit's.
_PLACES = {"studio": "studio", "chat": "terminal"}


def agents(serving: Serving) -> dict[str, Any]:
    """Return the event `agents`: all that the page shows of them."""
    specs = serving.catalog.specs
    missing = {id_: rehearsal.missing_keys(spec) for id_, spec in specs.items()}
    return {
        "type": "agents",
        "mode": "rehearsal" if missing and all(missing.values()) else "live",
        "line": rehearsed(specs.values()),
        "agents": [
            _standing(standing)
            | (_agent(specs[standing.id]) if standing.id in specs else _NOTHING)
            | {"rehearsal": bool(missing.get(standing.id))}
            for standing in serving.agents.values()
        ],
    }


def rehearsed(specs: Iterable[AgentSpec]) -> str:
    """Return the one line about the agents that no key is there for; empty if there are none."""
    names = sorted({name for spec in specs for name in rehearsal.missing_keys(spec)})
    if not names:
        return ""
    verb = "is" if len(names) == 1 else "are"
    return f"{' and '.join(names)} {verb} not set: agents are rehearsed, not run"


def calls(records: Iterable[CallRecord]) -> dict[str, Any]:
    """Return the event `calls`."""
    return {"type": "calls", "calls": [_call(record) for record in records]}


def _standing(standing: Standing) -> dict[str, Any]:
    rejected = standing.rejected
    since = standing.since
    if since is None and rejected is not None:
        since = rejected.since
    return {
        "id": _text(standing.id),
        "name": _text(standing.name),
        "file": _text(standing.path),
        "state": standing.state,
        "since": None if since is None else _utc(since),
        "revision": standing.digest,
        "findings": [
            with_caret(finding)
            for finding in sorted(rejected.diagnostics if rejected else standing.warnings)
        ],
    }


_NOTHING: dict[str, Any] = {
    "description": "",
    "prompt": "",
    "greeting": "",
    "generated": False,
    "voice": "",
    "temperature": "",
    "backends": [],
    "tools": [],
}


def _agent(spec: AgentSpec) -> dict[str, Any]:
    names = prompt.template_names(spec)
    try:
        instructions, greeting = prompt.instructions(spec, names), prompt.greeting(spec, names)
    except RenderError as error:
        # They could be when the file was checked; what they say of `now` may have changed that.
        instructions, greeting = f"This cannot be rendered now: {error}", Greeting()
    return {
        "description": spec.description,
        "prompt": instructions,
        "greeting": greeting.generate or greeting.say or "",
        "generated": greeting.generate is not None,
        "voice": spec.voice,
        "temperature": f"{spec.temperature:g} %",
        "backends": [_backend(backend) for backend in spec.backends],
        "tools": [
            {"name": t.name, "description": t.description, "parameters": t.parameters}
            for t in spec.tools
        ],
    }


def _backend(backend: Backend) -> dict[str, str]:
    if isinstance(backend, AnnouncementBackend):
        then = f"transfers to {backend.transfer}" if backend.transfer else "hangs up"
        about = f"says “{backend.say}”, then {then}"
    else:
        voice = [] if isinstance(backend, RehearsalBackend) else [f"voice {backend.voice}"]
        about = ", ".join([*map(_part, parts(backend)), *voice])
    return {"name": backend.name, "kind": backend.kind, "about": about}


def _part(part: Part) -> str:
    if part.base_url is None:
        return part.model
    # Without the user and the password that may stand in an address.
    return f"{part.model} at {urlsplit(part.base_url).netloc.rpartition('@')[2]}"


def _call(record: CallRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "agent": record.agent,
        "revision": record.revision,
        "room": record.room,
        "began": record.began,
        "backend": record.carrier.name if record.carrier else None,
        "where": _PLACES.get(record.because, "livekit"),
    }


def _text(name: str) -> str:
    """Replace the bytes of a file's name that are no text: no browser makes an address of them."""
    return name.encode(errors="replace").decode()


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")[:-6] + "Z"
