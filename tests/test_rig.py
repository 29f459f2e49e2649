"""The rig itself, proved with an agent that was written by hand."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, get_args

import aiohttp
import pytest
from rig.host import Host
from rig.matrix import rows
from rig.openai_http import ERRORS, HTTPFault
from rig.openai_realtime import Fault, FaultKind
from rig.script import Call, Tone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rig.caller import Caller
    from rig.livekit_server import LiveKitServer
    from rig.openai_service import OpenAIService

QUESTION = "What can you do for me?"
Dial = Callable[[str], Awaitable["Caller"]]


@pytest.fixture(scope="module")
def agents(
    livekit_server: LiveKitServer,
    running_openai_service: OpenAIService,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], Host]]:
    """Start the hand-written agent, once of each kind."""
    environment = {**livekit_server.environment, **running_openai_service.environment}
    started: dict[str, Host] = {}

    def start(kind: str) -> Host:
        if kind not in started:
            own = {**environment, "HAND_WRITTEN_WARMUP": "0", "LIVEKIT_AGENT_NAME": kind}
            home = tmp_path_factory.mktemp(kind)
            host = Host.hand_written(pipeline=kind == "pipeline", environment=own, home=home)
            started[kind] = host.start()
        return started[kind]

    yield start
    for host in started.values():
        host.kill()


@pytest.fixture
def dial(
    livekit_server: LiveKitServer,
    agents: Callable[[str], Host],
    caller: Callable[..., Caller],
) -> Dial:
    """Call the hand-written agent of a kind."""

    async def join(kind: str) -> Caller:
        await agents(kind).ready()
        one = caller()
        token = livekit_server.token(f"room-{uuid.uuid4().hex[:8]}", one.identity, agent=kind)
        await one.join(livekit_server.url, token)
        return one

    return join


async def test_realtime_greets_and_answers(dial: Dial, openai_service: OpenAIService) -> None:
    openai_service.check_key()
    openai_service.hears(QUESTION)
    openai_service.realtime.script = {"": Tone("Welcome."), "do for me": Tone("A lot.", 1.5)}
    one = await dial("realtime")
    greeting = await one.wait_heard(440, seconds=0.8)
    silent = await one.wait_silence(0.3)
    _, ended = await one.say(QUESTION)
    answer = await one.wait_heard(440, after=silent + 0.1, seconds=1.2)
    await one.wait_silence(0.3, after=answer.end)
    assert greeting.start < 3
    assert greeting.seconds == pytest.approx(1, abs=0.2)
    assert ended < answer.start < ended + 2
    assert one.heard(440) == pytest.approx(2.5, abs=0.4)
    assert {text for _, _, text in one.captions} >= {"Welcome.", QUESTION, "A lot."}
    updates = openai_service.realtime.journal.of("session.update")
    sent: dict[str, Any] = {}
    for update in updates:
        sent |= update.event["session"]
    assert sent["audio"]["output"]["voice"] == "coral"
    assert sent["instructions"] == "You are a helpful AI assistant."
    assert [tool["name"] for tool in sent["tools"]] == ["get_general_info"]
    assert "temperature" not in json.dumps([update.event for update in updates])


async def test_realtime_calls_a_tool(dial: Dial, openai_service: OpenAIService) -> None:
    openai_service.hears(QUESTION)
    openai_service.realtime.script = {"do for me": Call("get_general_info")}
    one = await dial("realtime")
    await one.wait_heard(440, seconds=0.8)
    silent = await one.wait_silence(0.3)
    await one.say(QUESTION)
    await one.wait_caption("The answer is: I'm your AI assistant", after=silent)
    output = await openai_service.realtime.journal.wait(
        "conversation.item.create", lambda event: event["item"]["type"] == "function_call_output"
    )
    assert "here to help" in output.event["item"]["output"]


async def test_realtime_is_interrupted(dial: Dial, openai_service: OpenAIService) -> None:
    openai_service.realtime.script = [Tone("A very long story.", 20.0), Tone("Yes?", 0.5)]
    one = await dial("realtime")
    story = await one.wait_heard(440, seconds=1.0)
    began, _ = await one.say("Stop it please.")
    await one.wait_heard(440, after=story.end + 0.2, seconds=0.3)
    assert began < story.end < began + 1.0
    truncated = await openai_service.realtime.journal.wait("conversation.item.truncate")
    assert 1000 <= truncated.event["audio_end_ms"] < 4000


async def test_realtime_refused_is_silence(dial: Dial, openai_service: OpenAIService) -> None:
    openai_service.realtime.fault = Fault("401")
    one = await dial("realtime")
    await one.wait_happening("track_subscribed")
    await openai_service.realtime.journal.wait("connecting", count=4)
    await one.wait_silence(0.5, after=one.now)
    assert one.spans == []


async def test_pipeline_greets_and_answers(dial: Dial, openai_service: OpenAIService) -> None:
    openai_service.check_key()
    openai_service.hears(QUESTION)
    openai_service.http.answers({"": "Welcome here.", "do for me": "I can do a lot for you."})
    one = await dial("pipeline")
    greeting = await one.wait_heard(880, seconds=0.6)
    silent = await one.wait_silence(0.3)
    _, ended = await one.say(QUESTION)
    answer = await one.wait_heard(880, after=silent + 0.1, seconds=1.0)
    assert greeting.start < 3
    assert ended < answer.start < ended + 4
    assert [entry.event["model"] for entry in openai_service.http.journal.of("stt")] == [
        "whisper-1"
    ]
    assert openai_service.http.aimock_journal()


async def test_pipeline_calls_a_tool(dial: Dial, openai_service: OpenAIService) -> None:
    openai_service.hears(QUESTION)
    call = Call("get_general_info", then=Tone("I am here to help."))
    openai_service.http.answers({"": "Welcome here.", "do for me": call})
    one = await dial("pipeline")
    await one.wait_heard(880, seconds=0.6)
    silent = await one.wait_silence(0.3)
    await one.say(QUESTION)
    await one.wait_caption("I am here to help.", after=silent)
    outputs = [
        message["content"]
        for entry in openai_service.http.journal.of("chat")
        for message in entry.event["body"]["messages"]
        if message["role"] == "tool"
    ]
    assert "here to help" in outputs[0]


async def test_pipeline_is_interrupted(dial: Dial, openai_service: OpenAIService) -> None:
    openai_service.http.answers({"": "A very long story. " * 15})
    one = await dial("pipeline")
    story = await one.wait_heard(880, seconds=1.0)
    began, _ = await one.say("Please stop that story now, I have heard it.")
    await one.wait_silence(0.5, after=began)
    assert began < story.end < began + 1.5


async def test_a_late_listener_hears_the_greeting(
    livekit_server: LiveKitServer,
    openai_service: OpenAIService,
    agents: Callable[[str], Host],
    caller: Callable[..., Caller],
) -> None:
    await agents("realtime").ready()
    one = caller()
    token = livekit_server.token(f"room-{uuid.uuid4().hex[:8]}", one.identity, agent="realtime")
    await one.join(livekit_server.url, token, subscribe=False)
    await one.wait_happening("track_published")
    await openai_service.realtime.journal.wait("answered")
    listening = one.now
    one.listen()
    greeting = await one.wait_heard(440, seconds=0.8)
    assert greeting.start > listening


async def test_livekit_server_comes_back_on_its_port(
    livekit_server: LiveKitServer, caller: Callable[..., Caller]
) -> None:
    before = livekit_server.url
    livekit_server.kill()
    livekit_server.start()
    one = caller()
    await one.join(livekit_server.url, livekit_server.token("again", one.identity))
    assert livekit_server.url == before
    await one.wait_happening("joined")


async def realtime_events(service: OpenAIService, *, within: float = 1.0) -> list[dict[str, Any]]:
    """Ask the simulator for one answer and return all it sends until it stops sending."""
    url = service.base_url.replace("http", "ws") + "/realtime?model=gpt-realtime"
    events: list[dict[str, Any]] = []
    headers = {"Authorization": "Bearer sk-test"}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, headers=headers, timeout=aiohttp.ClientWSTimeout(ws_close=1)) as ws,
    ):
        await ws.send_json({"type": "response.create", "response": {"metadata": {"a": "b"}}})
        while True:
            try:
                message = await ws.receive(within)
            except TimeoutError:
                return [*events, {"type": "silence"}]
            if message.type != aiohttp.WSMsgType.TEXT:
                return [*events, {"type": "closed"}]
            events.append(json.loads(message.data))


def seconds_of_audio(events: list[dict[str, Any]]) -> float:
    deltas = [event["delta"] for event in events if event["type"] == "response.output_audio.delta"]
    return sum(len(delta) * 3 // 4 for delta in deltas) / 48_000


HANDSHAKE = ("refuse", "handshake_hangs", "401", "403", "404", "429", "500")
EXPECTED: dict[str, tuple[str, float]] = {
    "invalid_api_key": ("closed", 0),
    "insufficient_quota": ("closed", 0),
    "model_not_found": ("closed", 0),
    "never_answers": ("silence", 0),
    "dies_before": ("closed", 0),
    "dies_midway": ("closed", 0.5),
    "dies_after": ("closed", 1),
    "dies_idle": ("closed", 1),
    "stalls": ("silence", 0.5),
    "fails_midway": ("silence", 0.5),
    "black_hole": ("silence", 1),
    "deaf": ("silence", 1),
    "response_failed": ("silence", 0),
    "slow": ("silence", 1),
    "no_audio": ("silence", 0),
    "empty": ("silence", 0),
    "text_only": ("silence", 0),
}


@pytest.mark.parametrize("kind", get_args(FaultKind))
async def test_realtime_faults(kind: FaultKind, openai_service: OpenAIService) -> None:
    openai_service.realtime.fault = Fault(kind)
    openai_service.realtime.pace = 20
    if kind in HANDSHAKE:
        with pytest.raises((aiohttp.ClientError, TimeoutError)) as refused:
            await asyncio.wait_for(realtime_events(openai_service), 1)
        if kind.isdigit():
            assert str(getattr(refused.value, "status", "")) == kind
        return
    events = await realtime_events(openai_service)
    end, seconds = EXPECTED[kind]
    types = [event["type"] for event in events]
    assert types[-1] == end
    assert seconds_of_audio(events) == pytest.approx(seconds, abs=0.25)
    done = [event["response"]["status"] for event in events if event["type"] == "response.done"]
    broken = {"never_answers", "dies_before", "dies_midway", "stalls"}
    ended = [] if kind in broken or "error" in types else ["completed"]
    assert done == (["failed"] if kind in ("response_failed", "fails_midway") else ended)
    assert ("response.output_text.delta" in types) == (kind == "text_only")


async def test_a_fault_begins_at_its_answer_and_model(openai_service: OpenAIService) -> None:
    openai_service.realtime.pace = 20
    openai_service.realtime.fault = (
        Fault("empty", model="another"),
        Fault("no_audio", response=1),
    )
    healthy, mute = [await realtime_events(openai_service, within=0.5) for _ in range(2)]
    assert seconds_of_audio(healthy) == pytest.approx(1, abs=0.01)
    assert seconds_of_audio(mute) == 0
    created = next(event for event in healthy if event["type"] == "response.created")
    assert created["response"]["metadata"] == {"a": "b"}


async def test_a_wrong_key_is_refused(openai_service: OpenAIService) -> None:
    openai_service.check_key()
    headers = {"Authorization": "Bearer sk-other"}
    async with aiohttp.ClientSession(headers=headers) as session:
        url = openai_service.base_url + "/realtime"
        with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
            await session.ws_connect(url)
        async with session.get(openai_service.base_url + "/models") as answer:
            assert answer.status == 401
    assert openai_service.realtime.journal[0].event["key_ok"] is False


async def chat(service: OpenAIService) -> tuple[int, str]:
    """Ask for one streamed completion; return its status and what was received of it."""
    body = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1)) as session,
        session.post(service.base_url + "/chat/completions", json=body) as answer,
    ):
        return answer.status, await answer.text()


@pytest.mark.parametrize("kind", ERRORS)
async def test_http_errors(kind: Any, openai_service: OpenAIService) -> None:
    openai_service.http.faults = {"chat": HTTPFault(kind)}
    status, text = await chat(openai_service)
    assert status == ERRORS[kind][0]
    assert json.loads(text)["error"]["code"] == ERRORS[kind][2]


@pytest.mark.parametrize("kind", ["refuse", "hang", "cut", "stalls"])
async def test_http_broken_answers(kind: Any, openai_service: OpenAIService) -> None:
    openai_service.http.faults = {"chat": HTTPFault(kind)}
    with pytest.raises((aiohttp.ClientError, TimeoutError)):
        await chat(openai_service)


async def test_http_slow_answers(openai_service: OpenAIService) -> None:
    openai_service.http.answers({"": "Slow."}, first_token=0.3)
    began = time.monotonic()
    assert "Slow." in (await chat(openai_service))[1]
    assert 0.3 < time.monotonic() - began < 0.8
    openai_service.http.faults = {"chat": HTTPFault("slow", after=0.6, request=1)}
    began = time.monotonic()
    assert "Slow." in (await chat(openai_service))[1]
    assert time.monotonic() - began > 0.9


async def test_transcripts_come_in_order(openai_service: OpenAIService) -> None:
    openai_service.hears("One", "Two")
    texts = []
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            form = aiohttp.FormData({"model": "whisper-1"})
            form.add_field("file", b"RIFF", filename="file.wav", content_type="audio/wav")
            url = openai_service.base_url + "/audio/transcriptions"
            async with session.post(url, data=form) as answer:
                texts.append((await answer.json())["text"])
    assert texts == ["One", "Two", "Two"]
    assert openai_service.http.journal.of("stt")[0].event["model"] == "whisper-1"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("gap: 2.0", "gpa: 2.0"), ("gap: 2.0", ""), ("start", "strat"), ("refuse", "refused")],
)
def test_the_fault_matrix_is_read_strictly(tmp_path: Path, right: str, wrong: str) -> None:
    row = "start: {faults: {refuse: {reason: x, gap: 2.0}}}"
    file = tmp_path / "one.yaml"
    head = "side: realtime\nagent: spoken\nheard: pipeline\nmoments:\n  "
    file.write_text(head + row)
    assert [str(one) for one in rows(tmp_path)] == ["one start refuse"]
    file.write_text(head + row.replace(right, wrong))
    with pytest.raises((TypeError, AssertionError)):
        rows(tmp_path)
