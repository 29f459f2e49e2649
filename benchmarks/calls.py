"""Calls of a program while a fault is on: what the caller hears of it, and what is kept."""

import asyncio
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from bench import Bench
from faults import (
    AFTER,
    FALLBACK,
    IDLE,
    IN_TOOL,
    MID_ANSWER,
    NEVER,
    PRIMARY,
    SPEAKING,
    START,
    Case,
)
from programs import OURS, PEER, close_room
from rig.caller import Caller, Span
from rig.openai_service import OpenAIService
from rig.script import Call, Reply, Tone

TONES = {440.0: "realtime", 660.0: "pipeline", 880.0: "fallback"}
REALTIME_HZ, PRIMARY_HZ, FALLBACK_HZ = TONES
WELCOME, QUESTION, REPLY = "Welcome.", "What can you do for me?", "I can do a lot."
#: Its first sentence is spoken while a language model is not yet at half of it.
LONG = "This is a long answer. It goes on for quite a while, word after word, and on after that."
SOUNDS = 0.7  # seconds of a whole answer
OVER = 0.4  # seconds of silence after which an answer is over
GREETED, KEPT = "greeted", "kept"


@dataclass(frozen=True)
class Outcome:
    """What a caller heard: `silence` in seconds, None without an end, `who` spoke, and what `then`.

    `greeting` is the wait from joining to the first sound, `first_audio` the part of it after a
    language model was asked.
    """

    silence: float | None
    who: str
    then: str
    greeting: float | None = None
    first_audio: float | None = None

    @property
    def what(self) -> str:
        """Both in one phrase."""
        return self.then if self.silence is None else f"{self.who}, {self.then}"

    @property
    def kept(self) -> bool:
        """Whether nothing was lost."""
        return self.then in (GREETED, KEPT)


async def ring(bench: Bench, program: str, case: Case) -> Outcome:
    """Call a program, and let it meet the fault."""
    await bench.rest(program, case)
    if program == OURS:
        bench.remember(case)
    _script(bench.service, case)
    call, room = _Call(bench.service, case), f"{case.agent}-{uuid.uuid4().hex[:8]}"
    token = bench.server.token(room, call.caller.identity, agent=program)
    try:
        if case.moment == START:
            case.begin(bench.service)
        await call.caller.join(bench.server.url, token)
        greeted = await call.greeted()
        if case.moment == START or greeted.silence is None:
            return greeted
        await call.ask()
        return await (call.answered_whole() if program == PEER else call.answered())
    finally:
        await call.caller.leave()
        # Ours does it itself, and two deletions at once would leave a new, empty room behind.
        if program == PEER:
            await close_room(bench.server, room)


def _script(service: OpenAIService, case: Case) -> None:
    """Let every answer be told from the others by its words, and every voice by its tone."""
    service.reset()
    service.hears(QUESTION)
    replies: dict[str, Reply] = {
        IN_TOOL: Call("get_general_info", then=Tone(REPLY, SOUNDS)),
        MID_ANSWER: Tone(LONG, 5 * SOUNDS),
    }
    reply = replies.get(case.moment, Tone(REPLY, SOUNDS))
    service.realtime.hz = REALTIME_HZ
    service.realtime.script = {"": Tone(WELCOME, SOUNDS / 2), "do for me": reply}
    service.http.tones = {PRIMARY["tts"]: PRIMARY_HZ, FALLBACK["tts"]: FALLBACK_HZ}
    service.http.seconds_per_character = SOUNDS / len(REPLY)
    service.http.answers({"": WELCOME, "do for me": _reply(case)})


def _reply(case: Case) -> str:
    """Return what a pipeline answers: both of a list do so alike."""
    return LONG if case.pipeline and case.moment == MID_ANSWER else REPLY


class _Call:
    """One caller, who is greeted, or asks a question while the fault is on."""

    def __init__(self, service: OpenAIService, case: Case) -> None:
        self.caller = Caller()
        self._service = service
        self._case = case
        self._asked = 0.0

    async def greeted(self) -> Outcome:
        """Wait for the greeting to be over."""
        try:
            first = await self.caller.wait_heard(within=NEVER)
        except AssertionError:
            return Outcome(None, "nobody", self._end())
        await self.caller.wait_silence(OVER)
        then = GREETED if self._greetings == 1 else f"greeted {self._greetings} times"
        return Outcome(first.start, TONES.get(first.hz, "?"), then, first.start)

    async def ask(self) -> None:
        """Ask something while the fault is on, or when it has been."""
        if self._case.moment == SPEAKING:
            asking = asyncio.create_task(self.caller.say(QUESTION))
            await self._service.realtime.journal.wait("speech_started")
            await self._break()
            _, self._asked = await asking
            return
        if self._case.moment == IDLE:
            await self._break()
        else:
            self._case.begin(self._service)
        if self._case.moment == AFTER:
            await self.caller.say(QUESTION)
            await self.caller.wait_caption(REPLY)
            await self.caller.wait_silence(OVER)
        _, self._asked = await self.caller.say(QUESTION)

    async def _break(self) -> None:
        """Break this connection, and no later one."""
        self._case.begin(self._service)
        await self._service.realtime.journal.wait("broken_off")
        self._service.realtime.fault = None

    async def answered(self) -> Outcome:
        """Wait for the fallback's answer."""
        # Half an answer may come before.
        within = (5 * SOUNDS if self._case.moment == MID_ANSWER else SOUNDS) + NEVER
        try:
            answer = await self.caller.wait_heard(FALLBACK_HZ, after=self._asked, within=within)
        except AssertionError:
            return Outcome(None, "nobody", self._end())
        await self.caller.wait_silence(OVER)
        return self._outcome(answer, "fallback", ", ".join(self._lost()) or KEPT)

    async def answered_whole(self) -> Outcome:
        """Wait for an answer that is not cut off."""
        long = self._case.moment == MID_ANSWER
        text, seconds = (LONG, 5 * SOUNDS) if long else (REPLY, SOUNDS)
        try:
            await self.caller.wait_caption(text, after=self._asked, within=seconds + NEVER)
            answer = await self.caller.wait_heard(
                after=self._asked, seconds=0.9 * seconds, within=OVER
            )
        except AssertionError:
            return Outcome(None, "nobody", self._end())
        return self._outcome(answer, TONES.get(answer.hz, "?"), KEPT)

    def _outcome(self, answer: Span, who: str, then: str) -> Outcome:
        before = [span.end for span in self.caller.spans if span.start < answer.start]
        greeting = self.caller.spans[0].start
        began = time.monotonic() - self.caller.now
        asked = [entry.time - began for entry in self._service.http.journal.of("chat")]
        first_audio = greeting - asked[0] if asked and asked[0] < greeting else None
        silence = answer.start - max(self._asked, *before)
        return Outcome(silence, who, then, greeting, first_audio)

    def _end(self) -> str:
        """Say what there is after the last sound."""
        here = self.caller.room.isconnected() and self.caller.agent is not None
        end = "silence" if here else "call over"
        cut = self._asked and self.caller.spans[-1].end > self._asked + OVER
        return f"cut off, then {end}" if cut else end

    @property
    def _greetings(self) -> int:
        return sum(WELCOME in text for _, _, text in self.caller.captions)

    def _lost(self) -> Iterator[str]:
        """Say what the caller has not heard, and what the fallback's model was not told."""
        if self._greetings != 1:
            yield f"greeted {self._greetings} times"
        captions = [text for time, _, text in self.caller.captions if time > self._asked]
        if not any(_reply(self._case) in text for text in captions):
            yield "cut off"
        asked = self._service.http.journal.of("chat")[-1].event["body"]["messages"]
        said = [(one["role"], one.get("content") or "") for one in asked if one["role"] != "system"]
        if ("user", QUESTION) not in said or ("assistant", WELCOME) not in said:
            yield "words lost"
        if self._case.moment == AFTER and ("assistant", REPLY) not in said:
            yield "an answer lost"
        if self._case.moment == MID_ANSWER and not LONG.startswith(said[-1][1].strip() or "?"):
            yield "half an answer lost"
        if self._case.moment == IN_TOOL and [role for role, _ in said].count("tool") != 1:
            yield "tool's result lost"
