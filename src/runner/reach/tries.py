"""How a backend of each kind is tried, and the one table of tries."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.catalog.backends import parts
from runner.definition.kinds import ANNOUNCEMENT, PIPELINE, REALTIME
from runner.definition.spec import AnnouncementBackend, PipelineBackend, RealtimeBackend
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


async def _announcement(_: AnnouncementBackend, __: Service) -> AsyncIterator[Outcome]:
    yield Outcome(OK, "nothing to try")


async def _outcome(where: str, answer: Awaitable[str]) -> Outcome:
    try:
        return Outcome(OK, f"{where} {await answer}")
    except TryError as trouble:
        return Outcome(FAILED, f"{where}: {trouble}", trouble.reason)


TRIES: Mapping[str, Callable[[Any, Service], AsyncIterator[Outcome]]] = {
    REALTIME: _realtime,
    PIPELINE: _pipeline,
    ANNOUNCEMENT: _announcement,
}
