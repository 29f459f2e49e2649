"""The recorder, fed with LiveKit's own events."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from catalog.records import a_record, aged
from catalog.specs import a_spec
from livekit import rtc
from livekit.agents import (
    AgentStateChangedEvent,
    ConversationItemAddedEvent,
    UserStateChangedEvent,
)
from livekit.agents.llm import AgentHandoff, ChatMessage, FunctionCall
from livekit.agents.metrics import AgentSessionUsage, LLMModelUsage
from livekit.agents.voice import SessionUsageUpdatedEvent, ToolCallEnded, ToolCallStarted
from livekit.agents.voice.events import ToolExecutionUpdatedEvent

from runner.catalog.records import CallRecord, Records
from runner.voice import record as module
from runner.voice.record import Recorder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECRET = "my card is 4929"
(BACKEND,) = a_spec("front-desk").backends


class Touched(Records):
    """Records on disk that tell when one was touched."""

    touched = threading.Event()

    def touch(self, record: CallRecord) -> None:
        super().touch(record)
        self.touched.set()


class Kept:
    """A recorder, the session it follows, and what is on disk."""

    def __init__(self, state: Path, *, transcripts: bool) -> None:
        self.records = Touched(state)
        self.recorder = Recorder(self.records, a_record("AJ_1"), transcripts=transcripts)
        self.session: rtc.EventEmitter[Any] = rtc.EventEmitter()
        self.recorder.attach(cast("Any", self.session))

    async def read(self) -> CallRecord:
        """Return what is on disk, when all that was noted until now is."""
        await asyncio.wrap_future(self.recorder._thread.submit(lambda: None))
        return self.records.read(self.records.find("AJ_1"))

    def tool(self, update: ToolCallStarted | ToolCallEnded, at: float) -> None:
        event = ToolExecutionUpdatedEvent(update=update, created_at=at)
        self.session.emit("tool_execution_updated", event)

    def speaks(self, who: str, state: Any, at: float) -> None:
        kind = {"user": UserStateChangedEvent, "agent": AgentStateChangedEvent}[who]
        event = kind(old_state="speaking", new_state=state, created_at=at)
        self.session.emit(f"{who}_state_changed", event)

    def says(self, role: Any, **metrics: Any) -> None:
        item = ChatMessage(role=role, content=[SECRET], metrics=cast("Any", metrics))
        self.session.emit("conversation_item_added", ConversationItemAddedEvent(item=item))


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    one = Kept(tmp_path, transcripts=False)
    yield one
    await one.recorder.ended("over")


async def test_a_record_is_there_from_the_beginning(kept: Kept) -> None:
    assert await kept.read() == a_record("AJ_1")


async def test_backends_come_and_go_in_order(kept: Kept) -> None:
    kept.recorder.entered(BACKEND)
    kept.recorder.left(BACKEND, "stalled" * 100)
    kept.recorder.left(BACKEND, "unauthorized")
    kept.recorder.entered(BACKEND)
    assert (await kept.read()).backends[-1].gap is None
    kept.recorder.heard(BACKEND, 0.21049)
    stays = (await kept.read()).backends
    assert [bool(stay.entered) for stay in stays] == [True, False, True]
    assert [stay.reason for stay in stays] == [("stalled" * 100)[:200], "unauthorized", None]
    assert [bool(stay.left) for stay in stays] == [True, True, False]
    assert [stay.gap for stay in stays] == [None, None, 0.21]
    assert {(stay.name, stay.kind) for stay in stays} == {("primary", "openai-realtime")}


async def test_a_backend_that_cannot_be_built_is_not_the_one_that_has_the_call(kept: Kept) -> None:
    """The next of the list is built while the present one begins."""
    keyless = replace(BACKEND, name="keyless")
    kept.recorder.entered(BACKEND)
    kept.recorder.left(keyless, "no_key")
    kept.recorder.heard(BACKEND, 0.5)
    kept.says("assistant")
    kept.recorder.left(BACKEND, "silent")
    kept.says("assistant")
    record = await kept.read()
    assert [(stay.name, stay.reason, stay.gap) for stay in record.backends] == [
        ("primary", "silent", 0.5),
        ("keyless", "no_key", None),
    ]
    assert [turn.backend for turn in record.turns] == ["primary", "primary"]


async def test_the_first_sound_answers_the_call(kept: Kept) -> None:
    for state, at in (("thinking", 10.0), ("speaking", 11.5), ("speaking", 20.0)):
        kept.speaks("agent", state, at)
    assert (await kept.read()).answered == "1970-01-01T00:00:11.500Z"


async def test_an_answer_has_the_seconds_that_the_caller_waited(kept: Kept) -> None:
    kept.speaks("user", "listening", 10.0)
    kept.speaks("agent", "speaking", 10.75)
    kept.says("assistant")
    kept.speaks("agent", "speaking", 15.0)
    kept.says("assistant")
    delays = [turn.latencies.get("response_delay") for turn in (await kept.read()).turns]
    assert delays == [0.75, None]


async def test_each_call_of_a_tool_is_its_own_though_a_server_numbers_none(kept: Kept) -> None:
    call = FunctionCall(call_id="", name="look_up", arguments="{}")
    for at in (10.0, 20.0):
        kept.tool(ToolCallStarted(function_call=call), at)
        kept.tool(ToolCallEnded(id="x", call_id="", message="", status="done"), at + at / 10)
    assert [run.seconds for run in (await kept.read()).tools] == [1.0, 2.0]


async def test_a_tool_has_a_name_a_duration_and_an_outcome(kept: Kept) -> None:
    for number, status in enumerate(("done", "error", "cancelled", "")):
        call = FunctionCall(call_id=f"c{number}", name="look_up", arguments=f'{{"x": "{SECRET}"}}')
        kept.tool(ToolCallStarted(function_call=call), 10.0)
        if status:
            ended = ToolCallEnded(
                id="x", call_id=f"c{number}", message=SECRET, status=cast("Any", status)
            )
            kept.tool(ended, 10.5 + number)
    runs = (await kept.read()).tools
    assert [(run.name, run.seconds, run.outcome) for run in runs] == [
        ("look_up", 0.5, "done"),
        ("look_up", 1.5, "error"),
        ("look_up", 2.5, "cancelled"),
        ("look_up", None, "running"),
    ]
    assert SECRET not in kept.records.find("AJ_1").read_text()


async def test_a_turn_has_its_latencies_and_no_words(kept: Kept) -> None:
    kept.recorder.entered(BACKEND)
    kept.says("user", transcription_delay=0.12345, started_speaking_at=5.0)
    kept.says("assistant", e2e_latency=0.5, words=SECRET)
    kept.says("system")
    kept.session.emit(
        "conversation_item_added", ConversationItemAddedEvent(item=AgentHandoff(new_agent_id="x"))
    )
    turns = (await kept.read()).turns
    assert [(turn.who, turn.latencies) for turn in turns] == [
        ("caller", {"transcription_delay": 0.123}),
        ("agent", {"e2e_latency": 0.5}),
    ]
    assert {(turn.text, turn.backend) for turn in turns} == {(None, "primary")}
    assert "card" not in kept.records.find("AJ_1").read_text()


async def test_with_transcripts_a_turn_has_its_words(tmp_path: Path) -> None:
    kept = Kept(tmp_path, transcripts=True)
    kept.says("user")
    assert (await kept.read()).turns[0].text == SECRET
    await kept.recorder.ended("over")


async def test_usage_is_what_each_model_took_without_zeros(kept: Kept) -> None:
    usage = AgentSessionUsage([LLMModelUsage(provider="me:pw@openai", model="m", input_tokens=7)])
    kept.session.emit("session_usage_updated", SessionUsageUpdatedEvent(usage=usage))
    assert (await kept.read()).usage == (
        {"type": "llm_usage", "provider": "openai", "model": "m", "input_tokens": 7},
    )


async def test_nothing_follows_the_end(tmp_path: Path) -> None:
    kept = Kept(tmp_path, transcripts=False)
    await kept.recorder.ended("participant_disconnected")
    kept.recorder.entered(BACKEND)
    kept.says("user")
    await kept.recorder.ended("again")
    record = kept.records.read(kept.records.find("AJ_1"))
    assert (record.reason, record.backends, record.turns) == ("participant_disconnected", (), ())
    assert record.ended


async def test_a_call_that_goes_on_touches_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEAT", 0.02)
    kept = Kept(tmp_path, transcripts=False)
    await kept.read()
    (path,) = kept.records.paths()
    aged(path, 60)
    kept.records.touched.clear()
    assert await asyncio.to_thread(kept.records.touched.wait, 10)
    record = await kept.read()
    assert kept.records.ending(path, record) == "running"
    await kept.recorder.ended("over")


async def test_a_state_folder_that_fails_costs_no_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = tmp_path / "state"
    state.write_text("")
    with caplog.at_level(logging.WARNING):
        kept = Kept(state, transcripts=False)
        kept.recorder.entered(BACKEND)
        await kept.recorder.ended("over")
    assert [line.getMessage() for line in caplog.records] == ["cannot write the call's record"]


async def test_the_file_is_json_for_other_programs(kept: Kept) -> None:
    kept.recorder.entered(BACKEND)
    await kept.read()
    written = json.loads(kept.records.find("AJ_1").read_text())
    assert written["backends"][0]["name"] == "primary"
    assert written["ended"] is None
