"""A tool answered from the agent file."""

import asyncio
import json

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from livekit.agents import ToolError, function_tool
from livekit.agents.llm import Tool

from runner.definition import prompt
from runner.definition.prompt import RenderError
from runner.definition.spec import ToolStub
from runner.voice.words import Words


def build(tool: ToolStub, words: Words) -> Tool:
    """Build the tool as the model sees it; it answers a text, or JSON for a mapping."""
    validator = Draft202012Validator(dict(tool.parameters))

    async def answer(raw_arguments: dict[str, object]) -> str:
        if error := best_match(validator.iter_errors(raw_arguments)):
            raise ToolError(_sentence(error))
        await asyncio.sleep(tool.delay)
        # In a thread: a template may take long, and the loop has sound to play.
        return await asyncio.to_thread(_answer, tool, raw_arguments, words)

    return function_tool(
        answer,
        raw_schema={
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.parameters),
        },
    )


def _answer(tool: ToolStub, arguments: dict[str, object], words: Words) -> str:
    try:
        value = prompt.tool_answer(words.spec, tool, arguments, words.names())
    except RenderError as error:
        raise ToolError(f"{tool.name} has no answer to these arguments") from error
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _sentence(error: ValidationError) -> str:
    argument = ".".join(str(step) for step in error.absolute_path)
    return f"argument {argument!r}: {error.message}" if argument else error.message
