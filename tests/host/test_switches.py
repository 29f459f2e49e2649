"""What a switch of backends loses of the caller's words, and what its record says of the wait."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.ear import LOUD
from rig.openai_http import HTTPFault
from rig.openai_realtime import Fault
from rig.records import ended_record
from rig.script import Call, Tone
from rig.talk import (
    FIRST_MODEL,
    GREETINGS,
    LONG,
    PIPELINE,
    QUESTION,
    REALTIME,
    SECOND,
    SECOND_MODEL,
    asked,
    conversation,
    gap_before,
    greeted,
    hears_last_words,
    rehearse,
    times_greeted,
)

from runner.catalog.breaker import Breakers
from runner.definition.loader import load

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rig.caller import Caller
    from rig.host import Host
    from rig.openai_realtime import FaultKind
    from rig.openai_service import OpenAIService

    Dial = Callable[..., Awaitable[Caller]]

AGENTS = Path(__file__).with_name("failing")
PATIENCE = 2.0  # the `first_audio_timeout` of the agents in `failing/`
PAUSE = 0.3 + 0.15  # seconds of silence at the end of what the caller is made to say, and a margin
_TOLD = 0.7  # seconds until anybody says that the caller is silent; and what a busy machine adds


@pytest.fixture(autouse=True)
def service(openai_service: OpenAIService) -> OpenAIService:
    """Let every answer be told from the others by its words."""
    rehearse(openai_service)
    return openai_service


async def unheard(one: Caller, service: OpenAIService, fault: FaultKind) -> float:
    """Ask a server that is lost, and be answered by the next; return the silence before that."""
    await greeted(one)
    service.realtime.fault = Fault(fault, after=0.0)
    await service.realtime.journal.wait("broken_off")
    _, ended = await one.say(QUESTION)
    answer = await one.wait_heard(PIPELINE, after=ended)
    assert service.realtime.journal.of("speech_started") == []
    assert conversation(service)[-1] == ("user", QUESTION)
    return gap_before(one, answer, ended)


async def test_words_that_a_dead_connection_swallowed_are_answered(
    dial: Dial, service: OpenAIService
) -> None:
    """Its server never says that anybody spoke; the next backend hears it all the same."""
    one = await dial("spoken")
    assert await unheard(one, service, "black_hole") < PATIENCE + 1.5


async def test_words_that_a_deaf_server_took_are_answered(
    dial: Dial, host: Host, service: OpenAIService
) -> None:
    """It answers pings and nothing else; who is next is heard within the agent's patience."""
    one = await dial("spoken")
    heard = await unheard(one, service, "deaf")
    assert heard < PATIENCE + 1.0
    await one.leave()
    first, second = (await ended_record(host, one.room.name))["backends"]
    assert first["reason"] == "timeout"
    assert heard < second["gap"] < heard + PAUSE


async def test_a_thought_is_finished_by_whoever_can(dial: Dial, service: OpenAIService) -> None:
    """The second backend dies before it has said a word of it; the third does it instead."""
    service.realtime.script = {"": Tone(GREETINGS[0]), "do for me": Tone(LONG, 5.0)}
    service.realtime.fault = [
        Fault("dies_midway", response=1, after=2.0, model=FIRST_MODEL),
        Fault("dies_before", model=SECOND_MODEL),
    ]
    one = await dial("two-realtime")
    ended = await asked(one)
    await one.wait_heard(REALTIME, after=ended)
    await one.wait_heard(PIPELINE, after=ended)
    assert one.heard(SECOND) == 0
    assert conversation(service)[-1][1] in LONG
    asked_for = service.http.journal.of("chat")[-1].event["body"]["messages"]
    assert "Finish that thought" in str(asked_for)


async def test_the_last_backend_finishes_its_thought_when_it_is_back(
    dial: Dial, host: Host, service: OpenAIService
) -> None:
    """It is refused when it is tried again; the next time it goes on."""
    service.realtime.script = {"": Tone(GREETINGS[0]), "do for me": Tone(LONG, 5.0)}
    service.realtime.fault = Fault("dies_midway", response=1, after=2.0)
    one = await dial("alone")
    ended = await asked(one)
    await service.realtime.journal.wait("broken_off")
    service.realtime.fault = Fault("refuse")
    await host.wait_log("leaving backend", room=one.room.name, count=2)
    service.realtime.fault = None
    broken = await one.wait_heard(REALTIME, after=ended)
    await one.wait_silence(0.2)
    await one.wait_heard(REALTIME, after=broken.end)
    assert "Finish that thought" in str(service.realtime.journal.of("response.create")[-1].event)


async def test_an_answer_that_was_received_is_heard_to_its_end(
    dial: Dial, host: Host, service: OpenAIService
) -> None:
    """Its server dies when it has sent all of it; nobody says it again."""
    service.realtime.script = {"": Tone(GREETINGS[0]), "do for me": Tone(LONG, 10.0)}
    service.realtime.fault = Fault("dies_after", response=1)
    service.realtime.pace = 8.0
    one = await dial("spoken")
    ended = await asked(one)
    await host.wait_log("leaving backend", room=one.room.name)
    await host.wait_log("took over", room=one.room.name)
    assert one.heard(REALTIME, ended) > 9.5
    await one.wait_silence(1.0)
    assert one.heard(PIPELINE) == 0


@pytest.mark.slow
async def test_an_answer_that_would_go_on_for_too_long_is_finished_in_a_few_words(
    dial: Dial, service: OpenAIService
) -> None:
    """While it plays, nobody hears the caller."""
    service.realtime.script = {"": Tone(GREETINGS[0]), "do for me": Tone(LONG, 24.0)}
    service.realtime.fault = Fault("dies_after", response=1)
    service.realtime.pace = 8.0
    one = await dial("spoken")
    ended = await asked(one)
    next_ = await one.wait_heard(PIPELINE, after=ended, within=25)
    assert gap_before(one, next_) < 1.0
    assert 15 < one.heard(REALTIME, ended) < 20
    assert "Finish that thought" in str(service.http.journal.of("chat")[-1].event)


async def test_what_only_the_lost_server_took_for_words_costs_nobody_else(
    dial: Dial, host: Host, service: OpenAIService
) -> None:
    """The next one finds no words in a cough, and owes no answer to it."""
    one = await dial("two-realtime")
    await greeted(one)
    coughing = asyncio.create_task(one.say("Ahem, ahem!"))
    await service.realtime.journal.wait("speech_started")
    service.realtime.loud = float("inf")
    service.realtime.fault = Fault("dies_idle", after=0.0, model=FIRST_MODEL)
    await coughing
    await host.wait_log("took over", room=one.room.name)
    await one.wait_silence(PATIENCE + 1)
    service.realtime.loud = LOUD
    _, ended = await one.say(QUESTION)
    await one.wait_heard(SECOND, after=ended)
    left = [line for line in host.log if line["message"] == "leaving backend"]
    assert [line["backend"] for line in left if line["room"] == one.room.name] == [
        "openai-realtime-1"
    ]


async def test_a_gap_counts_from_the_end_of_the_caller_s_words(
    dial: Dial, host: Host, service: OpenAIService
) -> None:
    """Neither the caller's pause after the greeting nor their question is the backend's silence."""
    service.realtime.fault = Fault("dies_before", response=1)
    one = await dial("spoken")
    ended = await asked(one)
    answer = await one.wait_heard(PIPELINE, after=ended)
    await one.leave()
    first, second = (await ended_record(host, one.room.name))["backends"]
    assert first["gap"] is None
    heard = gap_before(one, answer, ended)
    assert heard - _TOLD < second["gap"] < heard + 0.1


async def test_a_switch_that_nobody_waited_for_has_no_gap(
    dial: Dial, host: Host, service: OpenAIService
) -> None:
    service.realtime.fault = Fault("dies_idle", after=0.5)
    one = await dial("spoken")
    await one.wait_heard()
    await host.wait_log("took over", room=one.room.name)
    await one.leave()
    stays = (await ended_record(host, one.room.name))["backends"]
    assert [stay["gap"] for stay in stays] == [None, None]
    assert stays[0]["left"] <= stays[1]["entered"]


async def test_a_cough_does_not_cost_the_answer(dial: Dial, service: OpenAIService) -> None:
    """The language model hangs over a question, and the caller coughs meanwhile."""
    service.hears(QUESTION, "")
    service.http.faults = {"chat": HTTPFault("hang", request=1)}
    one = await dial("typed")
    await asked(one)
    await service.http.journal.wait("chat", count=2)
    _, ended = await one.say("Ahem!")
    answer = await one.wait_heard(REALTIME, after=ended)
    assert answer.start - ended < PATIENCE + 1.5
    assert len(service.http.journal.of("stt")) == 2
    assert "Answer what the caller said last" in str(
        service.realtime.journal.of("response.create")[-1].event
    )


async def test_the_parts_of_a_pipeline_share_its_patience(
    dial: Dial, service: OpenAIService
) -> None:
    """The transcription is slow, and the language model then never answers."""
    service.http.faults = {
        "stt": HTTPFault("slow", after=PATIENCE - 0.6),
        "chat": HTTPFault("hang", request=1),
    }
    one = await dial("typed")
    ended = await asked(one)
    answer = await one.wait_heard(REALTIME, after=ended)
    assert answer.start - ended < PATIENCE + 1.2


async def test_a_greeting_that_nobody_has_heard_is_given_by_the_next(
    dial: Dial, host: Host, service: OpenAIService
) -> None:
    """The first dies while its first words wait for a caller who listens late."""
    service.realtime.fault = Fault("dies_midway", after=0.6)
    one = await dial("spoken", subscribe=False)
    await host.wait_log("took over", room=one.room.name)
    one.listen()
    await one.wait_heard(PIPELINE)
    assert one.heard(REALTIME) == 0
    assert times_greeted(service) == 2


@pytest.mark.slow
async def test_what_is_said_at_the_beginning_of_a_long_tool_is_answered(
    dial: Dial, host: Host, service: OpenAIService
) -> None:
    """The backend is dead by then, and the switch waits for the tool."""
    service.realtime.script = {"": Tone(GREETINGS[0]), "do for me": Call("look_up_for_long")}
    service.realtime.fault = Fault("dies_after", response=1)
    service.http.hears("And what else?")
    service.http.answers({"": GREETINGS[1], "what else": "Nothing else."})
    one = await dial("spoken")
    await asked(one)
    await host.wait_log("leaving backend", room=one.room.name)
    await one.say("And what else?")
    await one.wait_caption("Nothing else.", within=40)


async def test_last_words_are_no_sign_of_life_of_the_backend_that_was_left(
    dial: Dial, host: Host, service: OpenAIService
) -> None:
    """Later calls still know that it is refused."""
    service.realtime.fault = Fault("401")
    one = await dial("alone")
    await hears_last_words(one)
    ended = await ended_record(host, one.room.name)
    assert ended["reason"] == "no backend can carry the call"
    (backend,) = load([AGENTS]).specs["alone"].backends
    opened = Breakers(host.state, service.environment).opened(backend)
    assert opened
    assert opened.reason == "unauthorized"
    said = [line["message"] for line in host.log if line.get("room") == one.room.name]
    assert "backend started" not in said


@pytest.mark.slow
async def test_a_backend_that_greets_and_then_fails_is_passed_over(
    dial: Dial, host: Host, service: OpenAIService
) -> None:
    service.http.faults = {"stt": HTTPFault("500")}
    for _ in range(3):
        one = await dial("typed")
        ended = await asked(one)
        await one.wait_heard(REALTIME, after=ended)
        await one.leave()
        await ended_record(host, one.room.name)
    one = await dial("typed")
    await one.wait_heard(REALTIME)
    await host.wait_log("passing over backend", room=one.room.name, reason="server_error")
