"""What is made ready once, in the process that all job processes are forked from.

Each of these would otherwise hold up the event loop of every call, while its caller waits.
"""

import anyio
import openai.resources.audio
import openai.resources.chat
import openai.types.realtime
from livekit import local_inference
from pydantic import BaseModel

import runner.voice.call  # noqa: F401


def _build_messages() -> None:
    """Build the validators of the Realtime API's messages, which pydantic puts off."""
    for message in vars(openai.types.realtime).values():
        if isinstance(message, type) and issubclass(message, BaseModel):
            message.model_rebuild()


_build_messages()
local_inference.init_vad()
# Loads the back end for asyncio.
anyio.run(anyio.sleep, 0)
