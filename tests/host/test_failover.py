"""A call outlives its backend: each fault at each moment, judged by what the caller hears."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rig.host import Host
from rig.openai_http import HTTPFault
from rig.openai_realtime import Fault
from rig.script import Call, Tone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from rig.caller import Caller, Span
    from rig.livekit_server import LiveKitServer
    from rig.openai_service import OpenAIService

    Dial = Callable[..., Awaitable[Caller]]

FAILING = Path(__file__).with_name("failing")
REALTIME, PIPELINE = 440.0, 880.0
PATIENCE = 2.0  # the `first_audio_timeout` of the agents in `failing/`
QUESTION = "What can you do for me?"
LONG = "This is a long answer that goes on for quite a while, word after word after word."


@pytest.fixture(scope="module")
def host(
    livekit_server: LiveKitServer,
    running_openai_service: OpenAIService,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Host]:
    """Serve `failing/` for all tests of this module."""
    environment = {**livekit_server.environment, **running_openai_service.environment}
    one = Host.serve(FAILING, environment=environment, home=tmp_path_factory.mktemp("host"))
    yield one.start()
    one.kill()


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


def gap_before(one: Caller, next_: Span) -> float:
    """Return the silence before a span."""
    return next_.start - max([0.0, *(s.end for s in one.spans if s.start < next_.start)])


def chat(service: OpenAIService) -> list[dict[str, Any]]:
    """Return the conversation as the language model was last given it."""
    messages: list[dict[str, Any]] = service.http.journal.of("chat")[-1].event["body"]["messages"]
    return messages


@dataclass(frozen=True)
class AtStart:
    """How a realtime primary fails before it greets, and the latest greeting of the fallback."""

    kind: str
    reason: str
    latest: float = 2.0


AT_START = [
    AtStart("refuse", "died"),
    AtStart("handshake_hangs", "silent", 2.0 + PATIENCE + 1.5),
    AtStart("401", "unauthorized"),
    AtStart("403", "unauthorized"),
    AtStart("404", "not_found"),
    AtStart("429", "rate_limit"),
    AtStart("500", "failed"),
    AtStart("invalid_api_key", "unauthorized"),
    AtStart("insufficient_quota", "quota"),
    AtStart("model_not_found", "not_found"),
    AtStart("never_answers", "silent", 2.0 + PATIENCE + 1.5),
    AtStart("response_failed", "failed"),
    AtStart("dies_before", "died"),
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
    print(f"MEASURED start {case.kind}: heard at {greeting.start:.2f}, {line['reason']}")
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
    print(
        f"MEASURED dies_midway: {one.heard(REALTIME, ended):.2f} s heard, gap {gap_before(one, next_):.2f}"
    )
    assert cut.seconds > 0.8
    assert gap_before(one, next_) < 0.8
    told = chat(service)
    assert [m["role"] for m in told if m["role"] != "system"][-2:] == ["user", "assistant"]
    assert told[-1]["content"] in LONG or "cut off" in str(told[-1])


async def test_a_stall_in_mid_answer_is_taken_up_by_the_fallback(
    dial: Dial, service: OpenAIService
) -> None:
    service.realtime.script = {"": Tone("Welcome."), "do for me": Tone(LONG, 5.0)}
    service.realtime.fault = Fault("stalls", response=1, after=1.0)
    one = await dial("spoken")
    ended = await asked(one)
    next_ = await one.wait_heard(PIPELINE, after=ended)
    print(
        f"MEASURED stalls: {one.heard(REALTIME, ended):.2f} s heard, gap {gap_before(one, next_):.2f}"
    )
    assert one.heard(REALTIME, ended) > 0.8
    assert PATIENCE - 0.3 < gap_before(one, next_) < PATIENCE + 1
    print(chat(service))


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
    print(f"MEASURED answer {kind}: {answer.start - ended:.2f} after the question")
    assert answer.start - ended < latest + 0.5
    print(chat(service))
    contents = [m["content"] for m in chat(service) if m["role"] != "system"]
    assert str(contents[:2]) == str(["Welcome.", QUESTION]) or str(contents[0]).startswith("[")


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
    print(
        f"MEASURED pipeline {endpoint} {kind}: {answer.start - ended:.2f} after the question, gap {gap_before(one, answer):.2f}"
    )
    print([e.event["item"] for e in service.realtime.journal.of("conversation.item.create")])
    assert gap_before(one, answer) < latest + 1.5


@pytest.mark.parametrize("kind", ["401", "500", "hang"])
async def test_realtime_answers_when_the_pipeline_does_not_hear(
    dial: Dial, service: OpenAIService, kind: Any
) -> None:
    service.http.faults = {"stt": HTTPFault(kind)}
    one = await dial("typed")
    ended = await asked(one)
    answer = await one.wait_heard(REALTIME, after=ended)
    await one.wait_caption("A lot.")
    print(
        f"MEASURED pipeline stt {kind}: {answer.start - ended:.2f} after the question, gap {gap_before(one, answer):.2f}"
    )


async def test_an_idle_death_is_not_heard(dial: Dial, service: OpenAIService, host: Host) -> None:
    service.realtime.fault = Fault("dies_idle", after=1.0)
    one = await dial("spoken")
    await one.wait_heard(REALTIME)
    await host.wait_log("took over", room=one.room.name)
    await one.wait_silence(1.0)
    assert one.heard(PIPELINE) == 0
    _, ended = await one.say(QUESTION)
    answer = await one.wait_heard(PIPELINE)
    print(f"MEASURED dies_idle: {answer.start - ended:.2f} after the question")


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
    print(f"MEASURED dies while a tool runs: {answer.start - ended:.2f} after the question")
    told = chat(service)
    outputs = [message["content"] for message in told if message["role"] == "tool"]
    print(told)
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
    print(f"MEASURED 401, no key, dies: announcement at {heard.start:.2f}")
    assert left == [("first", "unauthorized"), ("second", "died")]
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
    print(f"MEASURED alone, dies: {answer.start - ended:.2f} after the question")


async def test_a_call_ends_when_nothing_can_carry_it(
    dial: Dial, host: Host, service: OpenAIService
) -> None:
    service.realtime.fault = Fault("refuse")
    one = await dial("alone")
    ended = await one.wait_happening("disconnected", within=15)
    await host.wait_log("call ended", room=one.room.name)
    print(f"MEASURED alone, refused: ended at {ended.time:.2f}")


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
