"""What a session tells of the backend that carries it: the signs on which it must be left."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from livekit.agents import (
    AgentSession,
    ErrorEvent,
    FunctionToolsExecutedEvent,
    SpeechCreatedEvent,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
    llm,
    stt,
)
from livekit.agents.voice import SpeechHandle
from livekit.agents.voice.events import ToolExecutionUpdatedEvent

from runner.reach.reasons import CONNECTION_LOST, of_error
from runner.voice.backends.agent import BackendAgent
from runner.voice.backends.guard import is_failed_response
from runner.voice.handover import Handover, unanswered
from runner.voice.reasons import EMPTY, LASTING, SILENT
from runner.voice.watch import Watch

# Errors that a realtime session reports and survives, one after the other without a sign of life.
_TOO_MANY = 3
# Seconds by which an error may come later than the end of the speech that it ended.
_MOMENT = 0.05


@dataclass(frozen=True, slots=True)
class Failure:
    """A reason to leave `agent`; `cut_off` says that it was in the middle of an answer.

    `watch` knows when the caller heard the last of it. `time` is the loop's, as is `unheard`: from
    then on it may have heard nothing of what the caller said.
    """

    agent: BackendAgent
    watch: Watch
    reason: str
    time: float
    cut_off: bool
    unheard: float


class Signs:
    """Reads a session's events for the one backend that it follows; a backend fails only once.

    `agent` is that backend, None once it was left; `speech` is the last thing that it began to say.
    """

    def __init__(
        self,
        session: AgentSession[None],
        handover: Handover,
        on_failure: Callable[[Failure], None],
        on_heard: Callable[[], None],
    ) -> None:
        self.speech: SpeechHandle | None = None
        self._session = session
        self._handover = handover
        self._on_failure = on_failure
        self._on_heard = on_heard
        self.agent: BackendAgent | None = None
        self._watch = Watch(0.0, lambda: None)
        self._talked_over = False
        self._told = 0.0
        self._asked: float | None = None
        self._errors: list[str] = []
        self._tools: set[str] = set()
        self._no_tools = asyncio.Event()
        self._no_tools.set()
        self._listen()

    def follow(self, agent: BackendAgent, patience: float) -> Watch:
        """Read the events as this backend's; it may be silent for `patience` seconds."""
        agent.watch = self._watch = Watch(patience, partial(self._fail, agent, SILENT))
        if isinstance(agent.stt, stt.STT):
            agent.stt.on("metrics_collected", partial(self._on_transcribed, agent))
        if self._session.user_state == "speaking":
            agent.watch.hold("caller")
        self._errors.clear()
        self._asked = self.speech = None
        self.agent = agent
        return self._watch

    def stop(self) -> None:
        """Follow nobody any more."""
        self.agent = None
        self._watch.close()

    def fail(self, reason: str) -> None:
        """Let the backend that is followed have failed for a `reason` that no event tells."""
        self._fail(self.agent, reason)

    async def tools_over(self) -> None:
        """Wait until no tool runs."""
        await self._no_tools.wait()

    def _listen(self) -> None:
        on = self._session.on
        on("error", self._on_error)
        on("speech_created", self._on_speech_created)
        on("user_state_changed", self._on_user_state)
        on("user_input_transcribed", self._on_words)
        on("tool_execution_updated", self._on_tool)
        on("function_tools_executed", self._on_tools_executed)

    def _on_error(self, event: ErrorEvent) -> None:
        error, agent = event.error, self.agent
        if agent is None or event.source not in (agent.llm, agent.stt, agent.tts):
            error.recoverable = True
        elif isinstance(error, llm.RealtimeModelError) and error.recoverable:
            self._count(of_error(error.error))
        elif not error.recoverable:
            # LiveKit closes the session after this, unless the error is said to be recoverable.
            error.recoverable = True
            # The sound of an answer that was given up has ended by now as if it were whole.
            given_up = is_failed_response(error.error)
            self._fail(agent, self._known(of_error(error.error)), cut_off=given_up)

    def _count(self, reason: str) -> None:
        self._errors.append(reason)
        if len(self._errors) >= _TOO_MANY:
            self._fail(self.agent, reason)

    def _known(self, reason: str) -> str:
        """Prefer the reason that a server gave before it closed the connection."""
        vague = reason in (CONNECTION_LOST, EMPTY)
        said = [given for given in self._errors if given in LASTING or vague]
        return said[-1] if said else reason

    def _on_speech_created(self, event: SpeechCreatedEvent) -> None:
        if (agent := self.agent) is None:
            return
        # What answers words has been owed since they ended.
        self._watch.expect(self._asked)
        self._asked = None
        self.speech = event.speech_handle
        done = partial(self._on_speech_done, agent, self._watch, self._watch.frames)
        event.speech_handle.add_done_callback(done)

    def _on_speech_done(
        self, agent: BackendAgent, watch: Watch, frames: int, speech: SpeechHandle
    ) -> None:
        if watch.frames > frames:
            self._handover.answered()
            self._errors.clear()
            self._on_heard()
            if agent is self.agent:
                self._handover.cut_off = False
        if speech is self.speech and not watch.answering:
            watch.settle()
        if error := speech.exception():
            self._fail_soon(agent, of_error(error))
        elif not speech.interrupted and not speech.chat_items:
            self._fail_soon(agent, EMPTY)
        elif not speech.interrupted and watch.frames == frames:
            self._on_unheard(agent, speech)

    def _fail_soon(self, agent: BackendAgent, reason: str) -> None:
        """Fail for this reason, unless the error that ended the speech comes and tells more."""
        asyncio.get_running_loop().call_later(
            _MOMENT, lambda: self._fail(agent, self._known(reason))
        )

    def _on_unheard(self, agent: BackendAgent, speech: SpeechHandle) -> None:
        messages = {item.id for item in speech.chat_items if item.type == "message"}
        if messages:
            # Nobody heard it: the next backend must not think that it was said.
            self._handover.forget(messages)
            self._fail(agent, SILENT)

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        if "speaking" in (event.old_state, event.new_state):
            self._told = asyncio.get_running_loop().time()
        if event.new_state == "speaking":
            self._talked_over = self._session.agent_state == "speaking"
            if not self._must_go_on():
                self._watch.settle()
            self._watch.hold("caller")
        elif event.old_state == "speaking":
            agent = self.agent
            if agent is not None and agent.answers_silence and not self._was_ignored():
                self._watch.expect()
            self._watch.release("caller")

    def _on_transcribed(self, agent: BackendAgent, _: object) -> None:
        """From here on LiveKit decides whether that was a turn; a cough is none."""
        if agent is not self.agent:
            return
        self._handover.understood()
        # A cough may even have cut off an answer that had not begun.
        if self._pending() is None and not unanswered(self._session.history):
            self._watch.settle()

    def _on_words(self, event: UserInputTranscribedEvent) -> None:
        if self.agent is not None and isinstance(self.agent.stt, stt.STT) and event.is_final:
            self._asked = self._told

    def _pending(self) -> SpeechHandle | None:
        """Return the last thing that it began to say, unless that is over or was cut off."""
        speech = self.speech
        return None if speech is None or speech.done() or speech.interrupted else speech

    def _must_go_on(self) -> bool:
        """Tell whether an answer is owed whatever the caller says meanwhile."""
        speech = self._pending()
        return speech is not None and not speech.allow_interruptions

    def _was_ignored(self) -> bool:
        """Tell whether LiveKit kept from the backend what the caller said over its speech."""
        return self._talked_over and self._pending() is not None

    def _on_tool(self, event: ToolExecutionUpdatedEvent) -> None:
        update = event.update
        if update.type == "tool_call_started":
            self._tools.add(update.function_call.call_id)
        elif update.type in ("tool_call_updated", "tool_call_ended"):
            self._tools.discard(update.call_id)
        if self._tools:
            self._no_tools.clear()
            self._watch.settle()
            self._watch.hold("tools")
        else:
            self._no_tools.set()
            self._watch.release("tools")

    def _on_tools_executed(self, event: FunctionToolsExecutedEvent) -> None:
        if event.has_tool_reply:
            self._watch.expect()

    def _fail(self, agent: BackendAgent | None, reason: str, *, cut_off: bool = False) -> None:
        # Whoever was left has nothing more to say.
        if agent is None or agent is not self.agent:
            return
        self.stop()
        now = asyncio.get_running_loop().time()
        self._handover.heard |= self._watch.frames > 0
        if agent.unnoticed:
            self._handover.unnoticed(*agent.unnoticed)
        cut_off = (cut_off or self._watch.answering) and self._watch.frames > 0
        self._handover.cut_off |= cut_off
        unheard = max(now - agent.may_miss, self._told)
        self._on_failure(Failure(agent, self._watch, reason, now, cut_off, unheard))
