"""The fault matrix of tests/faults/: who is heard, how soon, knowing what; by the caller's ear.

And that the log and the record tell the same.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig import matrix
from rig.records import record_of
from rig.talk import (
    ANSWERS,
    GREETINGS,
    LONG,
    PIPELINE,
    QUESTION,
    REALTIME,
    asked,
    gap_before,
    greeted,
    known,
    times_greeted,
    told,
    voices,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rig.caller import Caller
    from rig.host import Host
    from rig.matrix import Row
    from rig.openai_service import OpenAIService

    from runner.catalog.records import CallRecord

    Dial = Callable[..., Awaitable[Caller]]

AGENTS = Path(__file__).with_name("failing")
#: Moments of failures that leave nobody waiting.
UNNOTICED = ("after-answer", "idle")
#: Seconds by which a host may know later than the caller that the caller is there, or silent.
LATER = 0.8
#: Seconds of silence at the end of what the caller is made to say, and a margin.
PAUSE = 0.3 + 0.15


class Played:
    """One row, as its moment plays it: the conversation up to the first sound of who takes over."""

    def __init__(self, row: Row, one: Caller, service: OpenAIService, host: Host) -> None:
        self.row, self.one, self.service, self.host = row, one, service, host
        self.hz = matrix.TONES[row.heard]
        self.primary = PIPELINE if row.agent == "typed" else REALTIME

    async def start(self) -> float:
        """It fails before it greets; the other greets instead, once."""
        greeting = await self.one.wait_heard(self.hz, within=12)
        await self.one.wait_silence(0.5)
        assert {span.hz for span in self.one.spans} == {self.hz}
        return greeting.start

    async def question(self) -> float:
        """It fails when it is to answer."""
        return await self._answered(await asked(self.one))

    async def mid_answer(self) -> float:
        """It fails in the middle of an answer; the other goes on with it."""
        ended = await asked(self.one)
        next_ = await self.one.wait_heard(self.hz, after=ended)
        self._knows_what_was_heard(self.one.heard(self.primary, ended, next_.start))
        return gap_before(self.one, next_)

    async def after_answer(self) -> float:
        """It fails when it has answered; nothing is heard of that until the next question."""
        ended = await asked(self.one)
        await self.one.wait_heard(self.primary, after=ended)
        return await self._unnoticed()

    async def idle(self) -> float:
        """It fails while nobody speaks; nothing is heard of that until the next question."""
        await self.one.wait_heard(self.primary)
        return await self._unnoticed()

    async def speaking(self) -> float:
        """It fails while it hears a question; the other is to hear the whole of it."""
        await greeted(self.one)
        asking = asyncio.create_task(self.one.say(QUESTION))
        await self.service.realtime.journal.wait("speech_started")
        self.row.begin(self.service)
        _, ended = await asking
        return await self._answered(ended)

    async def tool(self) -> float:
        """It fails when it has called a tool; the other answers with the result."""
        return await self._answered(await asked(self.one), words="The answer is:")

    async def tool_answer(self) -> float:
        """It fails when it is to answer with a tool's result; the other does so instead."""
        return await self.tool()

    async def _unnoticed(self) -> float:
        await self.host.wait_log("took over", room=self.one.room.name)
        await self.one.wait_silence(1.0)
        assert self.one.heard(self.hz) == 0
        _, ended = await self.one.say(QUESTION)
        return await self._answered(ended)

    def _knows_what_was_heard(self, seconds: float) -> None:
        """The cut answer has no more words in the history than its sound had time for, nor less."""
        whole = (
            matrix.SPOKEN if self.primary == REALTIME else self.service.http.speech_seconds(LONG)
        )
        heard = len(LONG.split()) * seconds / whole
        assert heard > 4
        said = [words for role, words in told(self.service, self.hz) if role == "assistant"]
        kept = len(said[-1].split())
        assert kept < heard + 2, said[-1]
        # LiveKit stops counting where the text breaks off, though its sound goes on.
        assert kept > (3 if self.row.side == "llm" else heard - 2), said[-1]

    async def _answered(self, ended: float, words: str | None = None) -> float:
        answer = await self.one.wait_heard(self.hz, after=ended)
        await self.one.wait_caption(ANSWERS[self.hz] if words is None else words, after=ended)
        return gap_before(self.one, answer, ended)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=str(row).replace(" ", "-"), marks=[pytest.mark.slow] * row.slow)
        for row in matrix.rows()
    ],
)
async def test_a_call_outlives_its_backend(
    dial: Dial,
    host: Host,
    openai_service: OpenAIService,
    row: Row,
    report: Callable[..., None],
) -> None:
    """Who takes over is heard in time, and knows the conversation as far as it was heard."""
    report(case=row, heard=row.heard, bar=f"{row.gap:.1f}")
    row.rehearse(openai_service)
    if row.moment != "speaking":
        row.begin(openai_service)
    one = await dial(row.agent)
    play = getattr(Played(row, one, openai_service, host), row.moment.replace("-", "_"))
    gap = await play()
    report(gap=f"{gap:.2f}")
    assert row.least <= gap < row.gap
    assert left_for(host, one) == {row.reason}
    assert known(openai_service, matrix.TONES[row.heard]) == list(row.keeps)
    assert voices(openai_service) == {"coral"}
    if row.moment != "start":
        assert times_greeted(openai_service) == 1
        assert sum(text in GREETINGS for _, _, text in one.captions) == 1
    check(await record_of(host, one.room.name, heard_of_the_last), row, gap)


def left_for(host: Host, one: Caller) -> set[str]:
    """Return the reasons in the log for which backends of the call were left, or never built."""
    said = ("leaving backend", "backend cannot be built")
    lines = [line for line in host.log if line["message"].startswith(said)]
    return {line["reason"] for line in lines if line["room"] == one.room.name}


def heard_of_the_last(record: CallRecord) -> bool:
    """Tell whether the record has all of its backends but for the end of the last one."""
    return len(record.backends) > 1 and record.backends[-1].left is None


def check(record: CallRecord, row: Row, gap: float) -> None:
    """The record has the reason, who took over, each tool once, and the gap as it was heard."""
    *left, last = record.backends
    assert {stay.reason for stay in left} == {row.reason}
    assert (last.kind == "openai-pipeline") == (row.heard == "pipeline")
    assert last.reason is None
    assert [run.outcome for run in record.tools] == ["done"] * (row.moment in matrix.CALLS)
    if row.moment in UNNOTICED or left[0].entered is None:
        assert last.gap is None
    else:
        assert last.gap is not None
        assert last.gap < gap + PAUSE
        # When words ended that only the next backend has heard, that one alone could tell.
        assert row.moment == "speaking" or last.gap > gap - LATER
