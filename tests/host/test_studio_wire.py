"""The ends of a page's WebSocket: bounded queues, segments of sound, edits while a call is on."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web
from catalog.specs import a_spec
from livekit import rtc
from livekit.agents import AgentSession, ToolExecutionUpdatedEvent, UserInputTranscribedEvent
from livekit.agents.llm import FunctionCall
from livekit.agents.voice import ToolCallStarted
from rig.page import Page
from rig.serving import serving

from runner.catalog.records import Records
from runner.catalog.reload import Reload
from runner.catalog.serving import Serving
from runner.catalog.store import STATE_VARIABLE, Store
from runner.definition.loader import load
from runner.definition.spec import Greeting
from runner.host.studio import call
from runner.host.studio.server import Studio
from runner.host.studio.sound import RATE, Captions, Loudspeaker, Microphone
from runner.host.studio.spectator import Spectator
from runner.host.studio.wire import Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from livekit.agents.voice.io import PlaybackFinishedEvent
    from rig.openai_service import OpenAIService

    Serve = Callable[
        [Callable[[Wire], Awaitable[None]]], Awaitable[aiohttp.ClientWebSocketResponse]
    ]

SECOND = bytes(2 * RATE)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Open a wire, do something with it on the studio's side, and return the page's side."""
    async with AsyncExitStack() as services, aiohttp.ClientSession() as http:

        async def start(work: Callable[[Wire], Awaitable[None]]) -> aiohttp.ClientWebSocketResponse:
            async def answer(request: web.Request) -> web.WebSocketResponse:
                wire = await Wire.open(request)
                await work(wire)
                return wire.response

            app = web.Application()
            app.router.add_get("/", answer)
            address = await services.enter_async_context(serving(app))
            return await http.ws_connect(f"{address}/", max_msg_size=0)

        yield start


async def read_all(socket: aiohttp.ClientWebSocketResponse) -> list[aiohttp.WSMessage]:
    """Read to the end; the last message is the close."""
    messages = [await socket.receive()]
    while messages[-1].type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
        messages.append(await socket.receive())
    return messages


async def test_a_page_that_lets_events_wait_is_given_up(serve: Serve) -> None:
    """A page that does not read costs no more memory than the queue may hold."""
    done = asyncio.Event()

    async def work(wire: Wire) -> None:
        for _ in range(1000):
            wire.tell("note", text="x" * 10_000)
        async for _ in wire.messages():
            pass
        done.set()

    socket = await serve(work)
    async with asyncio.timeout(10):
        await done.wait()
        *told, end = await read_all(socket)
    assert len(told) < 300
    assert end.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


async def test_sound_waits_for_a_page_that_is_slow(serve: Serve) -> None:
    """Sound is held back, not kept: the voice goes on when the page reads again."""
    sent = 0
    through = asyncio.Event()

    async def work(wire: Wire) -> None:
        nonlocal sent
        for _ in range(400):
            await wire.room()
            wire.play(SECOND)
            sent += 1
        through.set()
        await wire.close()

    socket = await serve(work)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(through.wait(), 1.0)
    assert sent < 300
    *told, end = await read_all(socket)
    assert len(told) == 400
    assert end.data == 1000


async def test_what_was_told_leaves_before_the_end(serve: Serve) -> None:
    """A page reads why its call is over, and then that it is."""

    async def work(wire: Wire) -> None:
        wire.tell("ended", reason="announced")
        await wire.close(1001, "gone")
        wire.tell("never")

    told, end = await read_all(await serve(work))
    assert told.json() == {"type": "ended", "reason": "announced"}
    assert (end.data, end.extra) == (1001, "gone")


async def test_dropped_sound_does_not_leave(serve: Serve) -> None:
    """What a caller has talked over is not sent any more; events are."""

    async def work(wire: Wire) -> None:
        wire.play(SECOND)
        wire.tell("one")
        wire.play(SECOND)
        wire.drop_sound()
        wire.tell("clear", segment=1)
        await wire.close()

    *told, _ = await read_all(await serve(work))
    assert [one.json()["type"] for one in told] == ["one", "clear"]


class Told(Wire):
    """A wire that leads nowhere, and remembers."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.sound = b""

    def tell(self, kind: str, /, **fields: Any) -> None:
        self.events.append({"type": kind, **fields})

    async def room(self) -> None:
        return

    def play(self, pcm: bytes) -> None:
        assert len(pcm) <= RATE // 5
        self.sound += pcm

    def drop_sound(self) -> None:
        self.sound = b""


class Speech:
    """A loudspeaker, what its page is told, and what LiveKit is."""

    def __init__(self) -> None:
        self.wire = Told()
        self.loudspeaker = Loudspeaker(self.wire)
        self.finished: list[tuple[float, bool]] = []
        self.loudspeaker.on("playback_finished", self._note)

    async def say(self, seconds: float = 1.0) -> None:
        samples = round(seconds * RATE)
        await self.loudspeaker.capture_frame(rtc.AudioFrame(bytes(2 * samples), RATE, 1, samples))

    def answer(self, segment: int, seconds: float, *, interrupted: bool = False) -> None:
        self.loudspeaker.played(
            {"segment": segment, "seconds": seconds, "interrupted": interrupted}
        )

    def _note(self, event: PlaybackFinishedEvent) -> None:
        self.finished.append((event.playback_position, event.interrupted))


async def test_a_segment_is_over_when_the_page_says_so() -> None:
    """Each segment is answered for once, by its number, and no longer than it was."""
    speech = Speech()
    for segment in (1, 2):
        await speech.say()
        speech.loudspeaker.flush()
        assert speech.wire.events[-1] == {"type": "flush", "segment": segment}
        assert len(speech.finished) == segment - 1
        speech.answer(segment, 7.0)
        speech.answer(segment, 0.2, interrupted=True)
    assert speech.finished == [(1.0, False)] * 2
    assert not speech.loudspeaker.was_cut


@pytest.mark.parametrize("flushed", [True, False])
async def test_a_cleared_segment_was_cut(flushed: bool) -> None:
    """It is cut at once, and over when the end of its sound and the page's answer are there."""
    speech = Speech()
    await speech.say()
    if flushed:
        speech.loudspeaker.flush()
    speech.loudspeaker.clear_buffer()
    speech.loudspeaker.clear_buffer()
    assert speech.loudspeaker.was_cut
    assert [one for one in speech.wire.events if one["type"] == "clear"] == [
        {"type": "clear", "segment": 1}
    ]
    assert speech.wire.sound == b""
    await speech.say() if not flushed else None
    assert speech.wire.sound == b""
    speech.answer(1, 0.4, interrupted=True)
    speech.loudspeaker.flush()
    assert speech.finished == [(0.4, True)]
    await speech.say()
    assert speech.wire.sound


async def test_a_late_answer_does_not_end_the_next_segment() -> None:
    """A page that had played all when it was told to be silent answers in vain."""
    speech = Speech()
    await speech.say()
    speech.loudspeaker.flush()
    speech.loudspeaker.clear_buffer()
    speech.answer(1, 1.0)
    await speech.say()
    speech.loudspeaker.flush()
    speech.answer(1, 1.0, interrupted=True)
    assert len(speech.finished) == 1


async def test_a_page_that_has_gone_is_answered_for() -> None:
    """Nothing waits for it: neither what it was playing nor what is still to come."""
    speech = Speech()
    await speech.say()
    speech.loudspeaker.flush()
    speech.loudspeaker.release()
    await speech.say()
    speech.loudspeaker.flush()
    assert speech.finished == [(0.0, True)] * 2
    await asyncio.wait_for(speech.loudspeaker.wait_for_playout(), 1)


async def test_captions_grow_and_end_where_they_were_cut() -> None:
    """Each sentence has an id of its own and all of its words so far."""
    wire = Told()
    cut = False
    captions = Captions(wire, lambda: cut)
    for word in ("One ", "two"):
        await captions.capture_text(word)
    captions.flush()
    captions.flush()
    cut = True
    await captions.capture_text("Three")
    captions.flush()
    shown = [(one["id"], one["text"], one["final"], one["interrupted"]) for one in wire.events]
    first, last = shown[0][0], shown[-1][0]
    assert first != last
    assert shown == [
        (first, "One ", False, False),
        (first, "One two", False, False),
        (first, "One two", True, False),
        (last, "Three", False, False),
        (last, "Three", True, True),
    ]


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ('{"day": "monday"}', {"day": "monday"}),
        ('{"seats": NaN}', '{"seats": NaN}'),
        ('{"seats": 1e999}', '{"seats": 1e999}'),
        ("[" * 20_000, "[" * 20_000),
        ("monday", "monday"),
    ],
    ids=["right", "not a number", "too large", "deep", "no JSON"],
)
async def test_a_tool_s_arguments_are_what_a_browser_can_read(arguments: str, shown: Any) -> None:
    """What a model has written is shown; what is no JSON to browsers, as it was written."""
    wire = Told()
    session: AgentSession[None] = AgentSession()
    Spectator(wire).attach(session)
    call = FunctionCall(call_id="c", name="look_up", arguments=arguments)
    update = ToolCallStarted(function_call=call)
    session.emit("tool_execution_updated", ToolExecutionUpdatedEvent(update=update))
    (event,) = wire.events
    assert event["arguments"] == shown
    json.dumps(event, allow_nan=False)


async def test_typing_leaves_what_is_being_said_alone() -> None:
    """A line that is typed while the caller speaks has a place of its own."""
    wire = Told()
    session: AgentSession[None] = AgentSession()
    spectator = Spectator(wire)
    spectator.attach(session)
    session.emit("user_input_transcribed", said("What do you", final=False))
    spectator.typed("Hello")
    session.emit("user_input_transcribed", said("What do you have?"))
    session.emit("user_input_transcribed", said("Monday."))
    first, typed, last, next_ = [(one["id"], one["text"], one["final"]) for one in wire.events]
    assert first[1:] == ("What do you", False)
    assert typed[1:] == ("Hello", True)
    assert last == (first[0], "What do you have?", True)
    assert len({first[0], typed[0], next_[0]}) == 3


async def test_a_question_has_its_place_before_its_words_are_known() -> None:
    """A realtime server may write them down after it has begun to answer, or never."""
    wire = Told()
    session: AgentSession[None] = AgentSession()
    Spectator(wire).attach(session)
    for transcript, final in (
        ("", False), ("", False), ("Monday?", True),
        ("Tues", False), ("", False), ("Tuesday?", True),
    ):  # fmt: skip
        session.emit("user_input_transcribed", said(transcript, final=final))
    nobody, place, monday, *tuesday = [(one["id"], one["text"]) for one in wire.events]
    assert (nobody[1], place[1]) == ("", "")
    assert nobody[0] != place[0]
    assert monday == (place[0], "Monday?")
    assert [text for _, text in tuesday] == ["Tues", "Tuesday?"]
    assert len({id_ for id_, _ in tuesday}) == 1


async def test_a_microphone_that_nobody_hears_keeps_the_latest() -> None:
    """A page that sends faster than it is heard fills no memory."""
    microphone = Microphone()
    for number in range(1000):
        microphone.push(number.to_bytes(2, "little") * 480)
    microphone.close()
    heard = [frame.data[0] async for frame in microphone]
    assert 50 < len(heard) <= 100
    assert heard == list(range(1000 - len(heard), 1000))


def said(transcript: str, *, final: bool = True) -> UserInputTranscribedEvent:
    """Return what LiveKit tells of a caller's words."""
    return UserInputTranscribedEvent(transcript=transcript, is_final=final)


@dataclass
class Agents:
    """Agents that a test may replace."""

    serving: Serving


async def test_an_edit_is_told_to_pages_and_to_calls(
    openai_service: OpenAIService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer revision is shown by itself; a call keeps its own, and is told of it once."""
    for name, value in openai_service.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    file = tmp_path / "agents" / "desk.yaml"
    file.parent.mkdir()

    def serving(prompt: str) -> Serving:
        file.write_text(f"prompt: {prompt}\n")
        return Reload(file.parent, Store(tmp_path / "state"), load([file.parent])).serving

    agents = Agents(serving("One."))
    studio = Studio(agents, tmp_path / "state", port=0, page=tmp_path)
    page = Page()
    async with studio.serve() as address, aiohttp.ClientSession() as http:
        feed = await http.ws_connect(f"{address}events", origin=address.rstrip("/"))
        assert (await feed.receive_json())["agents"][0]["prompt"].startswith("One.")
        await page.call(address, "desk")
        await page.wait_heard(within=20)
        assert page.of("edited") == []
        agents.serving = serving("Two.")
        (newer,) = agents.serving.catalog.specs.values()
        await page.wait_event("edited", revision=newer.digest)
        while (told := await feed.receive_json())["type"] != "agents":
            pass
        assert told["agents"][0]["prompt"].startswith("Two.")
        agents.serving = Serving(catalog=agents.serving.catalog, agents=agents.serving.agents)
        while (await feed.receive_json())["type"] != "agents":
            pass
        assert len(page.of("edited")) == 1
        await page.tell("hang_up")
        await page.wait_closed()
    await page.leave()


async def test_a_call_that_is_cancelled_is_taken_down(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the studio has no more time for a call, its record is whole all the same."""
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    spec = a_spec("desk", greeting=Greeting(say="Hello."))
    holding: list[asyncio.Task[None]] = []

    async def work(wire: Wire) -> None:
        holding.append(
            asyncio.create_task(call.hold(wire, spec, lambda: spec.digest, asyncio.Event()))
        )
        await asyncio.wait(holding)

    socket = await serve(work)
    async with asyncio.timeout(20):
        started = await socket.receive_json()
        # The first words come with the first sound.
        while (await socket.receive()).type is not aiohttp.WSMsgType.BINARY:
            pass
        holding[0].cancel()
        await asyncio.wait(holding)
        *_, last, end = await read_all(socket)
    assert last.json() == {"type": "ended", "reason": "the studio was stopped"}
    assert end.data == aiohttp.WSCloseCode.GOING_AWAY
    records = Records(tmp_path)
    assert records.read(records.find(started["call"])).reason == "the studio was stopped"
    assert records.running() == []
