"""A call by text, seen from its screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.agents import Agent, AgentSession
from livekit.agents.llm import FunctionCall
from livekit.agents.voice import ToolCallEnded, ToolCallStarted
from livekit.agents.voice.events import ToolExecutionUpdatedEvent

from runner.voice.text_line import TextLine

if TYPE_CHECKING:
    import pytest


class Screen:
    """Remembers the tools that it was shown."""

    def __init__(self) -> None:
        self.tools: list[tuple[str, str]] = []

    def words(self, text: str) -> None:
        """Nothing is said here."""

    def end_of_words(self) -> None:
        """Nothing is said here."""

    def tool(self, name: str, arguments: str) -> None:
        self.tools.append((name, arguments))

    def tool_answer(self, name: str, answer: str) -> None:
        self.tools.append((name, answer))


async def test_the_answer_of_a_tool_that_was_not_seen_to_begin_is_passed_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Only answers to what is on the screen are shown, each under its tool's name."""
    screen = Screen()
    line = TextLine("chat", screen, greets=False)
    session: AgentSession[None] = AgentSession()
    await line.start(session, Agent(instructions=""))

    def ended(call: str, answer: str) -> None:
        update = ToolCallEnded(id=call, call_id=call, message=answer, status="done")
        session.emit("tool_execution_updated", ToolExecutionUpdatedEvent(update=update))

    ended("unseen", "lost")
    call = FunctionCall(call_id="seen", name="look_up", arguments="{}")
    began = ToolExecutionUpdatedEvent(update=ToolCallStarted(function_call=call))
    session.emit("tool_execution_updated", began)
    ended("seen", "found")
    await line.end()
    assert screen.tools == [("look_up", "{}"), ("look_up", "found")]
    # LiveKit catches what goes wrong here, and only logs it.
    assert not [record for record in caplog.records if record.exc_info]
