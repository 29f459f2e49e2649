"""What every backend's LiveKit agent has in common: the call's words, and how it greets."""

from collections.abc import Mapping
from typing import Any

from livekit.agents import Agent

from runner.definition.spec import Backend, Greeting
from runner.voice.words import Words


class BackendAgent(Agent):
    """One backend of one agent, built before the call's words are known.

    `traits` are what the log says about it: voice and temperature.
    """

    def __init__(self, backend: Backend, traits: Mapping[str, object], **models: Any) -> None:
        super().__init__(id=backend.name, instructions="", **models)
        self.backend = backend
        self.traits = traits
        self._greeting = Greeting()

    async def brief(self, words: Words) -> None:
        """Take the call's instructions and greeting, before the session starts."""
        await self.update_instructions(words.instructions())
        self._greeting = words.greeting()

    async def on_enter(self) -> None:
        """Greet: word for word, in the model's own words, or not at all."""
        if self._greeting.say is not None:
            self.session.say(self._greeting.say)
        elif self._greeting.generate is not None:
            self.session.generate_reply(instructions=self._greeting.generate)
