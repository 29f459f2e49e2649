"""Templates of one agent: the names they may use, and what they become in a call.

Knows nothing of files and positions; `templates.py` checks what an author wrote.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from runner.definition.sandbox import Sandbox
from runner.definition.spec import AgentSpec, Greeting, ToolStub

_LENGTH_SENTENCES = {
    "short": "Answer in one or two short sentences.",
    "medium": "Answer in at most four sentences.",
    "long": "Take as long as the answer needs.",
}

#: All of it printable ASCII: anything else is written as %20 and the like.
_URL = re.compile(r"https?://[!-~]+")


class RenderError(Exception):
    """A template could not be rendered with the names of a call."""


class URLError(RenderError):
    """A template could be rendered, but makes no URL that may be asked; the text says why."""


@dataclass(frozen=True, slots=True)
class AgentNames:
    """What templates see as `agent`."""

    id: str
    name: str
    voice: str


@dataclass(frozen=True, slots=True)
class RoomNames:
    """What templates see as `room`."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class CallerNames:
    """What templates see as `caller`."""

    identity: str = ""
    name: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


Names = dict[str, Any]


def template_names(
    spec: AgentSpec,
    *,
    variables: Mapping[str, Any] | None = None,
    room: RoomNames | None = None,
    caller: CallerNames | None = None,
) -> Names:
    """Return every name that the agent's templates may use in one call.

    `variables` replaces the defaults of names that the agent declares; others are left out.
    """
    given = {k: v for k, v in (variables or {}).items() if k in spec.variables}
    return {
        **spec.variables,
        **given,
        "now": datetime.now().astimezone(),
        "agent": AgentNames(spec.id, spec.name, spec.voice),
        "response_length": spec.response_length,
        "room": room or RoomNames(),
        "caller": caller or CallerNames(),
    }


def instructions(spec: AgentSpec, names: Names) -> str:
    """Render the instructions: the prompt, then a sentence each for language and answer length.

    Raises:
        RenderError: the prompt cannot be rendered with these names.
    """
    sentences = [render(spec, spec.prompt, names)]
    if spec.language:
        sentences.append(f"Speak the language with the BCP 47 tag {spec.language}.")
    if not _uses_response_length(spec):
        sentences.append(_LENGTH_SENTENCES[spec.response_length])
    return "\n".join(sentences)


def greeting(spec: AgentSpec, names: Names) -> Greeting:
    """Render the greeting; what it is (word for word, generated, none) stays the same.

    Raises:
        RenderError: the greeting cannot be rendered with these names.
    """
    say, generate = spec.greeting.say, spec.greeting.generate
    return Greeting(
        say=None if say is None else render(spec, say, names),
        generate=None if generate is None else render(spec, generate, names),
    )


def tool_answer(spec: AgentSpec, tool: ToolStub, args: Mapping[str, Any], names: Names) -> Any:
    """Render what a stub returns: a text, or JSON in which every text is rendered.

    An argument that is left out takes its parameter's default.

    Raises:
        RenderError: the answer cannot be rendered with these arguments.
    """
    defaults = {
        name: schema["default"]
        for name, schema in tool.parameters["properties"].items()
        if "default" in schema
    }
    return _render_all(spec, tool.returns, names | {"args": {**defaults, **args}})


def _render_all(spec: AgentSpec, value: Any, names: Names) -> Any:
    match value:
        case str():
            return render(spec, value, names)
        case dict():
            return {key: _render_all(spec, item, names) for key, item in value.items()}
        case list() | tuple():
            return [_render_all(spec, item, names) for item in value]
        case _:
            return value


def url(spec: AgentSpec, text: str, names: Names) -> str:
    """Render the template of a URL; no value in it leaves the segment that it stands in.

    Raises:
        URLError: a value is empty, or this is no URL, or not the place that was written.
        RenderError: it cannot be rendered with these names.
    """
    made = render(spec, text, names, finalize=_segment)
    if not _URL.fullmatch(made):
        raise URLError("this URL has characters in it that are to be written as %20 and the like")
    if {".", ".."} & set(made.partition("?")[0].split("/")):
        raise URLError("this URL leaves its place through . or ..")
    return made


def _segment(value: Any) -> str:
    text = quote(str(value), safe="")
    if not text:
        raise URLError("a value in this URL is empty")
    return text


def render(
    spec: AgentSpec, text: str, names: Names, finalize: Callable[[Any], str] | None = None
) -> str:
    """Render one template of `spec`; surrounding white space goes.

    `finalize` is what becomes of each value that is put in.

    Raises:
        RenderError: it cannot be rendered with these names.
    """
    if "{" not in text:
        return text.strip()
    try:
        return Sandbox(spec.templates.get, finalize).render(text, names).strip()
    except RenderError:
        raise
    except Exception as e:  # filters and methods raise whatever they like
        raise RenderError(f"{type(e).__name__}: {e}") from e


def _uses_response_length(spec: AgentSpec) -> bool:
    sandbox = Sandbox(spec.templates.get)
    return any(
        use.name == "response_length"
        for text in (spec.prompt, *spec.templates.values())
        for use in sandbox.facts(text).names
    )
