"""The schema, the spec and the reference page say the same."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from runner.definition import kinds
from runner.definition.examine import sample_arguments
from runner.definition.freeze import json_schema, percent
from runner.definition.loader import load
from runner.definition.phone import e164
from runner.definition.schema import agent_schema
from runner.definition.source import Document, plain_value
from runner.definition.spec import (
    AgentSpec,
    AnnouncementBackend,
    Answers,
    PipelineBackend,
    RealtimeBackend,
    Remote,
    ToolStub,
    TurnTaking,
    spec_from_json,
)
from runner.definition.text import TextFile

ROOT = Path(__file__).parent.parent.parent
EVERYTHING = ROOT / "tests" / "cases" / "ok" / "everything.yaml"


def properties(schema: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every property of the schema, wherever it stands, with its path."""
    found = []
    if isinstance(schema, dict):
        for name, inner in schema.get("properties", {}).items():
            if isinstance(inner, dict):
                found.append((f"{path}.{name}", inner))
                found += properties(inner, f"{path}.{name}")
        for key, inner in schema.items():
            if key not in ("examples", "default", "properties"):
                found += properties(inner, f"{path}.{key}")
    elif isinstance(schema, list):
        for place, inner in enumerate(schema):
            found += properties(inner, f"{path}[{place}]")
    return found


ALL = properties(agent_schema())


@pytest.mark.parametrize(("path", "schema"), ALL, ids=[path for path, _ in ALL])
def test_every_property_is_described_and_exemplified(path: str, schema: dict[str, Any]) -> None:
    """Editors show a description for every key, and every example fits its own schema."""
    assert schema["description"].endswith((".", "model reads this"))
    assert schema["examples"]
    validator = Draft202012Validator({**schema, "$defs": agent_schema()["$defs"]})
    for example in [*schema["examples"], *([schema["default"]] if "default" in schema else [])]:
        validator.validate(example)


def test_every_object_of_the_schema_is_closed() -> None:
    """A key that nobody knows is refused everywhere but where people choose the names."""

    def open_objects(schema: Any) -> list[Any]:
        if isinstance(schema, list):
            return [found for inner in schema for found in open_objects(inner)]
        if not isinstance(schema, dict):
            return []
        is_open = "properties" in schema and schema.get("additionalProperties") is not False
        inner = [v for k, v in schema.items() if k not in ("examples", "default")]
        is_schema = schema.get("type") == "object"
        return [*([schema] if is_open and is_schema else []), *open_objects(inner)]

    assert open_objects(dict(agent_schema())) == []


def names(record: type) -> set[str]:
    return {field.name for field in fields(record)}


def keys(*path: str) -> set[str]:
    schema: Any = agent_schema()
    for part in path:
        schema = schema[part]
    return set(schema["properties"])


def test_a_schema_property_and_a_spec_field_are_one_word() -> None:
    """Each key of the file is the field of the same name, and the other way round."""
    assert keys() == names(AgentSpec) - {"id", "templates"}
    assert keys("properties", "turn_taking") == names(TurnTaking)
    assert keys("properties", "answers") == names(Answers)
    assert keys("$defs", "tool") == names(ToolStub)
    assert keys("properties", "remote") == names(Remote)
    assert keys("$defs", "openai-realtime") | {"inherits"} == names(RealtimeBackend)
    pipeline = keys("$defs", "openai-pipeline") - {"base_url", "api_key_env"}
    assert pipeline | {"inherits"} == names(PipelineBackend)
    assert keys("$defs", "announcement") == names(AnnouncementBackend) - {"transfer"} | {"then"}


def test_the_schema_s_defaults_are_those_of_an_empty_agent(tmp_path: Path) -> None:
    """What an editor shows as a default is what an agent without the key gets."""
    (tmp_path / "hello.yaml").write_text("prompt: hello")
    spec = load([tmp_path]).specs["hello"]
    schema = agent_schema()
    own = schema["properties"]
    assert own["voice"]["default"] == spec.voice
    assert percent(own["temperature"]["default"]) == spec.temperature
    assert own["response_length"]["default"] == spec.response_length
    assert own["greeting"]["default"] == {"generate": spec.greeting.generate}
    assert own["backends"]["default"] == [backend.kind for backend in spec.backends]
    for name, inner in own["turn_taking"]["properties"].items():
        assert inner["default"] == getattr(spec.turn_taking, name)
    for backend in spec.backends:
        for name, inner in schema["$defs"][backend.kind]["properties"].items():
            if "default" in inner and name != "api_key_env":
                value = getattr(backend, name)
                assert inner["default"] == getattr(value, "model", value)


def test_the_schema_s_defaults_are_those_of_a_remote(tmp_path: Path) -> None:
    """What an editor shows below `remote` is what an agent without those keys gets."""
    remote = "remote: {url: http://localhost/1, fields: {name: name}}"
    (tmp_path / "hello.yaml").write_text(f"prompt: hello\n{remote}")
    spec = load([tmp_path]).specs["hello"]
    schema = agent_schema()["properties"]["remote"]["properties"]
    assert spec.remote is not None
    assert schema["timeout"]["default"] == spec.remote.timeout
    assert (schema["api_key_env"]["default"], spec.remote.api_key_env) == ("none", None)


def test_a_remote_may_be_half_in_the_defaults(tmp_path: Path) -> None:
    """A folder's agents share the names of the fields, and each has its own place."""
    (tmp_path / "_defaults.yaml").write_text("remote: {fields: {name: name}}")
    (tmp_path / "hello.yaml").write_text("prompt: hello\nremote: {url: http://localhost/1}")
    loaded = load([tmp_path])
    assert not loaded.diagnostics
    assert loaded.specs["hello"].remote == Remote(
        url="http://localhost/1", api_key_env=None, timeout=1.0, fields={"name": "name"}
    )


def test_the_schema_lists_the_voices_of_every_kind() -> None:
    """Completion offers each voice that some kind has."""
    listed = agent_schema()["$defs"]["voice"]["anyOf"][0]["enum"]
    assert set(listed) == {voice for voices in kinds.VOICES.values() for voice in voices}


def test_the_reference_page_has_a_heading_for_every_key() -> None:
    """docs/agent-file.md describes each key under its own word, and none that does not exist."""
    page = (ROOT / "docs" / "agent-file.md").read_text()
    headings = set(re.findall(r"^### `(\w+)`$", page, re.MULTILINE))
    assert headings == keys()


def test_a_spec_survives_its_json() -> None:
    """A spec read back from its snapshot is the same, and so is its digest."""
    spec = load([EVERYTHING]).specs["everything"]
    again = spec_from_json(spec.to_json())
    assert again.to_json() == spec.to_json()
    assert again.digest == spec.digest


@given(st.floats(min_value=-1000, max_value=1000))
def test_a_percent_becomes_each_backend_s_own_range(value: float) -> None:
    """Realtime: 0.6 + percent / 100 * 0.6 within 0.6 to 1.2; pipeline: percent / 100 * 2 to 2."""
    inside = max(0.0, min(100.0, value))
    assert kinds.realtime_temperature(value) == pytest.approx(0.6 + inside / 100 * 0.6)
    assert kinds.llm_temperature(value) == pytest.approx(inside / 100 * 2.0)


def test_the_seed_s_temperature_is_the_seed_s() -> None:
    """80 % is 1.08 for realtime and 1.6 for a language model; 70 % is the guide's 1.02."""
    assert kinds.realtime_temperature(80) == pytest.approx(1.08)
    assert kinds.llm_temperature(80) == pytest.approx(1.6)
    assert kinds.realtime_temperature(70) == pytest.approx(1.02)


@given(st.one_of(st.text(), st.from_regex(r"[-+0-9.eE_:xo]{1,12}", fullmatch=True)))
def test_a_plain_scalar_never_surprises(text: str) -> None:
    """An unquoted scalar is a decimal number, true, false, null, or the text that was written."""
    value = plain_value(text)
    assert value is None or isinstance(value, str | bool | int | float)
    if isinstance(value, str):
        assert value == text


@given(st.text(alphabet="ab {}%\n\"'\\\t:é😀", max_size=60))
def test_every_visible_character_is_found_in_the_file(text: str) -> None:
    """A place inside a text leads back to the same character in the file, in every style."""
    for style in ("'", '"', "|", ">"):
        dumped = yaml.dump({"prompt": text}, default_style=style, allow_unicode=True, width=20)
        document = Document(TextFile("x", dumped))
        if document.root is None or document.root.get("prompt") != text or "\\" in dumped:
            continue
        check_places(document, text)


def check_places(document: Document, text: str) -> None:
    for row, line in enumerate(text.split("\n"), start=1):
        for column, character in enumerate(line, start=1):
            if not character.isspace():
                span = document.inner_span(("prompt",), row, column, 1)
                assert document.excerpt(span.line)[span.column - 1] == character


@given(st.from_regex(r"\+?[0-9]{5,17}|[+0-9 ()/.-]{5,20}", fullmatch=True))
def test_a_number_is_e164_for_the_schema_as_for_the_routing(text: str) -> None:
    """What the schema takes is looked up as it stands, and what it proposes instead it takes."""
    taken = re.compile(agent_schema()["$defs"]["phone-number"]["pattern"]).search
    assert bool(taken(text)) == (e164(text) == text)
    assert (proposed := e164(text)) is None or taken(proposed)


def test_sample_arguments_fit_their_tool() -> None:
    """What a template is tried with are arguments that the tool would accept."""
    spec = load([EVERYTHING]).specs["everything"]
    for tool in spec.tools:
        Draft202012Validator(tool.parameters).validate(sample_arguments(tool))


def test_optional_parameters_are_not_required_at_any_depth() -> None:
    """`optional` is ours; the model gets plain JSON Schema, closed at every depth."""
    address = {"type": "object", "properties": {"street": {}, "floor": {"optional": True}}}
    schema = json_schema({"address": address, "note": {"type": "string", "optional": True}})
    assert schema["required"] == ["address"]
    assert schema["properties"]["address"]["required"] == ["street"]
    assert "optional" not in str(schema)
