"""A call outlives its backend: each fault at each moment, judged by what the caller hears."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rig.host import Host
from rig.openai_realtime import Fault
from rig.script import Tone

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
