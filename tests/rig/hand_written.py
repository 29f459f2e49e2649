"""The agent of the seed, written by hand on livekit-agents: the peer that ours is compared with.

`HAND_WRITTEN=pipeline` selects speech to text, chat and text to speech instead of Realtime.
`HAND_WRITTEN_WARMUP=0` lets the caller interrupt from the first word on.
"""

from __future__ import annotations

import math
import os

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli, function_tool
from livekit.plugins import openai, silero

server = AgentServer(
    host="127.0.0.1",
    port=0,
    num_idle_processes=1,
    load_fnc=lambda: 0.0,  # livekit-server offers no call to a worker whose load is 1
    load_threshold=math.inf,
)


class Assistant(Agent):
    """A helpful assistant that can say what it is there for."""

    def __init__(self) -> None:
        super().__init__(instructions="You are a helpful AI assistant.")

    async def on_enter(self) -> None:
        """Greet the caller."""
        self.session.generate_reply(instructions="Greet the user warmly and offer your assistance.")

    @function_tool
    async def get_general_info(self) -> str:
        """Provide general information about services."""
        return "I'm your AI assistant and I'm here to help you with any questions you have."


def build_session() -> AgentSession[None]:
    """Return a session on the backend that the environment asks for."""
    warmup = None if os.environ.get("HAND_WRITTEN_WARMUP") == "0" else 3.0
    if os.environ.get("HAND_WRITTEN") == "pipeline":
        return AgentSession(
            vad=silero.VAD.load(),
            stt=openai.STT(model="whisper-1"),
            llm=openai.LLM(model="gpt-4o-mini", temperature=0.8),
            tts=openai.TTS(model="gpt-4o-mini-tts", voice="coral"),
            aec_warmup_duration=warmup,
        )
    return AgentSession(
        llm=openai.realtime.RealtimeModel(model="gpt-realtime", voice="coral"),
        aec_warmup_duration=warmup,
    )


@server.rtc_session()
async def entrypoint(ctx: JobContext) -> None:
    """Answer one call."""
    session = build_session()
    await session.start(agent=Assistant(), room=ctx.room)


if __name__ == "__main__":
    cli.run_app(server)
