"""How a backend of each kind is tried, and the one table of tries."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.catalog.backends import parts
from runner.definition.kinds import PIPELINE, REALTIME
from runner.definition.spec import Part, PipelineBackend, RealtimeBackend
from runner.reach.service import Service
from runner.reach.trouble import TryError

OK, WARNING, FAILED = "ok", "warning", "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A level, what happened in words, and for a failure its `reason` in one of the log's."""

    level: str
    text: str
    reason: str = ""


async def _realtime(backend: RealtimeBackend, service: Service) -> AsyncIterator[Outcome]:
    (part,) = parts(backend)
    yield await _outcome(service.where(part), service.session(part, backend.voice))


async def _pipeline(backend: PipelineBackend, service: Service) -> AsyncIterator[Outcome]:
    llm, tts, stt = (service.where(part) for part in (backend.llm, backend.tts, backend.stt))
    yield await _outcome(llm, service.chat(backend.llm))
    try:
        sound = await service.speech(backend.tts, backend.voice)
    except TryError as trouble:
        yield Outcome(FAILED, f"{tts}: {trouble}", trouble.reason)
        yield Outcome(WARNING, f"{stt}: not tried, there was no speech to understand")
        return
    yield Outcome(OK, f"{tts} speaks with the voice {backend.voice}")
    yield await _outcome(stt, service.transcription(backend.stt, sound))


async def try_speech(part: Part, voice: str, service: Service) -> Outcome:
    """Have a short sentence spoken."""
    return await _outcome(service.where(part), _spoken(part, voice, service))


async def _spoken(part: Part, voice: str, service: Service) -> str:
    await service.speech(part, voice)
    return f"speaks with the voice {voice}"


async def _outcome(where: str, answer: Awaitable[str]) -> Outcome:
    try:
        return Outcome(OK, f"{where} {await answer}")
    except TryError as trouble:
        return Outcome(FAILED, f"{where}: {trouble}", trouble.reason)


#: An announcement asks no server, so there is nothing to try.
TRIES: Mapping[str, Callable[[Any, Service], AsyncIterator[Outcome]]] = {
    REALTIME: _realtime,
    PIPELINE: _pipeline,
}
