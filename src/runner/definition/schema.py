"""The agent file's JSON Schema, and its errors as diagnostics in plain words."""

import functools
import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator

from runner.definition.diagnostics import Diagnostic, near_miss
from runner.definition.phone import e164
from runner.definition.source import Document, KeyPath

#: A finding, and the place of the value that no later check should read.
Finding = tuple[Diagnostic, KeyPath]

_TYPE_WORDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "empty",
}
_BOUNDS = {"minimum": "at least", "maximum": "at most"}
_SIZES = {
    "minLength": "must not be empty",
    "maxLength": "must have at most {} characters",
    "minItems": "must not be empty",
    "maxItems": "must have at most {} entries",
    "minProperties": "must not be empty",
}
#: The rule that each keyword of JSON Schema belongs to, for the value of one key.
_RULES = {
    "type": "type", "anyOf": "type", "enum": "value", "const": "value", "pattern": "value",
    "minimum": "range", "maximum": "range", "minLength": "size", "maxLength": "size",
}  # fmt: skip
#: Words that YAML 1.1 read as true or false and YAML 1.2 reads as text.
_OLD_BOOLEANS = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def schema_text() -> str:
    """Return the JSON Schema of the agent file as it ships."""
    return (resources.files("runner") / "agent.schema.json").read_text(encoding="utf-8")


@functools.cache
def agent_schema() -> Mapping[str, Any]:
    """Return the JSON Schema of the agent file, parsed."""
    schema: Mapping[str, Any] = json.loads(schema_text())
    return schema


@functools.cache
def _validator(*, complete: bool) -> Draft202012Validator:
    # Not in the schema: an editor cannot know what `_defaults.yaml` has.
    required = ["prompt"] if complete else []
    return Draft202012Validator({**agent_schema(), "required": required})


def rule_against(key: str, value: Any) -> str | None:
    """Return the id of the rule that refuses `value` for a top-level key; None if it is good."""
    schema = {"$defs": agent_schema()["$defs"], **agent_schema()["properties"][key]}
    for error in Draft202012Validator(schema).iter_errors(value):
        for nearest in _nearest(error):
            return _RULES[nearest.validator]
    return None


def check(document: Document, *, complete: bool) -> Iterator[Finding]:
    """Yield what the schema has against a document; `complete` asks for the required keys too."""
    for error in _validator(complete=complete).iter_errors(document.root):
        for nearest in _nearest(error):
            yield from _describe(document, nearest)


def _nearest(error: Any) -> Iterator[Any]:
    """Of the branches of an `anyOf` follow the one that was meant; else yield the error itself."""
    if error.validator != "anyOf":
        yield error
        return
    branches: dict[Any, list[Any]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.relative_schema_path[0], []).append(inner)
    meant = [inner for inner in branches.values() if not any(map(_is_misfit, inner))]
    if not meant:
        yield error
        return
    for inner_error in min(meant, key=len):
        yield from _nearest(inner_error)


def _is_misfit(error: Any) -> bool:
    """Tell whether this error says that a branch is about something else altogether."""
    at_root = not error.relative_path
    return (error.validator in ("type", "const") and at_root) or (
        error.validator == "const" and list(error.relative_path) == ["kind"]
    )


def _describe(document: Document, error: Any) -> Iterator[Finding]:
    key = tuple(error.absolute_path)
    match error.validator:
        case "additionalProperties":
            yield from _unknown_keys(document, error, key)
        case "required":
            yield from _missing_key(document, error, key)
        case "type":
            wanted = [_TYPE_WORDS[error.validator_value]]
            yield _wrong_type(document, key, error.instance, wanted, meant=_meant(error))
        case "anyOf":
            yield _no_branch(document, error, key)
        case "enum" | "const":
            yield _not_allowed(document, error, key)
        case "pattern":
            yield _wrong_form(document, error, key)
        case "minimum" | "maximum":
            message = f"{_name(key)} must be {_BOUNDS[error.validator]} {error.validator_value}"
            yield _at_value(document, key, "range", f"{message}, not {error.instance}")
        case _:
            size = _SIZES[str(error.validator)].format(error.validator_value)
            yield _at_value(document, key, "size", f"{_name(key)} {size}")


def _unknown_keys(document: Document, error: Any, key: KeyPath) -> Iterator[Finding]:
    allowed = error.schema.get("properties", {})
    for name in error.instance:
        if name in allowed:
            continue
        suggestion = near_miss(name, allowed)
        message = f"unknown key {_quote(name)}"
        if suggestion is None:
            message += f"; allowed here: {', '.join(allowed)}"
        place = (*key, name)
        yield (
            document.finding(
                document.key_span(place), "unknown-key", message, suggestion=suggestion
            ),
            place,
        )


def _missing_key(document: Document, error: Any, key: KeyPath) -> Iterator[Finding]:
    missing = next(name for name in error.validator_value if f"'{name}'" in error.message)
    unknown = set(error.instance) - set(error.schema["properties"])
    if any(near_miss(name, [missing]) for name in unknown):
        return
    where = f" of {_name(key)}" if key else ""
    message = f"the key '{missing}'{where} is missing"
    # Without its kind nothing can be said of a backend; all else is checked without the key.
    place = key if missing == "kind" else (*key, missing)
    yield document.finding(document.key_span(key), "missing-key", message), place


def _meant(error: Any) -> str | None:
    """Return what a phone number that was written in another way is in E.164."""
    # A float has lost zeros that were written.
    if error.schema.get("format") != "e164" or isinstance(error.instance, float):
        return None
    return e164(str(error.instance))


def _wrong_type(
    document: Document, key: KeyPath, value: Any, wanted: list[str], *, meant: str | None = None
) -> Finding:
    if not key:
        return _at_value(document, key, "type", "an agent file is made of 'key: value' lines")
    if value is None:
        message = f"{_name(key)} is empty; give it a value or remove the line"
        return document.finding(document.key_span(key), "type", message), key
    message = f"{_name(key)} must be {_any_of(wanted)}, not {_article(value)}"
    suggestion = None
    if isinstance(value, str) and _TYPE_WORDS["boolean"] in wanted:
        suggestion = _OLD_BOOLEANS.get(value.casefold())
    elif isinstance(value, int | float) and wanted[0] == _TYPE_WORDS["string"]:
        message += f'; put it in quotes: "{meant}"' if meant else "; put it in quotes"
    span = document.value_span(key)
    return document.finding(span, "type", message, suggestion=suggestion), key


def _no_branch(document: Document, error: Any, key: KeyPath) -> Finding:
    kinds: list[str] = []
    wanted: dict[int | str, str] = {}
    for inner in error.context or ():
        if inner.validator == "const" and list(inner.relative_path) == ["kind"]:
            kinds.append(inner.validator_value)
        elif inner.validator == "const":
            wanted[inner.relative_schema_path[0]] = json.dumps(inner.validator_value)
        elif inner.validator == "type" and not inner.relative_path:
            wanted.setdefault(inner.relative_schema_path[0], _TYPE_WORDS[inner.validator_value])
    if kinds:
        finding, _ = _choice(document, (*key, "kind"), error.instance["kind"], kinds)
        return finding, key
    return _wrong_type(document, key, error.instance, list(dict.fromkeys(wanted.values())))


def _not_allowed(document: Document, error: Any, key: KeyPath) -> Finding:
    allowed = error.validator_value if error.validator == "enum" else [error.validator_value]
    if error.instance == "announcement" and "openai-realtime" in allowed:
        message = "an announcement needs its sentence: {kind: announcement, say: ...}"
        return _at_value(document, key, "value", message)
    return _choice(document, key, error.instance, allowed)


def _choice(document: Document, key: KeyPath, value: Any, allowed: list[Any]) -> Finding:
    words = [json.dumps(item) if isinstance(item, bool) else str(item) for item in allowed]
    message = f"{_name(key)} must be {_any_of(words)}, not {_quote(value)}"
    span = document.value_span(key)
    return document.finding(span, "value", message, suggestion=near_miss(str(value), words)), key


def _wrong_form(document: Document, error: Any, key: KeyPath) -> Finding:
    message = error.schema["patternErrorMessage"]
    if error.parent is None and "propertyNames" in error.absolute_schema_path:
        place = (*key, error.instance)
        finding = document.finding(document.key_span(place), "value", message)
        return finding, place
    span = document.value_span(key)
    return document.finding(span, "value", message, suggestion=_meant(error)), key


def _at_value(document: Document, key: KeyPath, rule: str, message: str) -> Finding:
    return document.finding(document.value_span(key), rule, message), key


def _name(key: KeyPath) -> str:
    """Name a place as people do: `tools[2].delay`, counted from 1."""
    text = ""
    for part in key:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return f"'{text}'"


def _quote(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text if len(text) <= 40 else text[:37] + '...'}'"


def _article(value: Any) -> str:
    match value:
        case bool():
            return _quote(value)
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {_quote(value)}"
        case dict():
            return "a mapping"
        case _:
            return "a list"


def _any_of(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
