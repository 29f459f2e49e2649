"""All that is checked about one agent: the rules, its templates, and the spec that comes of it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from runner.definition import prompt
from runner.definition.diagnostics import Diagnostic, Span
from runner.definition.draft import Draft
from runner.definition.freeze import entries, freeze
from runner.definition.rules import RULES
from runner.definition.source import KeyPath
from runner.definition.spec import AgentSpec, AnnouncementBackend, ToolStub
from runner.definition.templates import Known, Problem, TemplateCheck
from runner.definition.text import ReadError, TextFile

#: What templates know of the whole call, with the attributes of each name.
CALL_NAMES: Known = {
    "now": None,
    "agent": frozenset({"id", "name", "voice"}),
    "response_length": None,
    "room": frozenset({"name"}),
    "caller": frozenset({"identity", "name", "attributes"}),
}

Names = Mapping[str, Any]


def examine(draft: Draft, templates: TemplateCheck) -> tuple[AgentSpec, list[Diagnostic]]:
    """Return what the draft means, and every finding about it beyond the schema's.

    With an error among the findings the spec is not to be used.
    """
    spec = freeze(draft)
    included: dict[str, str] = {}
    findings = [finding for rule in RULES for finding in rule(draft, spec)]
    for key, text, known, names in _templates(draft, spec):
        for problem in templates.problems(text, known, names, included):
            findings.append(_finding(draft, key, problem))
    return _complete(replace(spec, templates=included)), findings


def _templates(draft: Draft, spec: AgentSpec) -> Iterator[tuple[KeyPath, str, Known, Names]]:
    """Yield each template: its place, its text, the names it may use, and their defaults."""
    known = {**CALL_NAMES, **dict.fromkeys(spec.variables)}
    names = prompt.template_names(spec)
    yield ("prompt",), spec.prompt, known, names
    if spec.greeting.say is not None:
        yield ("greeting",), spec.greeting.say, known, names
    if spec.greeting.generate is not None:
        yield ("greeting", "generate"), spec.greeting.generate, known, names
    for (key, _), tool in zip(draft.items("tools"), spec.tools, strict=True):
        args = {**known, "args": frozenset(tool.parameters["properties"])}
        for place, text in _texts((*key, "returns"), tool.returns):
            yield place, text, args, {**names, "args": sample_arguments(tool)}
    fixed = {"agent": CALL_NAMES["agent"], **dict.fromkeys(spec.variables)}
    for (key, _), backend in zip(entries(draft), spec.backends, strict=True):
        if isinstance(backend, AnnouncementBackend):
            yield (*key, "say"), backend.say, fixed, names
    if spec.remote is not None:
        early = {**fixed, "room": CALL_NAMES["room"]}
        yield ("remote", "url"), spec.remote.url, early, names


def _texts(key: KeyPath, value: Any) -> Iterator[tuple[KeyPath, str]]:
    match value:
        case str():
            yield key, value
        case dict():
            for name, item in value.items():
                yield from _texts((*key, name), item)
        case list():
            for index, item in enumerate(value):
                yield from _texts((*key, index), item)


def sample_arguments(tool: ToolStub) -> dict[str, Any]:
    """Return arguments that fit the tool: those it must be given, and its defaults."""
    properties = tool.parameters["properties"]
    return {
        name: _sample(schema)
        for name, schema in properties.items()
        if name in tool.parameters["required"] or "default" in schema
    }


def _sample(schema: Mapping[str, Any]) -> Any:
    if "default" in schema:
        return schema["default"]
    for key in ("enum", "examples"):
        if schema.get(key):
            return schema[key][0]
    match schema.get("type"):
        case "integer" | "number":
            return schema.get("minimum", schema.get("maximum", 1))
        case "boolean":
            return True
        case "array":
            return [_sample(schema.get("items", {}))] * max(1, schema.get("minItems", 1))
        case "object":
            return {name: _sample(inner) for name, inner in schema.get("properties", {}).items()}
        case _:
            return "example"


def _finding(draft: Draft, key: KeyPath, problem: Problem) -> Diagnostic:
    file = _text_file(draft, key, problem)
    if file is None:
        document = draft.source_of(key)
        span = document.inner_span(key, problem.line, problem.column, problem.length)
        file = document
    else:
        span = Span(problem.line, problem.column, problem.column + problem.length)
    return file.finding(span, problem.rule, problem.message, suggestion=problem.suggestion)


def _text_file(draft: Draft, key: KeyPath, problem: Problem) -> TextFile | None:
    """Return the text file that a problem stands in; None when it is in the YAML itself."""
    name = problem.template
    if name is None and key == ("prompt",) and isinstance(draft.root.get("prompt"), dict):
        name = draft.root["prompt"]["file"]
    try:
        return None if name is None else draft.folder.text_file(name)
    except ReadError:
        return None


def _complete(spec: AgentSpec) -> AgentSpec:
    """Render the announcements: they are made before any call and use nothing of it."""
    names = prompt.template_names(spec)
    try:
        backends = tuple(
            replace(backend, say=prompt.render(spec, backend.say, names))
            if isinstance(backend, AnnouncementBackend)
            else backend
            for backend in spec.backends
        )
    except prompt.RenderError:
        return spec
    return replace(spec, backends=backends)
