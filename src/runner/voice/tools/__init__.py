"""One module a kind of tool, and the one table of kinds."""

from collections.abc import Callable, Mapping

from livekit.agents.llm import Tool

from runner.definition.spec import ToolStub
from runner.voice.tools import stub
from runner.voice.words import Words

_KINDS: Mapping[type, Callable[[ToolStub, Words], Tool]] = {ToolStub: stub.build}


def build(words: Words) -> list[Tool]:
    """Build all tools of one call's agent."""
    return [_KINDS[type(tool)](tool, words) for tool in words.spec.tools]
