"""Calls from the studio's page, judged by what is heard and shown there."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from host.studio import a_studio, address_of
from rig.page import Page, calling
from rig.script import Call, Tone
from rig.sound import RATE

from runner.catalog.breaker import Breakers
from runner.catalog.records import CallRecord, Records
from runner.definition.loader import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from rig.host import Host
    from rig.openai_service import OpenAIService

    Dial = Callable[[str], Awaitable[Page]]

AGENTS = Path(__file__).with_name("agents")
FAILING = Path(__file__).with_name("failing")
MOVED = """\
prompt: You say that we have moved.
backends:
  - {kind: announcement, say: We have moved., then: {transfer: "+442079460000"}}
"""
REALTIME, PIPELINE = 440.0, 880.0
QUESTION = "What can you do for me?"
LONG = "This is a long answer that goes on for quite a while, word after word after word."


@pytest.fixture(scope="module")
def studio(
    running_openai_service: OpenAIService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """Serve the studio for all tests of the module."""
    home = tmp_path_factory.mktemp("studio")
    agents = home / "agents"
    agents.mkdir()
    others = (FAILING / name for name in ("spoken.yaml", "uninterruptible.yaml"))
    for file in (*AGENTS.glob("*.yaml"), *others):
        (agents / file.name).write_text(file.read_text())
    (agents / "moved.yaml").write_text(MOVED)
    environment = running_openai_service.environment
    host = a_studio(agents, environment=environment, home=home)
    yield host.start()
    host.kill()


@pytest.fixture
async def dial(studio: Host, openai_service: OpenAIService) -> AsyncIterator[Dial]:
    """Call an agent from a page of its own."""
    # What an earlier test's call has learnt of its backends is not this one's.
    shutil.rmtree(studio.state / "backends", ignore_errors=True)
    openai_service.hears(QUESTION)
    openai_service.realtime.script = {"": Tone("Welcome."), "do for me": Tone("A lot.", 1.5)}
    openai_service.http.answers({"": "Welcome here.", "do for me": "I can do a lot."})
    async with calling(await address_of(studio)) as call:
        yield call


async def asked(page: Page) -> float:
    """Ask when the greeting is over; return when the question was over."""
    await page.wait_heard(within=20)
    await page.wait_silence(0.3)
    _, ended = await page.say(QUESTION)
    return ended


async def record_of(studio: Host, page: Page) -> CallRecord:
    """Return the record of a call that is over."""
    call = page.of("started")[0]["call"]
    await studio.wait_log("call ended", room=f"studio-{call.removeprefix('ST_')}")
    records = Records(studio.state)
    async with asyncio.timeout(5):
        while True:
            if (record := records.read(records.find(call))).ended:
                return record
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("agent", "backend", "hz"),
    [
        ("front-desk", "openai-realtime", REALTIME),
        ("back-office", "openai-pipeline", PIPELINE),
    ],
)
async def test_an_agent_greets_and_answers(
    dial: Dial, studio: Host, agent: str, backend: str, hz: float
) -> None:
    """The page hears the greeting and an answer, and sees who spoke, what, and how quickly."""
    page = await dial(agent)
    ended = await asked(page)
    answer = await page.wait_heard(hz, after=ended)
    assert answer.start < ended + 3
    await page.wait_words("do for me", who="caller")
    await page.wait_words("ot.")
    started = page.of("started")[0]
    assert (started["agent"], started["rehearsal"]) == (agent, False)
    assert page.of("backend") == [
        {"type": "backend", "name": f"{backend}-1", "kind": backend, "gap": None}
    ]
    assert 0 < page.of("latency")[0]["seconds"] < 3
    assert page.of("state", who="agent", state="speaking")
    fields = {"agent": agent, "revision": started["revision"], "backend": f"{backend}-1"}
    await studio.wait_log("backend started", **fields)


async def test_words_come_as_they_are_spoken(dial: Dial, openai_service: OpenAIService) -> None:
    """The transcript of a sentence grows with its sound."""
    openai_service.realtime.script = [Tone(LONG, 4.0)]
    page = await dial("front-desk")
    spoken = await page.wait_heard(REALTIME)
    assert await page.wait_words("word after word") == LONG
    shown = [(at, one["text"]) for at, one in page.events if one["type"] == "words"]
    halfway = [text for at, text in shown if at < spoken.start + 2]
    assert 0.2 < len(halfway[-1]) / len(LONG) < 0.8
    assert all(LONG.startswith(text) for _, text in shown)


async def test_a_question_is_shown_above_its_answer(
    dial: Dial, openai_service: OpenAIService
) -> None:
    """A realtime server may know what was said only when it has begun to answer."""
    openai_service.realtime.written = 0.8
    page = await dial("front-desk")
    await asked(page)
    await page.wait_words("do for me", who="caller")
    await page.wait_words("A lot.")
    words = [(one["id"], one["text"]) for one in page.of("words")]
    question = next(id_ for id_, text in words if "do for me" in text)
    answer = next(id_ for id_, text in words if text.startswith("A"))
    ids = [id_ for id_, _ in words]
    assert ids.index(question) < ids.index(answer) < words.index((question, QUESTION))


async def test_a_barge_in_clears_what_was_not_played(
    dial: Dial, openai_service: OpenAIService
) -> None:
    """A caller who speaks over the agent makes it stop; its words end where it was cut."""
    whole = " ".join([LONG] * 4)
    openai_service.realtime.script = [Tone(whole, 20.0), Tone("Yes?", 0.5)]
    page = await dial("front-desk")
    # LiveKit ignores the caller in the agent's first 3 s of speech, for the echo canceller.
    story = await page.wait_heard(REALTIME, seconds=3.3)
    began, _ = await page.say("Stop it please, I have got a question.")
    await page.wait_heard(REALTIME, after=story.end + 0.2)
    assert began < story.end < began + 2
    assert page.of("clear")
    cut = page.of("words", who="agent", final=True)[0]
    assert cut["interrupted"]
    assert whole.startswith(cut["text"])
    # LiveKit can only guess how fast words are spoken.
    assert 0.05 < len(cut["text"]) / len(whole) < 0.75


async def test_a_tool_is_shown_with_arguments_and_result(
    dial: Dial, openai_service: OpenAIService, studio: Host
) -> None:
    """Arguments and the result are on the page, and in no log line."""
    openai_service.realtime.script = {"do for me": Call("check_availability", {"day": "monday"})}
    page = await dial("front-desk")
    await asked(page)
    done = await page.wait_event("tool", status="done")
    assert done["arguments"] == {"day": "monday"}
    assert done["result"] == "On monday Harbour Dental has 9:00 and 15:00."
    assert 0.5 <= done["seconds"] < 2
    running = page.of("tool", status="running")[0]
    assert (running["id"], running["name"]) == (done["id"], "check_availability")
    await page.wait_words("On monday")
    assert "monday" not in studio.stderr


async def test_typed_text_is_answered(dial: Dial) -> None:
    """What is typed is answered by voice, as in a room's chat."""
    page = await dial("front-desk")
    await page.wait_words("Welcome.")
    await page.wait_silence(0.3)
    await page.type(QUESTION)
    typed = page.now
    assert await page.wait_words("do for me", who="caller") == QUESTION
    spoken = await page.wait_heard(REALTIME, after=typed)
    (latency,) = page.of("latency")
    assert latency["seconds"] == pytest.approx(spoken.start - typed, abs=0.2)
    await page.wait_words("A lot.")


async def test_text_that_is_typed_over_the_agent_is_waited_for_as_well(
    dial: Dial, openai_service: OpenAIService
) -> None:
    """The wait for an answer begins with the text, though the agent is still speaking then."""
    openai_service.realtime.script = {"": Tone(LONG, 6.0), "do for me": Tone("A lot.")}
    page = await dial("front-desk")
    await page.wait_heard(REALTIME)
    await page.type(QUESTION)
    await page.wait_words("A lot.")
    (latency,) = page.of("latency")
    assert 0.1 < latency["seconds"] < 3


async def test_text_that_must_not_interrupt_waits(
    dial: Dial, openai_service: OpenAIService
) -> None:
    """Where nobody may interrupt the agent, a typed line is answered after what it says."""
    openai_service.realtime.script = {"": Tone(LONG, 3.0), "do for me": Tone("A lot.")}
    page = await dial("uninterruptible")
    await page.wait_heard(REALTIME)
    await page.type(QUESTION)
    await page.wait_words("A lot.")
    said = page.of("words", who="agent", final=True)
    assert [(one["text"], one["interrupted"]) for one in said] == [(LONG, False), ("A lot.", False)]


async def test_text_that_is_typed_too_early_waits(dial: Dial) -> None:
    """A call may begin with a typed line: it is answered once the agent has begun to greet."""
    page = await dial("front-desk")
    await page.type(QUESTION)
    await page.wait_words("A lot.")
    assert 0 < page.of("latency")[-1]["seconds"] < 3


async def test_a_broken_backend_is_followed_by_the_next(dial: Dial, studio: Host) -> None:
    """`break` lets a failover be heard, and later calls learn nothing from it."""
    page = await dial("spoken")
    await page.wait_words("Welcome.")
    await page.tell("break")
    await page.wait_event("left", name="openai-realtime-1", reason="broken_on_purpose")
    await page.wait_event("backend", name="openai-pipeline-2", kind="openai-pipeline")
    await page.wait_silence(0.3)
    ended = (await page.say(QUESTION))[1]
    await page.wait_heard(PIPELINE, after=ended)
    await page.tell("hang_up")
    record = await record_of(studio, page)
    assert [(stay.name, stay.reason) for stay in record.backends] == [
        ("openai-realtime-1", "broken_on_purpose"),
        ("openai-pipeline-2", None),
    ]
    (backend, _) = load([FAILING / "spoken.yaml"]).specs["spoken"].backends
    assert not list((studio.state / "backends").glob("*"))
    assert Breakers(studio.state).opened(backend) is None


async def test_a_backend_broken_before_its_first_word_is_followed_at_once(dial: Dial) -> None:
    """Who takes over greets, and the page learns how long it was silent."""
    page = await dial("spoken")
    await page.wait_event("backend", name="openai-realtime-1")
    await page.tell("break")
    await page.wait_heard(PIPELINE)
    heard = [one for one in page.of("backend", name="openai-pipeline-2") if one["gap"]]
    assert 0 < heard[0]["gap"] < 3


async def test_hanging_up_ends_the_call(dial: Dial, studio: Host) -> None:
    """The page is told, the socket is closed, and the record says who hung up."""
    page = await dial("front-desk")
    await page.wait_heard(REALTIME)
    await page.tell("hang_up")
    await page.wait_event("ended", reason="participant_disconnected")
    assert await page.wait_closed() == (1000, "")
    record = await record_of(studio, page)
    assert (record.agent, record.because) == ("front-desk", "studio")
    assert record.reason == "participant_disconnected"
    assert [turn.text for turn in record.turns] == [None] * len(record.turns)


@pytest.mark.parametrize("goes", [True, False])
async def test_a_call_that_is_over_before_it_has_begun(
    dial: Dial, studio: Host, goes: bool
) -> None:
    """A button that is pressed twice leaves a whole record, and no session behind it."""
    page = await dial("front-desk")
    await page.wait_event("started")
    await (page.leave() if goes else page.tell("hang_up"))
    assert (await record_of(studio, page)).reason == "participant_disconnected"
    assert "Traceback" not in studio.stderr


async def test_a_page_that_goes_ends_the_call(
    dial: Dial, studio: Host, openai_service: OpenAIService
) -> None:
    """A closed tab, in the middle of a sentence, hangs up."""
    openai_service.realtime.script = [Tone("A very long story.", 20.0)]
    page = await dial("front-desk")
    await page.wait_heard(REALTIME)
    await page.leave()
    record = await record_of(studio, page)
    assert record.reason == "participant_disconnected"


async def test_two_pages_have_a_call_each(dial: Dial) -> None:
    """Two tabs talk with two agents at once, and neither hears the other's."""
    one, other = await asyncio.gather(dial("front-desk"), dial("back-office"))
    await asyncio.gather(one.wait_heard(REALTIME), other.wait_heard(PIPELINE))
    await asyncio.gather(one.wait_silence(0.3), other.wait_silence(0.3))
    assert one.heard(PIPELINE) == other.heard(REALTIME) == 0


async def test_an_announcement_ends_the_call(dial: Dial, studio: Host) -> None:
    """The sentence is heard to its end before the call is over; nobody is really transferred."""
    await studio.wait_log("announcement spoken beforehand", agent="moved")
    page = await dial("moved")
    spoken = await page.wait_heard(PIPELINE)
    await page.wait_event("ended", reason="announced")
    assert page.events[-1][0] >= spoken.end - 0.1
    assert "+442079460000" in page.of("note")[0]["text"]


async def test_an_unknown_agent_is_said(dial: Dial) -> None:
    """A call of nobody ends with a sentence."""
    page = await dial("nobody")
    assert "'nobody'" in (await page.wait_event("ended"))["reason"]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\0" * 3, 1003),
        ("no JSON", 1003),
        ("[" * 20_000, 1003),
        (json.dumps({"type": "no such"}), 1003),
        (json.dumps({"type": "text", "text": ""}), 1003),
        (json.dumps({"type": "text", "text": "x" * 2001}), 1003),
        (b"\0" * 2 * RATE, 1009),
        ("x" * 2**20, 1009),
    ],
    ids=["half a sample", "no JSON", "deep", "no such", "empty", "long", "giant sound", "giant"],
)
async def test_a_page_that_breaks_the_protocol_is_closed(
    dial: Dial, studio: Host, message: str | bytes, code: int
) -> None:
    """Giant frames and nonsense end that one call, and nothing else."""
    page = await dial("front-desk")
    await page.wait_event("started")
    await page.send(message)
    assert (await page.wait_closed())[0] == code
    assert studio.returncode is None


async def test_nonsense_about_what_was_played_does_no_harm(dial: Dial) -> None:
    """Answers for segments that are not waited for are passed over."""
    page = await dial("front-desk")
    await page.wait_event("started")
    for segment, seconds in ((99, 1), (None, 1), (1, None), (1, -5), ("1", "1"), (1, 1e300)):
        await page.tell("played", segment=segment, seconds=seconds, interrupted=False)
    await page.send('{"type": "played", "segment": 1, "seconds": NaN}')
    ended = await asked(page)
    await page.wait_heard(REALTIME, after=ended)
