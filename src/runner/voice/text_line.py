"""A call by text: what is typed goes in, what the agent says comes out as words."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from livekit.agents import Agent, AgentSession, SpeechCreatedEvent
from livekit.agents.voice import SpeechHandle, ToolCallEnded, ToolCallStarted
from livekit.agents.voice.events import ToolExecutionUpdatedEvent
from livekit.agents.voice.io import TextOutput

from runner.definition.prompt import CallerNames
from runner.voice.handover import unanswered

_log = logging.getLogger(__name__)


class Screen(Protocol):
    """Where the words of a call are shown."""

    def words(self, text: str) -> None:
        """Show the next words of what the agent says."""

    def end_of_words(self) -> None:
        """Show that the agent has said this."""

    def tool(self, name: str, arguments: str) -> None:
        """Show that a tool was called, with its arguments as JSON."""

    def tool_answer(self, name: str, answer: str) -> None:
        """Show what it answered."""


class TextLine:
    """The line of a caller who types; the agent's words go to `screen`.

    With `greets` the agent is waited for before anything is said.
    """

    def __init__(self, identity: str, screen: Screen, *, greets: bool) -> None:
        self.id = self.room = identity
        self._greets = greets
        self.over = asyncio.Event()
        self._screen = screen
        self._changed = asyncio.Event()
        self._reason = ""
        self._ended: Callable[[str], Awaitable[None]] | None = None
        self._speeches: set[SpeechHandle] = set()
        self._names: dict[str, str] = {}

    def introduce(self, name: str) -> None:
        """Leave the name to the screen."""

    async def start(self, session: AgentSession[None], agent: Agent) -> None:
        """Start `session` without any sound."""
        self._session = session
        session.output.transcription = _Words(self._screen)
        session.on("tool_execution_updated", self._on_tool)
        session.on("speech_created", self._on_speech)
        session.on("agent_state_changed", self._on_change)
        session.on("conversation_item_added", self._on_change)
        await session.start(agent, record=False)

    async def audible(self) -> None:
        """Return at once: the caller listens from the beginning."""

    async def caller(self) -> CallerNames | None:
        """Return whoever types."""
        return CallerNames(identity="chat", name="chat")

    async def say(self, text: str) -> None:
        """Say something to the agent, and wait until it has answered or the call is over."""
        self._session.generate_reply(user_input=text)
        await self.settled()

    async def settled(self) -> None:
        """Wait until the agent has nothing more to say, or the call is over."""
        while not self.over.is_set() and not self._is_settled():
            self._changed.clear()
            await self._changed.wait()

    def _is_settled(self) -> bool:
        session, history = self._session, self._session.history
        if self._speeches or session.agent_state != "listening":
            return False
        if not session.current_agent.llm:
            # It says its sentence, and hangs up.
            return False
        owes_greeting = self._greets and not history.messages()
        return not owes_greeting and not unanswered(history)

    async def hang_up(self, reason: str) -> None:
        """End the call."""
        _log.info("hanging up", extra={"reason": reason})
        self.close(reason)

    async def transfer(self, number: str) -> bool:
        """Refuse: nobody who types can be passed on to a telephone."""
        return False

    def close(self, reason: str) -> None:
        """Let `over` be known."""
        self._reason = self._reason or reason
        self.over.set()
        self._changed.set()

    async def end(self) -> None:
        """End the session, and wait until all is written."""
        self.close("hung up")
        await self._session.aclose()
        if self._ended is not None:
            await self._ended(self._reason)

    def on_end(self, ended: Callable[[str], Awaitable[None]]) -> None:
        """Call `ended` with the reason at `end`."""
        self._ended = ended

    def stamp(self, fields: dict[str, str]) -> None:
        """Leave the log's lines as they are: there is one call only."""

    def _on_change(self, _: object) -> None:
        self._changed.set()

    def _on_speech(self, event: SpeechCreatedEvent) -> None:
        self._speeches.add(event.speech_handle)
        event.speech_handle.add_done_callback(self._on_spoken)

    def _on_spoken(self, speech: SpeechHandle) -> None:
        self._speeches.discard(speech)
        self._changed.set()

    def _on_tool(self, event: ToolExecutionUpdatedEvent) -> None:
        match event.update:
            case ToolCallStarted(function_call=call):
                self._names[call.call_id] = call.name
                self._screen.tool(call.name, call.arguments)
            case ToolCallEnded(call_id=call_id, message=message) if call_id in self._names:
                self._screen.tool_answer(self._names.pop(call_id), message or "")


class _Words(TextOutput):
    def __init__(self, screen: Screen) -> None:
        super().__init__(label="TextLine", next_in_chain=None)
        self._screen = screen

    async def capture_text(self, text: str) -> None:
        self._screen.words(text)

    def flush(self) -> None:
        self._screen.end_of_words()
