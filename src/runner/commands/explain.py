"""`runner explain`: show what an agent's file comes to, as the models will see it."""

import argparse
import json
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

from runner.catalog import variables
from runner.catalog.catalog import Catalog, RoomRequest, Route
from runner.commands import named
from runner.definition import prompt
from runner.definition.diagnostics import near_miss
from runner.definition.kinds import llm_takes_temperature, llm_temperature, realtime_temperature
from runner.definition.loader import load
from runner.definition.reporters import as_text
from runner.definition.source import plain_value
from runner.definition.spec import (
    AgentSpec,
    AnnouncementBackend,
    Backend,
    Part,
    PipelineBackend,
    RealtimeBackend,
    RehearsalBackend,
)
from runner.errors import RunnerError


def explain(options: argparse.Namespace) -> int:
    """Print one agent as a call would have it; return 1 if its file has errors.

    Raises:
        RunnerError: there is no such agent, or a variable was set that it does not have.
    """
    loaded = load([named.file_of(options.agent)])
    if loaded.has_errors:
        print(as_text(loaded), file=sys.stderr)
        return 1
    spec = next(iter(loaded.specs.values()))
    called = _variables(spec, options.room, options.assignments)
    names = prompt.template_names(
        spec, variables=called, room=prompt.RoomNames(options.room), caller=prompt.CallerNames()
    )
    record = _record(spec, names)
    print(json.dumps(record, indent=2) if options.format == "json" else _as_text(record))
    return 0


def _variables(spec: AgentSpec, room: str, assignments: list[str]) -> Mapping[str, Any]:
    route = Catalog({spec.id: spec}, files=1).route(RoomRequest(room=room, number=""))
    given = dict(route.variables) if isinstance(route, Route) else {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or name not in spec.variables:
            close = near_miss(name, spec.variables)
            hint = f"; did you mean '{close}'?" if close else ""
            raise RunnerError(f"--set takes NAME=VALUE with a variable of the agent{hint}")
        given[name] = value if isinstance(spec.variables[name], str) else plain_value(value)
    accepted = variables.accept(spec.variables, given)
    if accepted.refused:
        raise RunnerError(f"--set: {'; '.join(accepted.refused)}")
    return accepted.values


def _record(spec: AgentSpec, names: prompt.Names) -> dict[str, Any]:
    greeting = prompt.greeting(spec, names)
    return {
        "agent": spec.id,
        "name": spec.name,
        "revision": spec.digest,
        "rooms": list(spec.answers.rooms),
        "numbers": list(spec.answers.numbers),
        "variables": {name: names[name] for name in spec.variables},
        "remote": _remote(spec, names),
        "instructions": prompt.instructions(spec, names),
        "greeting": {"say": greeting.say, "generate": greeting.generate},
        "backends": [_backend(backend) for backend in spec.backends],
        "tools": [
            {"name": t.name, "description": t.description, "parameters": t.parameters}
            for t in spec.tools
        ],
    }


def _remote(spec: AgentSpec, names: prompt.Names) -> dict[str, Any] | None:
    if spec.remote is None:
        return None
    try:
        url = prompt.url(spec, spec.remote.url, names)
    except prompt.RenderError:
        # Without a room its name is empty.
        url = spec.remote.url
    return {
        "url": url,
        "key": f"from {spec.remote.api_key_env}" if spec.remote.api_key_env else "none",
        "timeout": spec.remote.timeout,
        "fields": dict(spec.remote.fields),
    }


def _backend(backend: Backend) -> dict[str, Any]:
    common = {
        "name": backend.name,
        "kind": backend.kind,
        "first_audio_timeout": backend.first_audio_timeout,
    }
    match backend:
        case RealtimeBackend():
            part = Part(
                model=backend.model, base_url=backend.base_url, api_key_env=backend.api_key_env
            )
            converted = realtime_temperature(backend.temperature)
            speech = {"voice": backend.voice, "model": _part(part)}
            return common | speech | _temperature(backend.temperature, converted, sent=False)
        case PipelineBackend():
            converted = llm_temperature(backend.temperature)
            sent = llm_takes_temperature(backend.llm.model)
            parts = {name: _part(getattr(backend, name)) for name in ("stt", "llm", "tts")}
            speech = {"voice": backend.voice, **parts}
            return common | speech | _temperature(backend.temperature, converted, sent=sent)
        case AnnouncementBackend():
            then = {"transfer": backend.transfer} if backend.transfer else "hang_up"
            return common | {"say": backend.say, "then": then}
        case RehearsalBackend():
            return common


def _part(part: Part) -> dict[str, str]:
    return {
        "model": part.model,
        "server": part.base_url or "OpenAI",
        "key": f"from {part.api_key_env}" if part.api_key_env else "none",
    }


def _temperature(percent: float, converted: float, *, sent: bool) -> dict[str, Any]:
    return {"temperature": {"percent": percent, "converted": round(converted, 4), "sent": sent}}


def _as_text(record: Mapping[str, Any]) -> str:
    greeting = record["greeting"]
    how = "word for word" if greeting["say"] else "generated, told to"
    words = greeting["say"] or greeting["generate"]
    blocks = [
        f"{record['agent']} ({record['name']}), revision {record['revision']}",
        *(f"answers {by} {', '.join(record[by])}" for by in ("rooms", "numbers") if record[by]),
        *(f"  {name} = {json.dumps(value)}" for name, value in record["variables"].items()),
        "\ninstructions",
        _indented(record["instructions"]),
        f"\ngreeting ({how})" if words else "\ngreeting: none, the caller speaks first",
        *([_indented(words)] if words else []),
    ]
    for place, backend in enumerate(record["backends"], start=1):
        blocks += [f"\nbackend {place}: {backend['name']}", *_backend_lines(backend)]
    for tool in record["tools"]:
        blocks += [f"\ntool {tool['name']}: {tool['description']}"]
        blocks += [_indented(json.dumps(tool["parameters"], indent=2))]
    if remote := record["remote"]:
        blocks += ["\nremote: fetched when a call starts, in place of the above"]
        blocks += _remote_lines(remote)
    return "\n".join(blocks)


def _backend_lines(backend: Mapping[str, Any]) -> list[str]:
    lines = []
    for key in ("model", "stt", "llm", "tts"):
        if part := backend.get(key):
            lines.append(f"  {key:<12} {part['model']} at {part['server']}, key {part['key']}")
    if temperature := backend.get("temperature"):
        sent = "sent" if temperature["sent"] else "not sent: this backend takes none"
        percent = f"{temperature['percent']:g}%"
        lines.append(f"  {'voice':<12} {backend['voice']}")
        lines.append(f"  {'temperature':<12} {percent} = {temperature['converted']:g} ({sent})")
    else:
        lines.append(f"  {'says':<12} {backend['say']}")
        lines.append(f"  {'then':<12} {_then(backend['then'])}")
    lines.append(f"  {'first audio':<12} within {backend['first_audio_timeout']:g} s")
    return lines


def _remote_lines(remote: Mapping[str, Any]) -> list[str]:
    lines = [f"  {'url':<15} {remote['url']}, key {remote['key']}"]
    lines.append(f"  {'timeout':<15} {remote['timeout']:g} s")
    return lines + [f"  {key:<15} from {path}" for key, path in remote["fields"].items()]


def _then(then: Any) -> str:
    return f"transfers to {then['transfer']}" if isinstance(then, dict) else "hangs up"


def _indented(text: str) -> str:
    return textwrap.indent(text, "  ", lambda line: True)
