"""From a draft to a spec: every default filled in, every percent a number."""

from collections.abc import Mapping
from typing import Any

from runner.definition.draft import Draft
from runner.definition.kinds import PIPELINE, REALTIME
from runner.definition.source import KeyPath
from runner.definition.spec import (
    AgentSpec,
    AnnouncementBackend,
    Answers,
    Backend,
    Greeting,
    Part,
    PipelineBackend,
    RealtimeBackend,
    Remote,
    ToolStub,
    TurnTaking,
)

DEFAULT_GREETING = "Greet the user warmly and offer your assistance."

Entry = Mapping[str, Any]


def freeze(draft: Draft) -> AgentSpec:
    """Return what the draft means; keys that are missing or were refused take their defaults."""
    root = draft.root
    voice = root.get("voice", "coral")
    temperature = percent(root.get("temperature", "80%"))
    return AgentSpec(
        id=draft.id,
        name=root.get("name") or readable(draft.id),
        description=root.get("description", ""),
        prompt=prompt_text(draft),
        variables=root.get("variables", {}),
        greeting=_greeting(root.get("greeting", {"generate": DEFAULT_GREETING})),
        language=root.get("language"),
        voice=voice,
        temperature=temperature,
        response_length=root.get("response_length", "medium"),
        turn_taking=TurnTaking(**root.get("turn_taking", {})),
        backends=tuple(_backend(key, entry, voice, temperature) for key, entry in entries(draft)),
        tools=tuple(_tool(entry) for _, entry in draft.items("tools")),
        answers=_answers(draft),
        remote=_remote(root.get("remote", {})),
    )


def entries(draft: Draft) -> list[tuple[KeyPath, Entry]]:
    """Return the draft's backends in order, each a mapping with its kind, and its place."""
    written = draft.items("backends") or [
        (("backends", place), kind) for place, kind in enumerate((REALTIME, PIPELINE))
    ]
    return [(key, {"kind": entry} if isinstance(entry, str) else entry) for key, entry in written]


def percent(value: str | float) -> float:
    """Read a temperature as people write it: `60` or `60%`."""
    return float(value.rstrip("% ")) if isinstance(value, str) else float(value)


def readable(agent_id: str) -> str:
    """Make a name of an id: `front-desk` is `Front desk`."""
    return agent_id.replace("-", " ").replace("_", " ").strip().capitalize()


def prompt_text(draft: Draft) -> str:
    """Return the prompt's template, read from its file where it has one; empty without any."""
    match draft.root.get("prompt", ""):
        case {"file": name}:
            return draft.folder.text(name) or ""
        case str() as text:
            return text
        case _:
            return ""


def _greeting(value: Any) -> Greeting:
    match value:
        case str():
            return Greeting(say=value)
        case {"generate": generate}:
            return Greeting(generate=generate)
        case _:
            return Greeting()


def _backend(key: KeyPath, entry: Entry, voice: str, temperature: float) -> Backend:
    kind = entry["kind"]
    common = {
        "name": entry.get("name", f"{kind}-{int(key[-1]) + 1}"),
        "first_audio_timeout": float(entry.get("first_audio_timeout", 4.0)),
    }
    if kind == REALTIME:
        return _realtime(entry, voice, temperature, common)
    if kind == PIPELINE:
        return _pipeline(entry, voice, temperature, common)
    then = entry.get("then", "hang_up")
    transfer = then.get("transfer") if isinstance(then, dict) else None
    return AnnouncementBackend(say=entry.get("say", ""), transfer=transfer, **common)


def _realtime(entry: Entry, voice: str, temperature: float, common: Entry) -> RealtimeBackend:
    return RealtimeBackend(
        model=entry.get("model", "gpt-realtime"),
        voice=entry.get("voice", voice),
        temperature=percent(entry.get("temperature", temperature)),
        base_url=entry.get("base_url"),
        api_key_env=_key_name(entry.get("api_key_env", "OPENAI_API_KEY")),
        inherits=_inherited(entry),
        **common,
    )


def _pipeline(entry: Entry, voice: str, temperature: float, common: Entry) -> PipelineBackend:
    return PipelineBackend(
        stt=_part(entry, "stt", "whisper-1"),
        llm=_part(entry, "llm", "gpt-4o-mini"),
        tts=_part(entry, "tts", "gpt-4o-mini-tts"),
        voice=entry.get("voice", voice),
        temperature=percent(entry.get("temperature", temperature)),
        inherits=_inherited(entry),
        **common,
    )


def _inherited(entry: Entry) -> tuple[str, ...]:
    return tuple(key for key in ("voice", "temperature") if key not in entry)


def _part(entry: Entry, name: str, model: str) -> Part:
    value = entry.get(name, model)
    own: Entry = {"model": value} if isinstance(value, str) else value
    return Part(
        model=own.get("model", model),
        base_url=own.get("base_url", entry.get("base_url")),
        api_key_env=_key_name(own.get("api_key_env", entry.get("api_key_env", "OPENAI_API_KEY"))),
    )


def _key_name(name: str) -> str | None:
    return None if name == "none" else name


def _tool(entry: Entry) -> ToolStub:
    return ToolStub(
        name=entry.get("name", ""),
        description=entry.get("description", ""),
        parameters=json_schema(entry.get("parameters", {})),
        returns=entry.get("returns", ""),
        delay=float(entry.get("delay", 0.0)),
    )


def json_schema(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of an object with these parameters, closed, by whom it is required."""
    return {
        "type": "object",
        "properties": {name: _value_schema(value) for name, value in parameters.items()},
        "required": [name for name, value in parameters.items() if not value.get("optional")],
        "additionalProperties": False,
    }


def _value_schema(parameter: Mapping[str, Any]) -> dict[str, Any]:
    schema = {key: value for key, value in parameter.items() if key != "optional"}
    if "items" in schema:
        schema["items"] = _value_schema(schema["items"])
    if "properties" in schema:
        schema |= json_schema(schema["properties"])
    return schema


def _answers(draft: Draft) -> Answers:
    answers = draft.root.get("answers", {})
    rooms = [pattern for _, pattern in draft.items("answers", "rooms")]
    if "rooms" not in answers:
        rooms = [draft.id, f"{draft.id}-*"]
    numbers = [number for _, number in draft.items("answers", "numbers")]
    default = answers.get("default", False)
    return Answers(rooms=tuple(rooms), numbers=tuple(numbers), default=default)


def _remote(entry: Entry) -> Remote | None:
    if not {"url", "fields"} <= entry.keys():
        return None
    return Remote(
        url=entry["url"],
        api_key_env=_key_name(entry.get("api_key_env", "none")),
        timeout=float(entry.get("timeout", 1.0)),
        fields=dict(sorted(entry["fields"].items())),
    )
