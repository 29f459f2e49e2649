"""What a model would be told at one moment of a call, as text for the person who writes agents."""

import json
from collections.abc import Iterator, Sequence

from livekit.agents.llm import ChatContext, ChatMessage, FunctionCall, FunctionCallOutput

from runner.definition.spec import ToolStub

_INSTRUCTIONS = ("system", "developer")


def told(chat_ctx: ChatContext, tools: Sequence[ToolStub]) -> str:
    """Return the instructions, the tools that are offered, and everything said so far."""
    instructions = [one for one in chat_ctx.messages() if one.role in _INSTRUCTIONS]
    parts = (
        ("Instructions", [one.text_content or "" for one in instructions]),
        ("Tools", [_tool(one) for one in tools]),
        ("Messages", list(_messages(chat_ctx))),
    )
    return "\n\n".join(f"{title}\n{_indented(lines)}" for title, lines in parts if lines)


def _tool(tool: ToolStub) -> str:
    parameters = json.dumps(tool.parameters["properties"], ensure_ascii=False)
    return f"{tool.name}: {tool.description}\n  {parameters}"


def _messages(chat_ctx: ChatContext) -> Iterator[str]:
    for item in chat_ctx.items:
        match item:
            case ChatMessage(role=role) if role not in _INSTRUCTIONS:
                yield f"{role}: {item.text_content}"
            case FunctionCall(name=name, arguments=arguments):
                yield f"call of {name}: {arguments}"
            case FunctionCallOutput(name=name, output=output):
                yield f"answer of {name}: {output}"


def _indented(lines: Sequence[str]) -> str:
    return "\n".join(lines).strip()
