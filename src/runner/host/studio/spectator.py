"""What a page sees of a call beside its sound: states, words, tools, backends, latencies.

Words and arguments go to the page alone, never to a log.
"""

import itertools
import json
from typing import Any

from livekit.agents import (
    AgentSession,
    AgentStateChangedEvent,
    ToolExecutionUpdatedEvent,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
)
from livekit.agents.voice import ToolCallEnded, ToolCallStarted

from runner.definition.spec import Backend
from runner.host.studio.wire import Wire
from runner.voice.failover import Observer

_OUTCOMES = {"done": "done", "error": "failed", "cancelled": "failed"}


class Spectator(Observer):
    """Tells a page what happens, as it happens."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._utterances = itertools.count()
        self._utterance = next(self._utterances)
        self._half_said = False
        self._began: dict[str, tuple[dict[str, Any], float]] = {}
        self._quiet_since: float | None = None

    def attach(self, session: AgentSession[None]) -> None:
        """Follow a session, which has not started yet."""
        session.on("agent_state_changed", self._on_agent_state)
        session.on("user_state_changed", self._on_user_state)
        session.on("user_input_transcribed", self._on_transcript)
        session.on("tool_execution_updated", self._on_tool)

    def typed(self, text: str) -> None:
        """Show what the caller has typed."""
        self._words(next(self._utterances), text, final=True)

    def asked(self, since: float) -> None:
        """Note that a typed text was read, as of `time.time()`: its caller waits since then."""
        self._quiet_since = since

    def told(self, text: str) -> None:
        """Show what a model would have been told."""
        self._wire.tell("note", title="What a model would have been told", text=text)

    def entered(self, backend: Backend) -> None:
        """Show the backend that has the call now."""
        self._wire.tell("backend", name=backend.name, kind=backend.kind, gap=None)

    def heard(self, backend: Backend, gap: float) -> None:
        """Show how long it was silent before this backend."""
        self._wire.tell("backend", name=backend.name, kind=backend.kind, gap=gap)

    def left(self, backend: Backend, reason: str) -> None:
        """Show that a backend has failed, or could not be built."""
        self._wire.tell("left", name=backend.name, reason=reason)

    def _on_agent_state(self, event: AgentStateChangedEvent) -> None:
        self._wire.tell("state", who="agent", state=event.new_state)
        if event.new_state == "speaking" and self._quiet_since is not None:
            seconds = round(event.created_at - self._quiet_since, 3)
            self._wire.tell("latency", seconds=seconds)
            self._quiet_since = None

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        self._wire.tell("state", who="caller", state=event.new_state)
        if event.new_state == "speaking":
            self._quiet_since = None
        elif event.old_state == "speaking":
            self._quiet_since = event.created_at

    def _on_transcript(self, event: UserInputTranscribedEvent) -> None:
        if event.transcript:
            self._words(self._utterance, event.transcript, final=event.is_final)
            self._half_said = not event.is_final
            if event.is_final:
                self._utterance = next(self._utterances)
        elif not event.is_final and not self._half_said:
            # The caller may be answered before their words are known: this keeps the place.
            self._utterance = next(self._utterances)
            self._words(self._utterance, "", final=False)

    def _words(self, utterance: int, text: str, *, final: bool) -> None:
        self._wire.tell(
            "words",
            id=f"caller-{utterance}",
            who="caller",
            text=text,
            final=final,
            interrupted=False,
        )

    def _on_tool(self, event: ToolExecutionUpdatedEvent) -> None:
        match event.update:
            case ToolCallStarted(function_call=call):
                shown = {"id": call.call_id, "name": call.name, "arguments": _read(call.arguments)}
                self._began[call.call_id] = (shown, event.created_at)
                self._wire.tell("tool", **shown, status="running", result=None, seconds=None)
            case ToolCallEnded(call_id=id_, status=status, message=result) if id_ in self._began:
                shown, began = self._began.pop(id_)
                seconds = round(event.created_at - began, 3)
                outcome = _OUTCOMES[status]
                self._wire.tell("tool", **shown, status=outcome, result=result, seconds=seconds)


def _read(arguments: str) -> Any:
    """Return a model's arguments as JSON; what is none to a browser is shown as it is."""
    try:
        value = json.loads(arguments)
        # Python reads and writes NaN and the like.
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return arguments
    return value
