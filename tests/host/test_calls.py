"""Calls to agents from files, judged by what the caller hears."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from livekit import api
from rig.openai_realtime import Fault
from rig.script import Call, Tone
from rig.talk import hears_last_words, stayed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rig.caller import Caller
    from rig.host import Host
    from rig.openai_service import OpenAIService

    Dial = Callable[..., Awaitable[Caller]]

REALTIME, PIPELINE = 440, 880
QUESTION = "What can you do for me?"


def realtime_session(service: OpenAIService) -> dict[str, Any]:
    session: dict[str, Any] = {}
    for update in service.realtime.journal.of("session.update"):
        session |= update.event["session"]
    return session


async def asked(one: Caller, hz: int) -> tuple[float, float]:
    """Ask after the greeting; return when the question ended and the answer began."""
    await one.wait_heard(hz)
    silent = await one.wait_silence(0.3)
    _, ended = await one.say(QUESTION)
    answer = await one.wait_heard(hz, after=silent + 0.1)
    return ended, answer.start


async def test_realtime_greets_and_answers(
    dial: Dial, host: Host, openai_service: OpenAIService
) -> None:
    openai_service.check_key()
    openai_service.hears(QUESTION)
    openai_service.realtime.script = {"": Tone("Welcome."), "do for me": Tone("A lot.")}
    one = await dial("front-desk")
    ended, answered = await asked(one, REALTIME)
    await one.wait_caption("A lot.")
    assert answered < ended + 2
    assert one.heard(PIPELINE) == 0
    session = realtime_session(openai_service)
    assert session["audio"]["output"]["voice"] == "coral"
    assert session["audio"]["input"]["transcription"]
    assert "You answer the phone for Harbour Dental. You talk to there" in session["instructions"]
    assert "temperature" not in json.dumps(session)
    fields = {"agent": "front-desk", "room": one.room.name, "backend": "openai-realtime-1"}
    line = await host.wait_log("using agent", **fields)
    assert (line["voice"], line["temperature"], line["temperature_sent"]) == ("coral", 0.96, False)
    await host.wait_log("backend started", **fields)


async def test_pipeline_greets_and_answers(dial: Dial, openai_service: OpenAIService) -> None:
    openai_service.check_key()
    openai_service.hears(QUESTION)
    openai_service.http.answers({"": "Welcome here.", "do for me": "I can do a lot for you."})
    one = await dial("back-office")
    ended, answered = await asked(one, PIPELINE)
    assert answered < ended + 3
    assert one.heard(REALTIME) == 0
    chat = openai_service.http.journal.of("chat")[-1].event["body"]
    assert (chat["model"], chat["temperature"]) == ("gpt-4o-mini", 1.2)
    assert "second line of Harbour Dental" in json.dumps(chat["messages"][0])
    speech = openai_service.http.journal.of("tts")[0].event["body"]
    assert (speech["model"], speech["voice"]) == ("gpt-4o-mini-tts", "coral")


async def test_a_stub_answers_realtime(dial: Dial, openai_service: OpenAIService) -> None:
    openai_service.hears(QUESTION)
    call = Call("check_availability", {"day": "monday"})
    openai_service.realtime.script = {"do for me": call}
    one = await dial("front-desk")
    await asked(one, REALTIME)
    await one.wait_caption("On monday Harbour Dental has 9:00 and 15:00.")
    asked_at = openai_service.realtime.journal.of("response.create")[-2].time
    output = await openai_service.realtime.journal.wait("conversation.item.create", _is_output)
    assert output.time - asked_at >= 0.5


async def test_a_stub_answers_the_pipeline(dial: Dial, openai_service: OpenAIService) -> None:
    openai_service.hears(QUESTION)
    call = Call("check_availability", {"day": "monday"}, then=Tone("At nine."))
    openai_service.http.answers({"": "Welcome here.", "do for me": call})
    one = await dial("back-office")
    await asked(one, PIPELINE)
    await one.wait_caption("At nine.")
    messages = openai_service.http.journal.of("chat")[-1].event["body"]["messages"]
    outputs = [message["content"] for message in messages if message["role"] == "tool"]
    assert json.loads(outputs[0]) == {"day": "monday", "free": ["9:00", "15:00"]}


async def test_a_wrong_argument_goes_back_to_the_model(
    dial: Dial, openai_service: OpenAIService
) -> None:
    openai_service.hears(QUESTION)
    openai_service.realtime.script = {"do for me": Call("check_availability", {"day": "sunday"})}
    one = await dial("front-desk")
    await asked(one, REALTIME)
    await one.wait_caption("'sunday' is not one of ['monday', 'tuesday']")


@pytest.mark.parametrize(("agent", "hz"), [("front-desk", REALTIME), ("back-office", PIPELINE)])
async def test_the_caller_interrupts(
    dial: Dial, host: Host, openai_service: OpenAIService, agent: str, hz: int
) -> None:
    openai_service.realtime.script = [Tone("A very long story.", 20.0), Tone("Yes?", 0.5)]
    openai_service.http.answers({"": "A very long story. " * 20})
    one = await dial(agent)
    # LiveKit ignores the caller in the agent's first 3 s of speech, for the echo canceller.
    story = await one.wait_heard(hz, seconds=3.3)
    began, _ = await one.say("Stop it please, I have got a question.")
    await one.wait_heard(hz, after=story.end + 0.2)
    assert began < story.end < began + 2
    assert stayed(host, one)


@pytest.mark.parametrize(("agent", "hz"), [("speech", REALTIME), ("slow-speech", PIPELINE)])
async def test_the_caller_may_not_interrupt(
    dial: Dial, openai_service: OpenAIService, agent: str, hz: int
) -> None:
    openai_service.realtime.script = [Tone("The news.", 7.0), Tone("Yes?", 0.5)]
    openai_service.http.answers({"": "The news. " * 12})
    one = await dial(agent)
    news = await one.wait_heard(hz, seconds=3.3)
    await one.say("Stop it please.")
    await one.wait_silence(0.5)
    assert news.seconds > 6.5


async def test_the_least_endpointing_delay_is_kept(
    dial: Dial, openai_service: OpenAIService
) -> None:
    openai_service.hears(QUESTION)
    one = await dial("slow-speech")
    ended, answered = await asked(one, PIPELINE)
    assert ended + 1.5 < answered < ended + 4


async def test_an_uninterruptible_realtime_agent_hears_the_caller_afterwards(
    dial: Dial, openai_service: OpenAIService
) -> None:
    openai_service.hears(QUESTION)
    one = await dial("speech")
    ended, answered = await asked(one, REALTIME)
    assert answered < ended + 3


async def test_a_greeting_is_spoken_word_for_word(
    dial: Dial, openai_service: OpenAIService
) -> None:
    openai_service.hears(QUESTION)
    one = await dial("welcome", metadata="", **in_room({"variables": {"caller_name": "Ada"}}))
    await one.wait_heard(PIPELINE)
    await one.wait_caption("Hello Ada, this is Harbour Dental.")
    spoken = openai_service.http.journal.of("tts")[0].event["body"]
    assert (spoken["input"], spoken["voice"]) == ("Hello Ada, this is Harbour Dental.", "coral")
    silent = await one.wait_silence(0.3)
    await one.say(QUESTION)
    await one.wait_heard(REALTIME, after=silent)
    assert openai_service.http.journal.of("chat") == []


async def test_the_caller_speaks_first(dial: Dial, openai_service: OpenAIService) -> None:
    openai_service.hears(QUESTION)
    one = await dial("listener")
    await one.wait_happening("track_subscribed")
    await openai_service.realtime.journal.wait("session.update")
    await one.wait_silence(1.0, after=one.now)
    assert one.spans == []
    began, _ = await one.say(QUESTION)
    answer = await one.wait_heard(REALTIME)
    assert answer.start > began


async def test_language_and_voice_reach_the_realtime_model(
    dial: Dial, openai_service: OpenAIService
) -> None:
    one = await dial("german")
    await one.wait_heard(REALTIME)
    session = realtime_session(openai_service)
    assert session["audio"]["input"]["transcription"]["language"] == "de"
    assert session["audio"]["output"]["voice"] == "sage"


async def test_a_reasoning_model_gets_no_temperature_and_whisper_gets_the_language(
    dial: Dial, host: Host, openai_service: OpenAIService
) -> None:
    openai_service.hears(QUESTION)
    one = await dial("thinker")
    await asked(one, PIPELINE)
    chat = openai_service.http.journal.of("chat")[-1].event["body"]
    assert chat["model"] == "gpt-5-mini"
    assert "temperature" not in chat
    heard = openai_service.http.journal.of("stt")[0].event["body"]
    assert (heard["model"], heard["language"]) == ("whisper-1", "de")
    assert openai_service.http.journal.of("tts")[0].event["body"]["voice"] == "nova"
    line = await host.wait_log("using agent", room=one.room.name)
    assert line["temperature_sent"] is False


async def test_two_agents_answer_two_rooms_at_once(
    dial: Dial, openai_service: OpenAIService
) -> None:
    first, second = await asyncio.gather(dial("front-desk"), dial("back-office"))
    await asyncio.gather(first.wait_heard(REALTIME), second.wait_heard(PIPELINE))
    assert first.heard(PIPELINE) == second.heard(REALTIME) == 0
    assert first.attributes["runner.agent"] == "front-desk"
    assert second.attributes["runner.agent"] == "back-office"


async def test_a_missing_key_moves_on_to_the_next_backend(dial: Dial, host: Host) -> None:
    one = await dial("keyless")
    await one.wait_heard(PIPELINE)
    line = await host.wait_log("its key is not set", room=one.room.name)
    assert (line["backend"], line["variable"]) == ("openai-realtime-1", "NO_SUCH_KEY")


async def test_a_call_that_no_backend_can_take_ends_with_a_sentence(dial: Dial, host: Host) -> None:
    """The recording that ships with the package is heard, then the call ends."""
    one = await dial("lost")
    await hears_last_words(one)
    await host.wait_log("no backend can be built", level="ERROR", room=one.room.name)
    await host.wait_log("call ended", room=one.room.name, reason="no backend can be built")


async def test_an_announcement_is_heard_before_the_call_ends(dial: Dial, host: Host) -> None:
    one = await dial("closed")
    heard = await one.wait_heard(PIPELINE)
    await one.wait_happening("disconnected")
    assert heard.seconds == pytest.approx(0.06 * len("Harbour Dental is closed today."), abs=0.4)
    await host.wait_log("call ended", room=one.room.name, reason="announced")


async def test_a_backend_that_fails_ends_the_call(
    dial: Dial, host: Host, openai_service: OpenAIService
) -> None:
    openai_service.realtime.fault = Fault("401")
    one = await dial("front-desk")
    await one.wait_happening("disconnected")
    await host.wait_log("no backend can carry the call", level="ERROR", room=one.room.name)


async def test_what_a_caller_brings_is_data(dial: Dial, openai_service: OpenAIService) -> None:
    hostile = "{{ agent.__class__ }}{% include '/etc/passwd' %}\x07\x00"
    one = await dial("front-desk", **in_room({"variables": {"caller_name": hostile, "now": "x"}}))
    await one.wait_heard(REALTIME)
    instructions = realtime_session(openai_service)["instructions"]
    assert "You talk to {{ agent.__class__ }}{% include '/etc/passwd' %} in room" in instructions


@pytest.mark.parametrize("metadata", ["x" * 1_000_000, '{"variables": []}', "[" * 50_000, "{"])
async def test_foreign_metadata_leaves_the_defaults(
    dial: Dial, host: Host, openai_service: OpenAIService, metadata: str
) -> None:
    one = await dial("front-desk", room_config=api.RoomConfiguration(metadata=metadata[:60_000]))
    await one.wait_heard(REALTIME)
    assert "You talk to there in" in realtime_session(openai_service)["instructions"]
    line = await host.wait_log("ignored what came with the job", room=one.room.name)
    assert "room metadata" in line["ignored"]


async def test_a_call_tells_its_story_in_the_log(dial: Dial, host: Host) -> None:
    one = await dial("front-desk")
    await one.wait_heard(REALTIME)
    # Or LiveKit would tell, too, that the greeting was broken off.
    await one.wait_silence(0.4)
    await one.leave()
    ended = await host.wait_log("call ended", room=one.room.name)
    story = [line["message"] for line in host.log if line.get("room") == one.room.name]
    assert story == [
        "job accepted", "attempting backend", "using agent", "participant joined",
        "backend started", "call ended",
    ]  # fmt: skip
    assert ended["reason"] == "participant_disconnected"
    assert ended["revision"]
    assert ended["seconds"] > 0


async def test_the_greeting_and_the_prompt_know_the_caller(
    dial: Dial, openai_service: OpenAIService
) -> None:
    one = await dial("by-name", name="Ada Lovelace")
    await one.wait_heard(REALTIME)
    greeting = openai_service.realtime.journal.of("response.create")[0].event["response"]
    assert "Greet Ada Lovelace by name." in greeting["instructions"]
    assert "You talk to Ada Lovelace." in realtime_session(openai_service)["instructions"]


def in_room(metadata: dict[str, Any]) -> dict[str, Any]:
    return {"room_config": api.RoomConfiguration(metadata=json.dumps(metadata))}


def _is_output(event: dict[str, Any]) -> bool:
    return bool(event["item"]["type"] == "function_call_output")
