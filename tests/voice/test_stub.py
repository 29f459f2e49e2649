"""A tool stub as the model meets it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest
from catalog.specs import a_spec
from livekit.agents import ToolError
from livekit.agents.llm import RawFunctionTool

from runner.definition.prompt import CallerNames, RoomNames
from runner.definition.spec import Greeting, ToolStub
from runner.voice import tools
from runner.voice.words import Words

PARAMETERS = {
    "type": "object",
    "properties": {
        "day": {"type": "string", "enum": ["monday", "tuesday"]},
        "seats": {"type": "integer", "minimum": 1},
    },
    "required": ["day"],
    "additionalProperties": False,
}


def built(returns: Any, **changes: Any) -> RawFunctionTool[..., Any]:
    """Build one stub in a call of Ada's."""
    fields = {"parameters": PARAMETERS} | changes
    stub = ToolStub(name="look_up", description="Look up.", returns=returns, **fields)
    spec = a_spec("front-desk", tools=(stub,))
    words = Words(spec, {"caller_name": "Ada"}, RoomNames("front-desk-1"), CallerNames("caller"))
    (tool,) = tools.build(words)
    assert isinstance(tool, RawFunctionTool)
    return tool


def test_the_model_sees_the_schema_of_the_file() -> None:
    assert built("x").info.raw_schema == {
        "name": "look_up",
        "description": "Look up.",
        "parameters": PARAMETERS,
    }


async def test_a_text_is_rendered_with_the_arguments_and_the_call() -> None:
    tool = built("{{ args.day }} for {{ caller_name }} in {{ room.name }}")
    assert await tool(raw_arguments={"day": "monday"}) == "monday for Ada in front-desk-1"


async def test_a_mapping_is_sent_as_json() -> None:
    tool = built({"day": "{{ args.day }}", "free": ["9:00", 3, True]})
    answer = await tool(raw_arguments={"day": "monday"})
    assert json.loads(answer) == {"day": "monday", "free": ["9:00", 3, True]}


async def test_what_a_caller_brings_is_never_a_template() -> None:
    spec = a_spec("front-desk", greeting=Greeting(say="{{ caller_name }} {{ room.name }}"))
    words = Words(spec, {"caller_name": "{{ 7 * 7 }}"}, RoomNames("{{ x }}"), CallerNames())
    assert words.greeting().say == "{{ 7 * 7 }} {{ x }}"


async def test_values_that_no_template_takes_give_way_to_the_defaults() -> None:
    spec = a_spec("front-desk", greeting=Greeting(say="{{ number + 1 }}"))
    words = Words(spec, {"number": "x" * 9}, RoomNames(), CallerNames())
    assert words.greeting().say == "1"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "'day' is a required property"),
        ({"day": "sunday"}, "argument 'day': 'sunday' is not one of ['monday', 'tuesday']"),
        ({"day": "monday", "seats": 0}, "argument 'seats': 0 is less than the minimum of 1"),
        ({"day": "monday", "seats": "two"}, "argument 'seats': 'two' is not of type 'integer'"),
        ({"day": "monday", "x": 1}, "Additional properties are not allowed"),
    ],
)
async def test_wrong_arguments_are_a_tool_error(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ToolError) as raised:
        await built("x")(raw_arguments=arguments)
    assert sentence in raised.value.message


async def test_an_answer_that_cannot_be_rendered_is_a_tool_error() -> None:
    tool = built("{{ args.seats + 1 }}")
    with pytest.raises(ToolError, match="look_up has no answer to these arguments"):
        await tool(raw_arguments={"day": "monday"})


async def test_the_loop_turns_while_an_answer_is_rendered() -> None:
    """There is sound to play meanwhile."""
    loop, turned = asyncio.get_running_loop(), threading.Event()

    class Slow:
        def __str__(self) -> str:
            # Comes back when the loop has turned.
            loop.call_soon_threadsafe(turned.set)
            return str(turned.wait(5.0))

    tool = built("{{ args.day }}", parameters={**PARAMETERS, "properties": {"day": {}}})
    assert await tool(raw_arguments={"day": Slow()}) == "True"


async def test_the_delay_is_kept() -> None:
    began = time.monotonic()
    await built("x", delay=0.2)(raw_arguments={"day": "monday"})
    assert 0.2 <= time.monotonic() - began < 1


async def test_an_argument_that_is_left_out_takes_its_default() -> None:
    parameters = {
        "type": "object",
        "properties": {"day": {"type": "string", "default": "monday"}},
        "required": [],
        "additionalProperties": False,
    }
    tool = built("{{ args.day }}", parameters=parameters)
    assert await tool(raw_arguments={}) == "monday"
    assert await tool(raw_arguments={"day": "tuesday"}) == "tuesday"
