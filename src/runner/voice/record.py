"""The record of one call, kept while the call goes on."""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from livekit.agents import (
    AgentSession,
    AgentStateChangedEvent,
    ConversationItemAddedEvent,
    ToolExecutionUpdatedEvent,
    UserStateChangedEvent,
)
from livekit.agents.llm import ChatMessage
from livekit.agents.metrics import ModelUsage
from livekit.agents.voice import SessionUsageUpdatedEvent, ToolCallEnded, ToolCallStarted

from runner.catalog.records import (
    BEAT,
    TRANSCRIPTS_VARIABLE,
    CallRecord,
    Records,
    Stay,
    ToolRun,
    Turn,
    seconds_between,
    utc,
)
from runner.catalog.store import state_folder
from runner.definition.remote import AmendedSpec
from runner.definition.spec import AgentSpec, Backend
from runner.voice.line import Line

_log = logging.getLogger(__name__)

_SPEAKERS = {"user": "caller", "assistant": "agent"}
#: A closed list: what LiveKit adds one day may hold more than numbers.
_LATENCIES = (
    "transcription_delay", "end_of_turn_delay", "llm_node_ttft", "tts_node_ttfb",
    "playback_latency", "e2e_latency",
)  # fmt: skip
_LONGEST_REASON = 200
#: How a call ends that no agent answers.
NOBODY = "no agent for this call"
_UNWRITTEN = "cannot write the call's record"


def begin(line: Line, spec: AgentSpec, because: str) -> "Recorder":
    """Begin the record of the call on `line`; `because` is how it was routed."""
    record = CallRecord(
        id=line.id,
        agent=spec.id,
        revision=spec.digest,
        room=line.room,
        because=because,
        began=utc(time.time()),
        remote=spec.amended if isinstance(spec, AmendedSpec) else (),
    )
    transcripts = os.environ.get(TRANSCRIPTS_VARIABLE) == "1"
    return Recorder(Records(state_folder()), record, transcripts=transcripts)


async def unanswered(call: str, room: str, because: str, reason: str) -> None:
    """Record a call that no agent answers `because` of something, and the `reason` of its end."""
    now = utc(time.time())
    record = CallRecord(
        id=call,
        agent="",
        revision="",
        room=room,
        because=because,
        began=now,
        ended=now,
        reason=reason,
    )
    try:
        await asyncio.to_thread(Records(state_folder()).write, record)
    except OSError as error:
        _log.warning(_UNWRITTEN, extra={"reason": error.strerror})


class Recorder:
    """Writes the record of one call after every change, in the order of the changes.

    It does so in a thread, since a slow disk must not be heard; a disk that fails costs the
    record, never the call. What was said is kept only with `transcripts`.
    """

    def __init__(self, records: Records, record: CallRecord, *, transcripts: bool = False) -> None:
        self._records = records
        self._record = record
        self._transcripts = transcripts
        self._failed = False
        self._quiet_since: float | None = None
        self._waited: float | None = None
        self._thread = ThreadPoolExecutor(1, "record")
        self._change()
        self._beating = asyncio.create_task(self._beat())

    def attach(self, session: AgentSession[Any]) -> None:
        """Follow a session, which has not started yet, from its first event to its last."""
        session.on("agent_state_changed", self._on_agent_state)
        session.on("user_state_changed", self._on_user_state)
        session.on("conversation_item_added", self._on_item)
        session.on("tool_execution_updated", self._on_tool)
        session.on("session_usage_updated", self._on_usage)

    def entered(self, backend: Backend) -> None:
        """Note that `backend` has the call."""
        stay = Stay(name=backend.name, kind=backend.kind, entered=self._now())
        self._change(backends=(*self._record.backends, stay))

    def heard(self, backend: Backend, seconds: float) -> None:
        """Note that `backend`, which has the call, was heard after so many seconds of silence."""
        self._change_stay(backend, gap=_short(seconds))

    def left(self, backend: Backend, reason: str) -> None:
        """Note that `backend` lost the call, or never got it, and why."""
        fields: Any = {"left": self._now(), "reason": reason[:_LONGEST_REASON]}
        if not self._change_stay(backend, **fields):
            never = Stay(name=backend.name, kind=backend.kind, **fields)
            self._change(backends=(*self._record.backends, never))

    async def ended(self, reason: str) -> None:
        """Note how the call ended, and wait until all is written; nothing follows."""
        self._change(ended=self._now(), reason=reason[:_LONGEST_REASON])
        self._beating.cancel()
        await asyncio.to_thread(self._thread.shutdown)

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        self._quiet_since = (
            event.created_at
            if (event.old_state, event.new_state) == ("speaking", "listening")
            else None
        )

    def _on_agent_state(self, event: AgentStateChangedEvent) -> None:
        if event.new_state != "speaking":
            return
        if self._quiet_since is not None:
            self._waited = event.created_at - self._quiet_since
            self._quiet_since = None
        if not self._record.answered:
            self._change(answered=utc(event.created_at))

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        item = event.item
        if not isinstance(item, ChatMessage) or item.role not in _SPEAKERS:
            return
        turn = Turn(
            who=_SPEAKERS[item.role],
            at=utc(event.created_at),
            backend=stay.name if (stay := self._record.carrier) else "",
            interrupted=item.interrupted,
            latencies=self._latencies(item),
            text=item.text_content if self._transcripts else None,
        )
        self._change(turns=(*self._record.turns, turn))

    def _latencies(self, item: ChatMessage) -> dict[str, float]:
        """Return LiveKit's latencies, and ours: how long the caller waited for an answer.

        LiveKit's `e2e_latency` is missing with realtime models and after tools.
        """
        found = {
            name: round(float(seconds), 3)
            for name in _LATENCIES
            if isinstance(seconds := item.metrics.get(name), int | float)
        }
        if item.role == "assistant" and self._waited is not None:
            found["response_delay"] = round(self._waited, 3)
            self._waited = None
        return found

    def _on_tool(self, event: ToolExecutionUpdatedEvent) -> None:
        match event.update:
            case ToolCallStarted(function_call=call):
                run = ToolRun(id=call.call_id, name=call.name, began=utc(event.created_at))
                self._change(tools=(*self._record.tools, run))
            case ToolCallEnded(call_id=call, status=status):
                self._change(
                    tools=tuple(
                        _ended(run, status, event.created_at)
                        # Some servers give every call the same id.
                        if run.id == call and run.seconds is None
                        else run
                        for run in self._record.tools
                    )
                )

    def _on_usage(self, event: SessionUsageUpdatedEvent) -> None:
        usage = tuple(_numbers(model) for model in event.usage.model_usage)
        # LiveKit tells of every metric, most of which cost nothing.
        if usage != self._record.usage:
            self._change(usage=usage)

    def _change_stay(self, backend: Backend, **fields: Any) -> bool:
        """Change the stay of `backend`; return False if it does not have the call."""
        on = self._record.carrier
        if on is None or on.name != backend.name or on.left:
            return False
        stays = [replace(stay, **fields) if stay is on else stay for stay in self._record.backends]
        self._change(backends=tuple(stays))
        return True

    def _change(self, **fields: Any) -> None:
        if self._record.ended:
            return
        self._record = replace(self._record, **fields)
        self._in_thread(self._records.write)

    def _in_thread(self, work: Callable[[CallRecord], None]) -> None:
        self._thread.submit(self._try, work, self._record)

    def _try(self, work: Callable[[CallRecord], None], record: CallRecord) -> None:
        try:
            work(record)
        except OSError as error:
            if not self._failed:
                _log.warning(_UNWRITTEN, extra={"reason": error.strerror})
            self._failed = True

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            self._in_thread(self._records.touch)

    def _now(self) -> str:
        return utc(time.time())


def _ended(run: ToolRun, outcome: str, at: float) -> ToolRun:
    seconds = round(seconds_between(run.began, utc(at)), 3)
    return replace(run, seconds=seconds, outcome=outcome)


def _numbers(usage: ModelUsage) -> dict[str, Any]:
    """Return what a model took, without what is zero."""
    taken = usage.model_dump(exclude_defaults=True)
    taken |= {name: _short(value) for name, value in taken.items() if isinstance(value, float)}
    # The server's name; a `base_url` may bring a user and a password.
    taken["provider"] = usage.provider.rpartition("@")[2]
    return {"type": usage.type, **taken}


def _short(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
