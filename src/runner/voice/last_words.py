"""What a caller hears when no backend can carry the call: the package's own recording."""

import asyncio

from livekit.agents import Agent, AgentSession

from runner.voice.line import Line
from runner.voice.recorded import SORRY

# Seconds: LiveKit only logs what goes wrong when agents change; the sentence takes seven.
_ENTER, _SPEAK = 3.0, 12.0


class LastWords(Agent):
    """A voice without any model."""

    def __init__(self) -> None:
        super().__init__(
            id="last-words",
            instructions="",
            stt=None,
            llm=None,
            tts=None,
            vad=None,
            turn_handling={"turn_detection": None},
        )
        self.entered = asyncio.Event()
        self.spoken = asyncio.Event()

    async def on_enter(self) -> None:
        """Play the recording to its end."""
        self.entered.set()
        await self.session.say(SORRY.sentence, audio=SORRY.frames(), allow_interruptions=False)
        self.spoken.set()


async def speak(session: AgentSession[None], line: Line | None = None) -> None:
    """Speak the last words in `session`, which is started on `line` if it has not been yet."""
    agent = LastWords()
    if line is None:
        session.update_agent(agent)
    else:
        await line.start(session, agent)
    for event, seconds in ((agent.entered, _ENTER), (agent.spoken, _SPEAK)):
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return
