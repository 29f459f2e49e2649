"""What a caller hears when no backend can carry the call: a recording that ships with the package.

It needs no network and no key. The recording was made with espeak-ng.
"""

import asyncio
from pathlib import Path

from livekit.agents import Agent, AgentSession
from livekit.agents.utils.audio import audio_frames_from_file

from runner.voice.line import Line

SENTENCE = (
    "I'm sorry, something went wrong on our side, and this call cannot go on. "
    "Please ring again in a few minutes."
)
_RECORDING = Path(__file__).with_name("sorry.ogg")
_RATE = 24_000

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
        sound = audio_frames_from_file(str(_RECORDING), sample_rate=_RATE, num_channels=1)
        await self.session.say(SENTENCE, audio=sound, allow_interruptions=False)
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
