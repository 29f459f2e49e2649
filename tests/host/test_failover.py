"""A call outlives its backend: each fault at each moment, judged by what the caller hears."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rig.openai_http import HTTPFault
from rig.openai_realtime import Fault
from rig.script import Call, Tone
from rig.sound import RATE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rig.caller import Caller, Span
    from rig.host import Host
    from rig.openai_service import OpenAIService

    Dial = Callable[..., Awaitable[Caller]]

AGENTS = Path(__file__).with_name("failing")
REALTIME, PIPELINE = 440.0, 880.0
PATIENCE = 2.0  # the `first_audio_timeout` of the agents in `failing/`
QUESTION = "What can you do for me?"
LONG = "This is a long answer that goes on for quite a while, word after word after word."


@pytest.fixture(autouse=True)
def service(openai_service: OpenAIService) -> OpenAIService:
    """Let every answer be told from the others by its words."""
    openai_service.hears(QUESTION)
    openai_service.realtime.script = {"": Tone("Welcome."), "do for me": Tone("A lot.", 1.5)}
    openai_service.http.answers({"": "Welcome here.", "do for me": "I can do a lot."})
    return openai_service


async def asked(one: Caller) -> float:
    """Ask when the greeting is over; return when the question was over."""
    await one.wait_heard()
    await one.wait_silence(0.4)
    _, ended = await one.say(QUESTION)
    return ended


def gap_before(one: Caller, next_: Span, ended: float = 0.0) -> float:
    """Return for how long neither the agent nor, until `ended`, the caller was heard."""
    return next_.start - max([ended, *(s.end for s in one.spans if s.start < next_.start)])


def conversation(service: OpenAIService) -> list[tuple[str, str]]:
    """Return the conversation as the language model was last given it."""
    messages = service.http.journal.of("chat")[-1].event["body"]["messages"]
    return [(one["role"], one.get("content")) for one in messages if one["role"] != "system"]


def measured(case: str, seconds: float) -> None:
    """Add a line to the report that `pytest -s` shows."""
    print(f"  {case}: {seconds:.2f} s")


@dataclass(frozen=True)
class AtStart:
    """How a realtime primary fails before it greets, and the latest greeting of the fallback."""

    kind: str
    reason: str
    latest: float = 2.0


AT_START = [
    AtStart("refuse", "connection_lost"),
    AtStart("handshake_hangs", "silent", 2.0 + PATIENCE + 1.5),
    AtStart("401", "unauthorized"),
    AtStart("403", "forbidden"),
    AtStart("404", "not_found"),
    AtStart("429", "rate_limit"),
    AtStart("500", "server_error"),
    AtStart("invalid_api_key", "unauthorized"),
    AtStart("insufficient_quota", "quota"),
    AtStart("model_not_found", "not_found"),
    AtStart("never_answers", "silent", 2.0 + PATIENCE + 1.5),
    AtStart("response_failed", "server_error"),
    AtStart("dies_before", "connection_lost"),
    AtStart("empty", "empty"),
    AtStart("no_audio", "silent"),
]


@pytest.mark.parametrize("case", AT_START, ids=lambda case: case.kind)
async def test_the_fallback_greets_when_the_primary_cannot(
    dial: Dial, host: Host, service: OpenAIService, case: AtStart
) -> None:
    service.realtime.fault = Fault(case.kind)
    one = await dial("spoken")
    greeting = await one.wait_heard(PIPELINE)
    line = await host.wait_log("leaving backend", room=one.room.name)
    measured(f"start {case.kind}", greeting.start)
    await one.wait_silence(0.5)
    assert one.heard(REALTIME) == 0
    assert len(service.http.journal.of("chat")) == 1
    assert line["reason"] == case.reason
    assert greeting.start < case.latest


async def test_a_death_in_mid_answer_is_taken_up_by_the_fallback(
    dial: Dial, service: OpenAIService
) -> None:
    service.realtime.script = {"": Tone("Welcome."), "do for me": Tone(LONG, 5.0)}
    service.realtime.fault = Fault("dies_midway", response=1, after=1.0)
    service.http.answers({"": "Welcome here.", "do for me": "And so on and on."})
    one = await dial("spoken")
    ended = await asked(one)
    cut = await one.wait_heard(REALTIME, after=ended)
    next_ = await one.wait_heard(PIPELINE, after=ended)
    measured("dies_midway", gap_before(one, next_))
    assert cut.seconds > 0.8
    assert gap_before(one, next_) < 0.8
    *_, (asker, words), (answerer, heard) = conversation(service)
    assert (asker, words, answerer) == ("user", QUESTION, "assistant")
    assert LONG.startswith(heard.rstrip())


async def test_a_stall_in_mid_answer_is_taken_up_by_the_fallback(
    dial: Dial, service: OpenAIService
) -> None:
    service.realtime.script = {"": Tone("Welcome."), "do for me": Tone(LONG, 5.0)}
    service.realtime.fault = Fault("stalls", response=1, after=1.0)
    one = await dial("spoken")
    ended = await asked(one)
    next_ = await one.wait_heard(PIPELINE, after=ended)
    measured("stalls", gap_before(one, next_))
    assert one.heard(REALTIME, ended) > 0.8
    assert PATIENCE - 0.3 < gap_before(one, next_) < PATIENCE + 1
    assert LONG.startswith(conversation(service)[-1][1])


ANSWERING = [
    ("never_answers", PATIENCE + 1), ("dies_before", 1.5), ("response_failed", 1.5),
    ("empty", 1.5), ("no_audio", 1.5),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "latest"), ANSWERING)
async def test_an_answer_that_does_not_come_is_given_by_the_fallback(
    dial: Dial, service: OpenAIService, kind: Any, latest: float
) -> None:
    service.realtime.fault = Fault(kind, response=1)
    one = await dial("spoken")
    ended = await asked(one)
    answer = await one.wait_heard(PIPELINE, after=ended)
    await one.wait_caption("I can do a lot.")
    measured(f"answer {kind}", gap_before(one, answer, ended))
    assert gap_before(one, answer, ended) < latest
    assert conversation(service) == [("assistant", "Welcome."), ("user", QUESTION)]


PIPELINE_FAULTS = [
    ("chat", "401", 1.5), ("chat", "429", 1.5), ("chat", "500", 1.5), ("chat", "cut", 2.0),
    ("chat", "hang", PATIENCE + 1), ("chat", "stalls", PATIENCE + 2),
    ("tts", "401", 1.5), ("tts", "500", 1.5), ("tts", "hang", PATIENCE + 1), ("tts", "cut", 2.0),
]  # fmt: skip


@pytest.mark.parametrize(("endpoint", "kind", "latest"), PIPELINE_FAULTS)
async def test_realtime_answers_when_the_pipeline_cannot(
    dial: Dial, service: OpenAIService, endpoint: Any, kind: Any, latest: float
) -> None:
    service.http.faults = {endpoint: HTTPFault(kind, request=1)}
    one = await dial("typed")
    ended = await asked(one)
    answer = await one.wait_heard(REALTIME, after=ended)
    measured(f"pipeline {endpoint} {kind}", gap_before(one, answer, ended))
    assert gap_before(one, answer, ended) < latest


@pytest.mark.parametrize("kind", ["401", "500", "hang"])
async def test_realtime_answers_when_the_pipeline_does_not_hear(
    dial: Dial, service: OpenAIService, kind: Any
) -> None:
    service.http.faults = {"stt": HTTPFault(kind)}
    one = await dial("typed")
    ended = await asked(one)
    answer = await one.wait_heard(REALTIME, after=ended)
    await one.wait_caption("A lot.")
    measured(f"pipeline stt {kind}", gap_before(one, answer, ended))
    assert gap_before(one, answer, ended) < PATIENCE + 1.5


async def test_an_idle_death_is_not_heard(dial: Dial, service: OpenAIService, host: Host) -> None:
    service.realtime.fault = Fault("dies_idle", after=1.0)
    one = await dial("spoken")
    await one.wait_heard(REALTIME)
    await host.wait_log("took over", room=one.room.name)
    await one.wait_silence(1.0)
    assert one.heard(PIPELINE) == 0
    _, ended = await one.say(QUESTION)
    answer = await one.wait_heard(PIPELINE)
    measured("dies_idle", gap_before(one, answer, ended))


async def test_a_tool_that_runs_during_the_switch_is_run_once(
    dial: Dial, service: OpenAIService
) -> None:
    call = Call("check_availability", {"day": "monday"})
    service.realtime.script = {"": Tone("Welcome."), "do for me": call}
    service.realtime.fault = Fault("dies_after", response=1)
    service.http.answers({"": "At nine or at three."})
    one = await dial("spoken")
    ended = await asked(one)
    answer = await one.wait_heard(PIPELINE, after=ended)
    measured("dies while a tool of 2 s runs", gap_before(one, answer, ended))
    outputs = [words for role, words in conversation(service) if role == "tool"]
    assert outputs == ["On monday Harbour Dental has 9:00 and 15:00."]


async def test_the_list_is_gone_down_in_order_to_the_announcement(
    dial: Dial, host: Host, service: OpenAIService
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
    measured("401, no key, dies: announcement", heard.start)
    assert left == [("first", "unauthorized"), ("second", "connection_lost")]
    assert heard.seconds > 1.2


async def test_the_last_backend_is_tried_again(
    dial: Dial, host: Host, service: OpenAIService
) -> None:
    service.realtime.fault = Fault("dies_before", response=1)
    one = await dial("alone")
    ended = await asked(one)
    await host.wait_log("leaving backend", room=one.room.name)
    service.realtime.fault = None
    answer = await one.wait_heard(REALTIME, after=ended)
    await one.wait_caption("A lot.")
    measured("alone, dies", gap_before(one, answer, ended))


async def test_a_call_ends_when_nothing_can_carry_it(
    dial: Dial, host: Host, service: OpenAIService
) -> None:
    service.realtime.fault = Fault("refuse")
    one = await dial("alone")
    await host.wait_log("no backend can carry the call", room=one.room.name)
    await one.wait_heard(seconds=0.3)
    ended = await one.wait_happening("disconnected", within=20)
    await host.wait_log("call ended", room=one.room.name)
    measured("alone, refused: ended", ended.time)


def stayed(host: Host, one: Caller) -> bool:
    rooms = [line.get("room") for line in host.log if line["message"] == "leaving backend"]
    return one.room.name not in rooms


@pytest.mark.parametrize("agent", ["spoken", "typed"])
async def test_a_silent_caller_is_no_failure(dial: Dial, host: Host, agent: str) -> None:
    one = await dial(agent)
    await one.wait_heard()
    await one.wait_silence(PATIENCE + 1)
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


@pytest.mark.parametrize("agent", ["spoken", "typed"])
async def test_a_long_answer_is_no_failure(
    dial: Dial, host: Host, service: OpenAIService, agent: str
) -> None:
    service.realtime.script = [Tone(LONG, 5.0)]
    service.http.answers({"": LONG})
    one = await dial(agent)
    await one.wait_heard(seconds=4.5)
    await one.wait_silence(0.5)
    assert stayed(host, one)


@pytest.mark.parametrize("agent", ["spoken", "typed"])
async def test_a_caller_who_talks_over_the_agent_is_no_failure(
    dial: Dial, host: Host, service: OpenAIService, agent: str
) -> None:
    # LiveKit keeps from the model what is said in the agent's first 3 s of speech.
    service.realtime.script = [Tone(LONG, 5.0)]
    service.http.answers({"": LONG})
    one = await dial(agent)
    await one.wait_heard()
    await one.say("Yes.")
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


async def test_what_is_said_during_the_switch_is_answered(
    dial: Dial, service: OpenAIService
) -> None:
    """The fallback hears the whole question, of which the dead backend heard the beginning."""
    one = await dial("spoken")
    await one.wait_heard()
    await one.wait_silence(0.4)
    asking = asyncio.create_task(one.say(QUESTION))
    await service.realtime.journal.wait("speech_started")
    service.realtime.fault = Fault("dies_idle", after=0.4)
    _, ended = await asking
    answer = await one.wait_heard(PIPELINE, after=ended)
    measured("dies while the caller speaks", gap_before(one, answer, ended))
    assert conversation(service) == [("assistant", "Welcome."), ("user", QUESTION)]
    sound = service.http.journal.of("stt")[0].event["body"]["bytes"]
    assert sound > 1.3 * 2 * RATE


async def test_failures_one_after_the_other_are_each_survived(
    dial: Dial, service: OpenAIService
) -> None:
    """The second backend is mute while it takes over from the first, which died."""
    service.realtime.fault = [
        Fault("dies_midway", model="gpt-realtime", after=0.6),
        Fault("never_answers", model="gpt-realtime-mini"),
    ]
    one = await dial("three")
    greeting = await one.wait_heard(REALTIME)
    sorry = await one.wait_heard(PIPELINE)
    measured("dies_midway, then never_answers", sorry.start - greeting.end)
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
    dial: Dial, host: Host, service: OpenAIService
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
    measured("breaker open", greeting.start)
    rooms = [line["room"] for line in host.log if line["message"] == "leaving backend"]
    assert second.room.name not in rooms
    assert len(service.realtime.journal.of("connecting")) <= tried + 1  # one more is a probe
