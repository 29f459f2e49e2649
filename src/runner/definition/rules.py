"""What JSON Schema cannot say about one agent: one function a rule, and the list of them.

A rule takes the draft (for places) and the spec it means (for values), and yields findings.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator

from runner.definition import prompt
from runner.definition.diagnostics import Diagnostic, near_miss
from runner.definition.draft import Draft
from runner.definition.freeze import entries, json_schema
from runner.definition.kinds import ANNOUNCEMENT, VOICES, llm_takes_temperature
from runner.definition.patterns import PatternError, captured_names
from runner.definition.source import KeyPath
from runner.definition.spec import AgentSpec, Backend, PipelineBackend, RealtimeBackend

_UNFIT = "this value is not one that the parameter allows"

Rule = Callable[[Draft, AgentSpec], Iterator[Diagnostic]]

BUILT_IN_NAMES = frozenset(
    {"now", "agent", "response_length", "room", "caller", "args", "range", "dict", "namespace"}
)

_AGENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")


def agent_id(draft: Draft, spec: AgentSpec) -> Iterator[Diagnostic]:
    """An id travels in room names, metadata and file names: letters, digits, - and _."""
    if not _AGENT_ID.match(spec.id):
        plain = re.sub(r"[^A-Za-z0-9_]+", "-", spec.id).strip("-")[:64]
        message = f"the file's name '{spec.id}' is no id: use letters, digits, - and _, at most 64"
        yield draft.at_file("agent-id", message, suggestion=plain or None)


def prompt_file(draft: Draft, spec: AgentSpec) -> Iterator[Diagnostic]:
    """A prompt's file must be there, and have something in it."""
    match draft.root.get("prompt"):
        case {"file": name} if not spec.prompt.strip():
            message = f"there is no text in '{name}' below the agents folder"
            yield draft.at_value(("prompt", "file"), "prompt-file", message)


def greeting_word(draft: Draft, spec: AgentSpec) -> Iterator[Diagnostic]:
    """In YAML 1.2 `no` is a word, and this agent would greet its callers with it."""
    if spec.greeting.say is not None and spec.greeting.say.casefold() in ("no", "off", "none"):
        message = f"the agent will greet with the word '{spec.greeting.say}'"
        more = "; write false if the caller is to speak first"
        yield draft.at_value(("greeting",), "greeting-word", message + more, level="warning")


def variable_name(draft: Draft, spec: AgentSpec) -> Iterator[Diagnostic]:
    """A variable must not hide a name that templates already have."""
    for name in spec.variables:
        if name in BUILT_IN_NAMES:
            message = f"'{name}' is a name that templates already have; choose another"
            yield draft.at_key(("variables", name), "variable-name", message)


def turn_taking(draft: Draft, spec: AgentSpec) -> Iterator[Diagnostic]:
    """The shortest pause cannot be longer than the longest."""
    shortest = spec.turn_taking.min_endpointing_delay
    longest = spec.turn_taking.max_endpointing_delay
    if shortest > longest:
        message = f"min_endpointing_delay {shortest} is longer than max_endpointing_delay {longest}"
        key = ("turn_taking", "min_endpointing_delay")
        yield draft.at_value(key, "turn-taking", message)


def voice(draft: Draft, spec: AgentSpec) -> Iterator[Diagnostic]:
    """Every backend on OpenAI's own servers must have the voice that it is to speak with."""
    lacking: dict[KeyPath, dict[str, str]] = {}
    for (key, entry), backend in zip(entries(draft), spec.backends, strict=True):
        name, _ = _voice_of(backend)
        if name is not None and not has_voice(backend):
            place = (*key, "voice") if "voice" in entry else ("voice",)
            lacking.setdefault(place, {})[backend.kind] = name
    for place, kinds in lacking.items():
        yield _voice_finding(draft, place, list(kinds), next(iter(kinds.values())))


def has_voice(backend: Backend) -> bool:
    """Tell whether a backend has the voice that it is to speak with, as far as that is known."""
    name, address = _voice_of(backend)
    return name is None or address is not None or name in VOICES[backend.kind]


def _voice_of(backend: Backend) -> tuple[str | None, str | None]:
    match backend:
        case RealtimeBackend():
            return backend.voice, backend.base_url
        case PipelineBackend():
            return backend.voice, backend.tts.base_url
        case _:
            return None, None


def _voice_finding(draft: Draft, place: KeyPath, kinds: list[str], name: str) -> Diagnostic:
    message = f"voice '{name}' is not one that {' or '.join(kinds)} has"
    common = [word for word in VOICES[kinds[0]] if all(word in VOICES[kind] for kind in kinds)]
    suggestion = near_miss(name, common)
    if suggestion is None:
        message += f"; choose one of {', '.join(common)}"
    elsewhere = [kind for kind, voices in VOICES.items() if name in voices]
    if elsewhere and place == ("voice",):
        message += f" ({elsewhere[0]} has it: a backend may have a voice of its own)"
    return draft.at_value(place, "voice", message, suggestion=suggestion)


def voice_change(draft: Draft, spec: AgentSpec) -> Iterator[Diagnostic]:
    """A caller notices when the backend that takes over has another voice."""
    heard: tuple[KeyPath, str] | None = None
    for (key, entry), backend in zip(entries(draft), spec.backends, strict=True):
        name, _ = _voice_of(backend)
        if name is None:
            continue
        place = (*key, "voice") if "voice" in entry else ("voice",)
        if heard is not None and heard[1] != name:
            message = (
                f"the voice changes from '{heard[1]}' to '{name}' when {backend.name} takes over"
            )
            where = place if len(place) > 1 else heard[0]
            yield draft.at_value(where, "voice-change", message, level="note")
        heard = (place, name)


def temperature_unused(draft: Draft, spec: AgentSpec) -> Iterator[Diagnostic]:
    """A temperature that somebody wrote and a backend does not take is said, never lost."""
    ignoring: dict[KeyPath, list[str]] = {}
    for (key, entry), backend in zip(entries(draft), spec.backends, strict=True):
        reason = _temperature_refused(backend)
        place = (*key, "temperature") if "temperature" in entry else ("temperature",)
        if reason and (len(place) > 1 or "temperature" in draft.root):
            ignoring.setdefault(place, []).append(reason)
    for place, reasons in ignoring.items():
        kinds = " and ".join(dict.fromkeys(reasons))
        message = f"this temperature is not sent by {kinds}, which takes none"
        yield draft.at_value(place, "temperature-unused", message, level="note")


def _temperature_refused(backend: Backend) -> str | None:
    match backend:
        case RealtimeBackend():
            return backend.kind
        case PipelineBackend() if not llm_takes_temperature(backend.llm.model):
            return f"{backend.kind} to {backend.llm.model}"
        case _:
            return None


def backend_order(draft: Draft, spec: AgentSpec) -> Iterator[Diagnostic]:
    """Nothing can take over after an announcement: it ends the call."""
    for (key, _), backend in list(zip(entries(draft), spec.backends, strict=True))[:-1]:
        if backend.kind == ANNOUNCEMENT:
            message = "an announcement ends the call; no backend behind it is ever reached"
            yield draft.at_value(key, "backend-order", f"{message}, so put it last")


def tool_name(draft: Draft, spec: AgentSpec) -> Iterator[Diagnostic]:
    """The model tells tools apart by their names."""
    first: dict[str, KeyPath] = {}
    for (key, _), tool in zip(draft.items("tools"), spec.tools, strict=True):
        if tool.name in first:
            number = int(first[tool.name][1]) + 1
            message = f"tool {number} is called '{tool.name}' already; give this one another name"
            yield draft.at_value((*key, "name"), "tool-name", message)
        if tool.name:
            first.setdefault(tool.name, key)


def parameter(draft: Draft, spec: AgentSpec) -> Iterator[Diagnostic]:
    """A parameter must be possible: its pattern readable, its example values allowed by itself."""
    for key, tool in draft.items("tools"):
        for name, value in tool.get("parameters", {}).items():
            yield from _parameter(draft, (*key, "parameters", name), value)


def _parameter(draft: Draft, key: KeyPath, value: Mapping[str, Any]) -> Iterator[Diagnostic]:
    try:
        re.compile(value.get("pattern", ""))
    except re.error as error:
        message = f"the pattern is no regular expression: {error.msg}"
        yield draft.at_value((*key, "pattern"), "parameter", message)
        return
    described = {k: v for k, v in value.items() if k not in ("enum", "default", "examples")}
    schema = json_schema({"value": described})["properties"]["value"]
    allowed = Draft202012Validator(schema)
    for place, example in _examples(value):
        for misfit in allowed.iter_errors(example):
            yield draft.at_value((*key, *place), "parameter", f"{_UNFIT}: {misfit.message}")
    for name, inner in value.get("properties", {}).items():
        yield from _parameter(draft, (*key, "properties", name), inner)
    if "items" in value:
        yield from _parameter(draft, (*key, "items"), value["items"])


def _examples(value: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    for key in ("enum", "examples"):
        yield from (((key, index), example) for index, example in enumerate(value.get(key, ())))
    if "default" in value:
        yield ("default",), value["default"]


def room_pattern(draft: Draft, spec: AgentSpec) -> Iterator[Diagnostic]:
    """A pattern's captured parts must be variables that the agent declares."""
    for key, pattern in draft.items("answers", "rooms"):
        try:
            unknown = [name for name in captured_names(pattern) if name not in spec.variables]
        except PatternError as error:
            yield draft.at_value(key, "room-pattern", str(error))
            continue
        for name in unknown:
            message = f"the pattern captures '{name}', which is not one of the variables"
            suggestion = near_miss(name, spec.variables)
            yield draft.at_value(key, "room-pattern", message, suggestion=suggestion)


def remote_keys(draft: Draft, spec: AgentSpec) -> Iterator[Diagnostic]:
    """What is fetched needs a place and names, from the agent's own file or from the defaults."""
    for key in ("url", "fields") if "remote" in draft.root else ():
        place = ("remote", key)
        if not draft.source_of(place).has(place):
            message = f"the key '{key}' of 'remote' is missing"
            yield draft.at_key(("remote",), "missing-key", message)


def remote_url(draft: Draft, spec: AgentSpec) -> Iterator[Diagnostic]:
    """The URL that the defaults make is one, and each value stays in its place."""
    if spec.remote is None:
        return
    names = prompt.template_names(spec, room=prompt.RoomNames(spec.id))
    try:
        prompt.url(spec, spec.remote.url, names)
    except prompt.URLError as error:
        yield draft.at_value(("remote", "url"), "remote-url", f"with the defaults {error}")
    except prompt.RenderError:
        # The checks of templates say so.
        return


RULES: tuple[Rule, ...] = (
    agent_id,
    prompt_file,
    greeting_word,
    variable_name,
    turn_taking,
    voice,
    voice_change,
    temperature_unused,
    backend_order,
    tool_name,
    parameter,
    room_pattern,
    remote_keys,
    remote_url,
)
