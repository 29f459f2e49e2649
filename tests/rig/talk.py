"""One conversation that tests of failures have again and again; what a backend knows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runner.definition.freeze import DEFAULT_GREETING
from runner.voice.recorded import SORRY

from .script import Tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .caller import Caller, Span
    from .host import Host
    from .openai_service import OpenAIService

REALTIME, SECOND, PIPELINE = TONES = (440.0, 660.0, 880.0)
FIRST_MODEL, SECOND_MODEL = "gpt-realtime", "gpt-realtime-mini"
QUESTION = "What can you do for me?"
ANSWERS = {REALTIME: "A lot.", SECOND: "A lot.", PIPELINE: "I can do a lot."}
GREETINGS = ("Welcome.", "Welcome here.")
RESULTS = ("On monday Harbour Dental has 9:00 and 15:00.", "A check-up in May.")
LONG = "This is a long answer that goes on for quite a while, word after word after word."
LONGER = " ".join([LONG.replace("This is", "That is")] * 3)


def rehearse(service: OpenAIService) -> None:
    """Let every answer be told from the others by its words, and every backend by its tone."""
    service.hears(QUESTION)
    service.realtime.tones = {SECOND_MODEL: SECOND}
    service.realtime.script = {"": Tone(GREETINGS[0]), "do for me": Tone(ANSWERS[REALTIME], 1.5)}
    service.http.answers({"": GREETINGS[1], "do for me": ANSWERS[PIPELINE]})


async def greeted(one: Caller) -> None:
    """Wait until the greeting is over."""
    await one.wait_heard()
    await one.wait_silence(0.4)


async def asked(one: Caller) -> float:
    """Ask when the greeting is over; return when the question was over."""
    await greeted(one)
    _, ended = await one.say(QUESTION)
    return ended


def gap_before(one: Caller, next_: Span, ended: float = 0.0) -> float:
    """Return for how long neither the agent nor, until `ended`, the caller was heard."""
    return next_.start - max([ended, *(s.end for s in one.spans if s.start < next_.start)])


def stayed(host: Host, one: Caller) -> bool:
    """Tell whether the call was left by none of its backends so far."""
    rooms = [line.get("room") for line in host.log if line["message"] == "leaving backend"]
    return one.room.name not in rooms


async def hears_last_words(one: Caller) -> None:
    """Wait until the sentence that ships with the package was heard, and ended the call.

    Its sound is whole. Its caption may lack the end: the room goes with the last of the sound.
    """
    await one.wait_happening("disconnected", within=20)
    whole = sum([frame.duration async for frame in SORRY.frames()])
    heard = max(span.end for span in one.spans) - min(span.start for span in one.spans)
    assert heard == pytest.approx(whole, abs=0.6)
    words = "".join(one.shown.values())
    assert SORRY.sentence.startswith(words)
    assert "Please ring again" in words


def conversation(service: OpenAIService) -> list[tuple[str, str]]:
    """Return the conversation as the language model was last given it."""
    messages = service.http.journal.of("chat")[-1].event["body"]["messages"]
    return [(one["role"], one.get("content") or "") for one in messages if one["role"] != "system"]


def told(service: OpenAIService, hz: float) -> list[tuple[str, str]]:
    """Return the conversation, roles and words, as the backend that is heard was given it."""
    if hz == PIPELINE:
        return conversation(service)
    return list(_items(service, SECOND_MODEL if hz == SECOND else FIRST_MODEL))


def known(service: OpenAIService, hz: float) -> list[str]:
    """Return what the backend that is heard was given of the conversation, piece by piece."""
    return [_piece(role, text) for role, text in told(service, hz)]


def times_greeted(service: OpenAIService) -> int:
    """Return how often a backend was asked to greet."""
    asked_for = service.realtime.journal.of("response.create") + service.http.journal.of("chat")
    return sum(DEFAULT_GREETING in str(entry.event) for entry in asked_for)


def voices(service: OpenAIService) -> set[str]:
    """Return the voices that backends were asked to speak with."""
    sessions = [entry.event["session"] for entry in service.realtime.journal.of("session.update")]
    outputs = [session.get("audio", {}).get("output", {}) for session in sessions]
    bodies = [entry.event["body"] for entry in service.http.journal.of("tts")]
    return {one["voice"] for one in outputs + bodies if "voice" in one}


def _items(service: OpenAIService, model: str) -> Iterator[tuple[str, str]]:
    connections = service.realtime.journal.of("connecting")
    last = [entry.connection for entry in connections if entry.event["model"] == model][-1]
    for entry in service.realtime.journal.of("conversation.item.create"):
        item: dict[str, Any] = entry.event["item"]
        if entry.connection == last:
            texts = [part.get("text") or "" for part in item.get("content", ())]
            yield item.get("role", item["type"]), item.get("output") or " ".join(texts)


def _piece(role: str, text: str) -> str:
    """Return what a message is, in the words of the fault matrix; else the message."""
    match role, text:
        case (("tool" | "function_call_output"), words) if words in RESULTS:
            return "tool result"
        case "function_call", _:
            return "tool call"
        case "assistant", "":
            return "tool call"
        case "user", words if words == QUESTION:
            return "question"
        case "assistant", words if words in GREETINGS:
            return "greeting"
        case "assistant", words if words in ANSWERS.values():
            return "answer"
        case "assistant", words if words != LONG and LONG.startswith(words.rstrip(" .…")):
            return "part of the answer"
        case "assistant", words if words != LONGER and LONGER.startswith(words.rstrip(" .…")):
            return "part of the answer"
    return f"{role}: {text}"
