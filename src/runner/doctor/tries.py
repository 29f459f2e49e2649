"""How a backend of each kind is tried, and the one table of tries."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from runner.definition.kinds import ANNOUNCEMENT, PIPELINE, REALTIME
from runner.definition.spec import AnnouncementBackend, Part, PipelineBackend, RealtimeBackend
from runner.doctor.line import FAILED, OK, WARNING
from runner.doctor.service import Service
from runner.doctor.trouble import TryError

#: A level, and what happened.
Outcome = tuple[str, str]


async def _realtime(backend: RealtimeBackend, service: Service) -> AsyncIterator[Outcome]:
    part = Part(model=backend.model, base_url=backend.base_url, api_key_env=backend.api_key_env)
    yield await _outcome(service.where(part), service.session(part, backend.voice))


async def _pipeline(backend: PipelineBackend, service: Service) -> AsyncIterator[Outcome]:
    llm, tts, stt = (service.where(part) for part in (backend.llm, backend.tts, backend.stt))
    yield await _outcome(llm, service.chat(backend.llm))
    try:
        sound = await service.speech(backend.tts, backend.voice)
    except TryError as trouble:
        yield FAILED, f"{tts}: {trouble}"
        yield WARNING, f"{stt}: not tried, there was no speech to understand"
        return
    yield OK, f"{tts} speaks with the voice {backend.voice}"
    yield await _outcome(stt, service.transcription(backend.stt, sound))


async def _announcement(_: AnnouncementBackend, __: Service) -> AsyncIterator[Outcome]:
    yield OK, "nothing to try"


async def _outcome(where: str, answer: Awaitable[str]) -> Outcome:
    try:
        return OK, f"{where} {await answer}"
    except TryError as trouble:
        return FAILED, f"{where}: {trouble}"


TRIES: Mapping[str, Callable[[Any, Service], AsyncIterator[Outcome]]] = {
    REALTIME: _realtime,
    PIPELINE: _pipeline,
    ANNOUNCEMENT: _announcement,
}
