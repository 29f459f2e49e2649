"""What a switch of backends loses of the caller's words, and what its record says of the wait."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.openai_realtime import Fault
from rig.records import ended_record
from rig.talk import PIPELINE, QUESTION, asked, conversation, gap_before, rehearse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rig.caller import Caller
    from rig.host import Host
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


async def test_words_that_a_dead_connection_swallowed_are_answered(
    dial: Dial, service: OpenAIService
) -> None:
    """Its server never says that anybody spoke; the next backend hears it all the same."""
    one = await dial("spoken")
    await one.wait_heard()
    await one.wait_silence(0.4)
    service.realtime.fault = Fault("black_hole", after=0.0)
    await service.realtime.journal.wait("broken_off")
    _, ended = await one.say(QUESTION)
    answer = await one.wait_heard(PIPELINE, after=ended)
    assert service.realtime.journal.of("speech_started") == []
    assert conversation(service)[-1] == ("user", QUESTION)
    assert gap_before(one, answer, ended) < PATIENCE + 1.5


async def test_words_that_a_deaf_server_took_are_answered(
    dial: Dial, host: Host, service: OpenAIService
) -> None:
    """It answers pings and nothing else; who is next is heard within the agent's patience."""
    one = await dial("spoken")
    await one.wait_heard()
    await one.wait_silence(0.4)
    service.realtime.fault = Fault("deaf", after=0.0)
    await service.realtime.journal.wait("broken_off")
    _, ended = await one.say(QUESTION)
    answer = await one.wait_heard(PIPELINE, after=ended)
    heard = gap_before(one, answer, ended)
    assert heard < PATIENCE + 1.0
    assert service.realtime.journal.of("speech_started") == []
    assert conversation(service)[-1] == ("user", QUESTION)
    await one.leave()
    first, second = (await ended_record(host, one.room.name))["backends"]
    assert first["reason"] == "timeout"
    assert heard < second["gap"] < heard + PAUSE


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
