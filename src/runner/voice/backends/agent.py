"""What every backend's LiveKit agent has in common: the call's words, and how it greets."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from livekit import rtc
from livekit.agents import Agent, ModelSettings, TurnHandlingOptions
from livekit.agents.voice.io import TimedString

from runner.definition.spec import Backend, Greeting, TurnTaking
from runner.voice.line import Line
from runner.voice.words import Words

if TYPE_CHECKING:
    from runner.voice.watch import Watch


class Opening(Enum):
    """What a backend begins with."""

    GREET = auto()
    ANSWER = auto()
    GO_ON = auto()
    LISTEN = auto()


_NO_GREETING = "You have greeted the caller before: do not greet again."
_INSTRUCTIONS = {
    Opening.ANSWER: f"Answer what the caller said last. {_NO_GREETING}",
    Opening.GO_ON: (
        "You were cut off in the middle of your last sentence. Finish that thought in a few words, "
        f"from where it stopped, without repeating what you have said. {_NO_GREETING}"
    ),
}


def turns_by_vad(turns: TurnTaking) -> TurnHandlingOptions:
    """Let LiveKit's bundled VAD say when the caller is done: for agents of a pipeline."""
    # On the agent: on the session they would silence a realtime model's own. LiveKit's turn
    # detector would wait the whole `max_endpointing_delay` when it errs.
    return {
        "turn_detection": "vad",
        "interruption": {"enabled": turns.allow_interruptions, "mode": "vad"},
    }


class BackendAgent(Agent):
    """One backend of one agent, built before the call's words are known.

    It takes the call over without a word, and begins once the caller is there.
    `traits` are what the log says about it: voice and temperature. `watch` hears all its sound.
    `answers_silence` says that the end of the caller's speech is by itself what it must answer,
    `owes_answer` that the caller has spoken before it greets. `may_miss` is for how many seconds
    it may have heard nothing before that shows.
    """

    answers_silence = True
    may_miss = 0.0

    def __init__(self, backend: Backend, traits: Mapping[str, object], **models: Any) -> None:
        super().__init__(id=backend.name, instructions="", **models)
        self.backend = backend
        self.traits = traits
        self.opening = Opening.GREET
        self.owes_answer = False
        self.entered = asyncio.Event()
        self.watch: Watch | None = None
        self._call: tuple[Words, Line] | None = None
        self._begun = False

    @property
    def unnoticed(self) -> tuple[float, float | None] | None:
        """When words of the caller began and ended that it did not hear, by the loop's time.

        None: nothing is known of such words; no end: the caller still speaks.
        """
        return None

    async def brief(self, words: Words, line: Line) -> None:
        """Take the call's instructions, as far as they are known."""
        self._call = words, line
        if (instructions := words.instructions()) != self.instructions:
            await self.update_instructions(instructions)

    async def connect(self) -> None:
        """Open connections to its servers, so that it answers sooner when its turn comes."""

    async def on_enter(self) -> None:
        """Begin if the caller is there already."""
        self.entered.set()
        await self.begin()

    async def begin(self) -> None:
        """Say the first words, once both the session and the caller are there."""
        if self._begun or self._call is None or not self.entered.is_set():
            return
        words, line = self._call
        if words.caller is None:
            return
        self._begun = True
        await self.brief(words, line)
        await self.open(words, line)

    async def open(self, words: Words, line: Line) -> None:
        """Greet, or take up a conversation that another backend left."""
        if self.opening is Opening.GREET:
            self._greet(words.greeting())
        elif self.opening is not Opening.LISTEN:
            self.session.generate_reply(instructions=_INSTRUCTIONS[self.opening])

    def realtime_audio_output_node(
        self, audio: AsyncIterable[rtc.AudioFrame], model_settings: ModelSettings
    ) -> AsyncIterable[rtc.AudioFrame]:
        """Let the watch hear the realtime model."""
        return self._heard(Agent.default.realtime_audio_output_node(self, audio, model_settings))

    def tts_node(
        self, text: AsyncIterable[str], model_settings: ModelSettings
    ) -> AsyncIterable[rtc.AudioFrame]:
        """Let the watch hear the voice."""
        return self._heard(Agent.default.tts_node(self, text, model_settings))

    def transcription_node(
        self, text: AsyncIterable[str | TimedString], model_settings: ModelSettings
    ) -> AsyncIterable[str | TimedString]:
        """Let the watch read the words of a call that has no sound."""
        words = Agent.default.transcription_node(self, text, model_settings)
        has_sound = self.session.output.audio is not None
        return words if has_sound or self.watch is None else self.watch.read(words)

    def _heard(self, frames: AsyncGenerator[rtc.AudioFrame, None]) -> AsyncIterable[rtc.AudioFrame]:
        if self.watch is None or self._call is None:
            return frames
        return self.watch.listen(frames, self._call[1].audible)

    def _greet(self, greeting: Greeting) -> None:
        """Greet: word for word, in the model's own words, or not at all."""
        if greeting.generate is not None:
            # The model sees what the caller has said meanwhile.
            self.session.generate_reply(instructions=greeting.generate)
            return
        if greeting.say is not None:
            self.session.say(greeting.say)
        if self.owes_answer:
            self.session.generate_reply(instructions=_INSTRUCTIONS[Opening.ANSWER])
