"""Values from elsewhere for an agent's keys: which it takes, and what it then is. Asks nobody."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from runner.definition import schema
from runner.definition.examine import CALL_NAMES
from runner.definition.freeze import percent
from runner.definition.prompt import RenderError, greeting, instructions, template_names
from runner.definition.rules import has_voice
from runner.definition.spec import AgentSpec, Backend, PipelineBackend, RealtimeBackend
from runner.definition.templates import TemplateCheck
from runner.definition.text import FORBIDDEN


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendedSpec(AgentSpec):
    """An agent with other values than its file's for the fields in `amended`.

    It keeps the digest of its file, which is `revision`.
    """

    revision: str
    amended: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The digest of the agent as its file has it."""
        return self.revision


@dataclass(frozen=True, slots=True)
class Accepted:
    """The values that an agent takes, and the rule by which each of the others is refused."""

    values: Mapping[str, Any]
    refused: Mapping[str, str]


def accept(spec: AgentSpec, given: Mapping[str, Any]) -> Accepted:
    """Hold values for top-level keys of the agent file against the rules of the file."""
    refused = {key: rule for key, value in given.items() if (rule := _rule(spec, key, value))}
    return Accepted({key: value for key, value in given.items() if key not in refused}, refused)


def amend(spec: AgentSpec, values: Mapping[str, Any]) -> AmendedSpec:
    """Return the agent with these accepted values, as if its file had them.

    A backend that has a voice or a temperature of its own keeps it.
    """
    own = {field.name: getattr(spec, field.name) for field in fields(spec)}
    changes = dict(values)
    if "temperature" in changes:
        changes["temperature"] = percent(changes["temperature"])
    backends = tuple(_inheriting(backend, changes) for backend in spec.backends)
    return AmendedSpec(
        **{**own, **changes, "backends": backends},
        revision=spec.digest,
        amended=tuple(values),
    )


def together(spec: AgentSpec, values: Mapping[str, Any], taken: Mapping[str, Any]) -> Accepted:
    """Take of accepted values those with which, beside those `taken`, the texts can be rendered."""
    if not values or _renders(amend(spec, {**taken, **values})):
        return Accepted(values, {})
    more: dict[str, Any] = {}
    for key, value in values.items():
        if _renders(amend(spec, {**taken, **more, key: value})):
            more[key] = value
    return Accepted(more, {key: "template-render" for key in values if key not in more})


def _renders(spec: AgentSpec) -> bool:
    names = template_names(spec)
    try:
        instructions(spec, names)
        greeting(spec, names)
    except RenderError:
        return False
    return True


def _inheriting(backend: Backend, changes: Mapping[str, Any]) -> Backend:
    if isinstance(backend, RealtimeBackend | PipelineBackend):
        return replace(backend, **{key: changes[key] for key in backend.inherits if key in changes})
    return backend


def _rule(spec: AgentSpec, key: str, value: Any) -> str | None:
    """Return the id of the rule that a value breaks."""
    if key != "temperature" and not isinstance(value, str):
        return "type"
    if isinstance(value, str) and FORBIDDEN.search(value):
        return "encoding"
    if rule := schema.rule_against(key, value):
        return rule
    if key == "prompt":
        return _template_rule(spec, value)
    if key == "voice" and not all(map(has_voice, amend(spec, {key: value}).backends)):
        return "voice"
    return None


def _template_rule(spec: AgentSpec, text: str) -> str | None:
    """Return the rule that a template breaks; it may include what the agent's own templates do."""
    known = {**CALL_NAMES, **dict.fromkeys(spec.variables)}
    problems = TemplateCheck(spec.templates.get).problems(text, known, template_names(spec), {})
    return next((problem.rule for problem in problems), None)
