"""What is made ready once, in the process that all job processes are forked from.

Each of these would otherwise hold up the event loop of every call, while its caller waits.
"""

from collections.abc import Iterator

import anyio
import livekit.agents.llm.async_toolset
import livekit.agents.voice.report  # noqa: F401
import numpy.fft  # noqa: F401
import openai.lib.streaming.chat
import openai.resources.audio.audio
import openai.resources.audio.speech
import openai.resources.audio.transcriptions
import openai.resources.chat.chat
import openai.resources.chat.completions.completions
import openai.resources.models
import openai.types.realtime  # noqa: F401
from livekit import local_inference
from livekit.agents.tokenize import basic
from livekit.agents.utils import http_context
from pydantic import BaseModel

import runner.voice.call  # noqa: F401
from runner.definition.sandbox import Sandbox
from runner.definition.spec import Part
from runner.voice.backends.clients import client

_EXCHANGED = ("openai.types.realtime", "openai.types.chat", "livekit.agents.")


def _build_messages() -> None:
    """Build the validators of the messages of a call, which pydantic puts off."""
    for message in _below(BaseModel):
        if message.__module__.startswith(_EXCHANGED) and not message.__pydantic_complete__:
            message.model_rebuild(raise_errors=False)


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for one in model.__subclasses__():
        yield one
        yield from _below(one)


async def _open_http_session() -> None:
    """Build the TLS context that LiveKit keeps for all HTTP sessions of a process."""
    async with http_context.open():
        pass


_build_messages()
local_inference.init_vad()
# The back end for asyncio is loaded, too.
anyio.run(_open_http_session)
# The first one takes longest.
client(Part(model="", base_url="http://127.0.0.1", api_key_env=None))
# Reads the patterns by which captions keep pace with the voice.
basic.hyphenate_word("appointment")
# Compiles what Jinja reads templates with.
Sandbox(lambda _: None).render("{{ now }}", {"now": ""})
