"""What the fault matrix cannot say of failing backends, judged by what the caller hears."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.ear import LOUD
from rig.openai_http import HTTPFault
from rig.openai_realtime import Fault, FaultKind
from rig.records import record_of
from rig.script import Call, Tone
from rig.sound import RATE
from rig.talk import (
    ANSWERS,
    FIRST_MODEL,
    LONG,
    PIPELINE,
    QUESTION,
    REALTIME,
    SECOND_MODEL,
    asked,
    gap_before,
    greeted,
    hears_last_words,
    rehearse,
    stayed,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rig.caller import Caller
    from rig.host import Host
    from rig.openai_http import Endpoint
    from rig.openai_service import OpenAIService

    Dial = Callable[..., Awaitable[Caller]]
    Report = Callable[..., None]

AGENTS = Path(__file__).with_name("failing")
PATIENCE = 2.0  # the `first_audio_timeout` of the agents in `failing/`


@pytest.fixture(autouse=True)
def service(openai_service: OpenAIService) -> OpenAIService:
    """Let every answer be told from the others by its words."""
    rehearse(openai_service)
    return openai_service


async def test_the_list_is_gone_down_in_order_to_the_announcement(
    dial: Dial, host: Host, service: OpenAIService, report: Report
) -> None:
    service.realtime.fault = [
        Fault("401", model="gpt-realtime"),
        Fault("dies_before", model="gpt-realtime-mini"),
    ]
    one = await dial("three")
    heard = await one.wait_heard(PIPELINE)
    await one.wait_happening("disconnected")
    left = [
        (line["backend"], line["reason"])
        for line in host.log
        if line["message"] == "leaving backend" and line["room"] == one.room.name
    ]
    report(case="401, no key, dies: announcement", gap=f"{heard.start:.2f}")
    assert left == [("first", "unauthorized"), ("second", "connection_lost")]
    assert heard.seconds > 1.2
    record = await record_of(host, one.room.name, lambda record: bool(record.ended))
    assert [(stay.name, stay.reason) for stay in record.backends] == [
        ("first", "unauthorized"),
        ("keyless", "no_key"),
        ("second", "connection_lost"),
        ("sorry", None),
    ]


async def test_the_last_backend_is_tried_again(
    dial: Dial, host: Host, service: OpenAIService, report: Report
) -> None:
    service.realtime.fault = Fault("dies_before", response=1)
    one = await dial("alone")
    ended = await asked(one)
    await host.wait_log("leaving backend", room=one.room.name)
    service.realtime.fault = None
    answer = await one.wait_heard(REALTIME, after=ended)
    await one.wait_caption("A lot.")
    report(case="alone, dies", gap=f"{gap_before(one, answer, ended):.2f}")


async def test_a_call_ends_when_nothing_can_carry_it(
    dial: Dial, host: Host, service: OpenAIService, report: Report
) -> None:
    service.realtime.fault = Fault("refuse")
    one = await dial("alone")
    await host.wait_log("no backend can carry the call", room=one.room.name)
    await hears_last_words(one)
    ended = await one.wait_happening("disconnected")
    await host.wait_log("call ended", room=one.room.name, reason="no backend can carry the call")
    report(case="alone, refused: ended", gap=f"{ended.time:.2f}")


async def test_a_last_backend_that_stays_silent_is_given_up(
    dial: Dial, service: OpenAIService, report: Report
) -> None:
    """It is tried once more, with twice the patience."""
    service.realtime.fault = Fault("never_answers")
    one = await dial("alone")
    sorry = await one.wait_heard(within=20)
    report(case="alone, mute: last words", gap=f"{sorry.start:.2f}")
    assert sorry.start < 3 * PATIENCE + 2
    assert len(service.realtime.journal.of("connecting")) == 2


@pytest.mark.parametrize("agent", ["spoken", "typed"])
async def test_a_silent_caller_is_no_failure(dial: Dial, host: Host, agent: str) -> None:
    one = await dial(agent)
    await one.wait_heard()
    await one.wait_silence(PATIENCE + 1)
    assert stayed(host, one)


async def test_a_server_that_finds_no_words_in_a_sound_is_no_failure(
    dial: Dial, host: Host, service: OpenAIService
) -> None:
    """It says nothing of a cough; but it answers when it is asked whether it is there."""
    one = await dial("spoken")
    await greeted(one)
    service.realtime.loud = float("inf")
    before = len(service.realtime.journal.of("session.update"))
    await one.say("Ahem, ahem!")
    await service.realtime.journal.wait("session.update", count=before + 1)
    await one.wait_silence(PATIENCE)
    service.realtime.loud = LOUD
    ended = await asked(one)
    await one.wait_heard(REALTIME, after=ended)
    assert stayed(host, one)


@pytest.mark.parametrize("agent", ["spoken", "typed"])
async def test_a_long_tool_is_no_failure(
    dial: Dial, host: Host, service: OpenAIService, agent: str
) -> None:
    call = Call("look_up_history", then=Tone("It was fine."))
    service.realtime.script = {"": Tone("Welcome."), "do for me": call}
    service.http.answers({"": "Welcome here.", "do for me": call})
    one = await dial(agent)
    ended = await asked(one)
    await one.wait_heard(after=ended)
    await one.wait_caption("It was fine.")
    assert stayed(host, one)


async def test_a_slow_backend_is_no_failure(dial: Dial, host: Host, service: OpenAIService) -> None:
    service.realtime.fault = Fault("slow", after=PATIENCE - 0.4)
    one = await dial("spoken")
    ended = await asked(one)
    await one.wait_heard(REALTIME, after=ended)
    assert stayed(host, one)


@pytest.mark.parametrize("part", ["stt", "chat", "tts"])
async def test_a_pipeline_with_a_slow_part_is_no_failure(
    dial: Dial, host: Host, service: OpenAIService, part: Endpoint
) -> None:
    service.http.faults = {part: HTTPFault("slow", after=PATIENCE - 0.8)}
    one = await dial("typed")
    ended = await asked(one)
    answer = await one.wait_heard(PIPELINE, after=ended)
    await one.wait_caption(ANSWERS[PIPELINE])
    assert answer.start - ended > PATIENCE - 0.8
    assert stayed(host, one)


@pytest.mark.parametrize("agent", ["spoken", "typed"])
async def test_a_long_answer_is_no_failure(
    dial: Dial, host: Host, service: OpenAIService, agent: str
) -> None:
    service.realtime.script = [Tone(LONG, 5.0)]
    service.http.answers({"": LONG})
    one = await dial(agent)
    answer = await one.wait_heard()
    assert await one.wait_silence(0.5, after=answer.start) - answer.start > 4.5
    assert stayed(host, one)


@pytest.mark.parametrize(("agent", "hz"), [("spoken", REALTIME), ("typed", PIPELINE)])
async def test_a_caller_who_talks_over_the_agent_is_no_failure(
    dial: Dial, host: Host, service: OpenAIService, agent: str, hz: float
) -> None:
    """The answer that they cut off owes them nothing; the backend answers them, and stays."""
    service.realtime.script = {"": Tone(LONG, 20.0), "do for me": Tone("Yes?", 0.5)}
    service.http.answers({"": LONG * 4, "do for me": "Yes?"})
    one = await dial(agent)
    # LiveKit keeps from the model what is said in the agent's first 3 s of speech.
    long = await one.wait_heard(hz, seconds=3.3)
    began, _ = await one.say(QUESTION)
    await one.wait_heard(hz, after=long.end + 0.2)
    assert began < long.end < began + 2
    await one.wait_silence(PATIENCE + 1)
    assert stayed(host, one)


@pytest.mark.parametrize("agent", ["spoken", "typed"])
async def test_a_caller_who_listens_late_is_no_failure(dial: Dial, host: Host, agent: str) -> None:
    one = await dial(agent, subscribe=False)
    await one.wait_happening("track_published")
    await one.wait_silence(PATIENCE + 1, after=one.now)
    one.listen()
    await one.wait_heard()
    assert stayed(host, one)


async def test_the_fallback_hears_the_beginning_of_the_question(
    dial: Dial, service: OpenAIService
) -> None:
    """The fallback hears the whole question, of which the dead backend heard the beginning."""
    one = await dial("spoken")
    await greeted(one)
    asking = asyncio.create_task(one.say(QUESTION))
    await service.realtime.journal.wait("speech_started")
    service.realtime.fault = Fault("dies_idle", after=0.4)
    _, ended = await asking
    await one.wait_heard(PIPELINE, after=ended)
    sounds = [one.event["body"]["bytes"] for one in service.http.journal.of("stt")]
    assert max(sounds) > 1.3 * 2 * RATE


async def test_the_fallback_hears_the_whole_of_an_interruption(
    dial: Dial, service: OpenAIService
) -> None:
    """What a caller says over the agent is not lost when the backend dies before they are done."""
    service.realtime.script = {"": Tone(LONG, 20.0)}
    one = await dial("spoken")
    # LiveKit keeps from the model what is said in the agent's first 3 s of speech.
    await one.wait_heard(REALTIME, seconds=3.3)
    asking = asyncio.create_task(one.say("Stop it please I have got a question for you"))
    await service.realtime.journal.wait("response.cancel")
    await one.wait_silence(0.3)
    service.realtime.fault = Fault("dies_idle", after=0.2)
    _, ended = await asking
    await one.wait_heard(PIPELINE, after=ended)
    sound = service.http.journal.of("stt")[0].event["body"]["bytes"]
    assert sound > 2.0 * 2 * RATE


@pytest.mark.parametrize("kind", ["never_answers", "stalls", "dies_midway"])
async def test_a_caller_who_talks_over_an_uninterruptible_agent_is_not_left_in_silence(
    dial: Dial, service: OpenAIService, report: Report, kind: FaultKind
) -> None:
    """LiveKit keeps from the backend what is said then, so the backend still owes its answer."""
    service.realtime.script = {"": Tone(LONG, 5.0)}
    service.realtime.fault = Fault(kind, after=1.0)
    one = await dial("uninterruptible")
    await service.realtime.journal.wait("answering")
    _, ended = await one.say("Hello?")
    next_ = await one.wait_heard(PIPELINE)
    gap = gap_before(one, next_, ended)
    report(case=f"uninterruptible, talked over, {kind}", gap=f"{gap:.2f}")
    assert gap < PATIENCE + 1


async def test_a_caller_who_leaves_during_the_switch_ends_the_call(
    dial: Dial, host: Host, service: OpenAIService
) -> None:
    service.realtime.fault = [
        Fault("never_answers", model=FIRST_MODEL),
        Fault("handshake_hangs", model=SECOND_MODEL),
    ]
    one = await dial("two-realtime")
    await host.wait_log("leaving backend", room=one.room.name)
    await one.leave()
    await host.wait_log("call ended", room=one.room.name, reason="participant_disconnected")
    errors = [line for line in host.log if line["level"] == "ERROR"]
    assert [line for line in errors if line.get("room") == one.room.name] == []


async def test_failures_one_after_the_other_are_each_survived(
    dial: Dial, service: OpenAIService, report: Report
) -> None:
    """The second backend is mute while it takes over from the first, which died."""
    service.realtime.fault = [
        Fault("dies_midway", model="gpt-realtime", after=0.6),
        Fault("never_answers", model="gpt-realtime-mini"),
    ]
    one = await dial("three")
    greeting = await one.wait_heard(REALTIME)
    sorry = await one.wait_heard(PIPELINE)
    report(case="dies_midway, then never_answers", gap=f"{sorry.start - greeting.end:.2f}")
    assert sorry.start - greeting.end < PATIENCE + 1.5
    await one.wait_happening("disconnected")


async def test_an_answer_in_text_is_spoken_and_no_failure(
    dial: Dial, host: Host, service: OpenAIService
) -> None:
    service.realtime.fault = Fault("text_only")
    one = await dial("spoken")
    await one.wait_heard(PIPELINE)
    await one.wait_silence(0.5)
    assert stayed(host, one)


async def test_later_calls_pass_over_a_backend_without_a_key(
    dial: Dial, host: Host, service: OpenAIService, report: Report
) -> None:
    """The second call does not even try what the first one has found to be refused."""
    service.realtime.fault = Fault("401")
    first = await dial("spoken")
    await first.wait_heard(PIPELINE)
    await first.leave()
    tried = len(service.realtime.journal.of("connecting"))
    second = await dial("spoken")
    greeting = await second.wait_heard(PIPELINE)
    passing = await host.wait_log("passing over backend", room=second.room.name)
    assert (passing["agent"], passing["reason"]) == ("spoken", "unauthorized")
    report(case="breaker open", gap=f"{greeting.start:.2f}")
    rooms = [line["room"] for line in host.log if line["message"] == "leaving backend"]
    assert second.room.name not in rooms
    assert len(service.realtime.journal.of("connecting")) <= tried + 1  # one more is a probe


async def test_a_call_stays_where_it_is_and_the_next_begins_with_the_primary_that_is_back(
    dial: Dial, host: Host, service: OpenAIService, report: Report
) -> None:
    """A probe finds the primary back: that moves no call that is on, and every one to come."""
    service.realtime.fault = Fault("response_failed", response=1, code="insufficient_quota")
    first = await dial("spoken")
    ended = await asked(first)
    await first.wait_heard(PIPELINE, after=ended)
    service.realtime.fault = None
    await host.wait_log("backend closed", reason="quota")
    _, ended = await first.say(QUESTION)
    answer = await first.wait_heard(after=ended)
    assert answer.hz == PIPELINE
    assert first.heard(REALTIME, ended) == 0
    second = await dial("spoken")
    greeting = await second.wait_heard()
    assert greeting.hz == REALTIME
    report(case="primary is back", gap=f"{greeting.start:.2f}")
    assert stayed(host, second)


async def test_a_pipeline_behind_finds_its_connections_open(
    dial: Dial, host: Host, service: OpenAIService
) -> None:
    """What it asks first travels on a connection from before the failure."""
    service.realtime.fault = Fault("dies_before", response=1)
    one = await dial("spoken")
    await one.wait_heard()
    # One is LiveKit's, for the TTS beside the realtime model.
    await service.http.journal.wait("/v1/", count=4)
    opened = {entry.event["port"] for entry in service.http.journal}
    ended = await asked(one)
    await one.wait_heard(PIPELINE, after=ended)
    asked_for = service.http.journal.of("chat") + service.http.journal.of("tts")
    assert {entry.event["port"] for entry in asked_for} <= opened
    await one.leave()
    # Or it may yet try the realtime model again, which the next test would take for its own.
    await host.wait_log("call ended", room=one.room.name)


async def test_a_realtime_model_behind_finds_its_connection_open(
    dial: Dial, service: OpenAIService
) -> None:
    """Its WebSocket takes over a connection from before the failure."""
    service.http.faults = {"chat": HTTPFault("500", request=1)}
    one = await dial("typed")
    opened = await service.http.journal.wait("/v1")
    ended = await asked(one)
    await one.wait_heard(REALTIME, after=ended)
    (connecting,) = service.realtime.journal.of("connecting")
    assert connecting.event["port"] == opened.event["port"]
