"""The host's probes, against the simulated OpenAI."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
from catalog.backends import announcement, pipeline, realtime
from rig.openai_http import HTTPFault
from rig.openai_realtime import Fault

from runner.catalog.breaker import Breakers
from runner.host.probe import Prober

if TYPE_CHECKING:
    from pathlib import Path

    from rig.openai_service import OpenAIService

    from runner.definition.spec import Backend

NOW = 1_700_000_000.0


class Watched:
    """A prober with a clock of its own, and the breakers it looks at."""

    def __init__(self, state: Path, environment: dict[str, str], *backends: Backend) -> None:
        self.now = NOW
        self.breakers = Breakers(state, environment)
        self.prober = Prober(self.breakers, lambda: backends, lambda: self.now)

    async def look(self, at: float) -> None:
        self.now = NOW + at
        await self.prober.look()

    def is_open(self, backend: Backend) -> bool:
        return self.breakers.opened(backend, self.now) is not None


@pytest.fixture
def watched(tmp_path: Path, openai_service: OpenAIService) -> Watched:
    listed = (realtime(), realtime(name="again", model="primary"), pipeline(), announcement())
    return Watched(tmp_path, openai_service.environment, *listed)


def changes(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str]]:
    return [(line.getMessage(), line.__dict__["backend"], line.__dict__["reason"])
            for line in caplog.records]  # fmt: skip


async def test_one_that_is_back_is_closed_when_its_time_has_come(
    watched: Watched, openai_service: OpenAIService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "runner")
    watched.breakers.failed(realtime(), "quota", NOW)
    await watched.look(at=1)
    assert not openai_service.realtime.journal.of("connecting")
    await watched.look(at=6)
    assert len(openai_service.realtime.journal.of("connecting")) == 1
    assert not watched.is_open(realtime())
    await watched.look(at=8)
    assert changes(caplog) == [
        ("backend open", "primary", "quota"),
        ("backend closed", "primary", "quota"),
    ]


async def test_one_that_still_fails_stays_open_and_waits_longer(
    watched: Watched, openai_service: OpenAIService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "runner")
    openai_service.realtime.fault = Fault("401")
    for second in range(3):
        watched.breakers.failed(realtime(), "timeout", NOW + second)
    for at in (8, 9, 17, 18):
        await watched.look(at)
    assert len(openai_service.realtime.journal.of("connecting")) == 2
    opened = watched.breakers.opened(realtime(), watched.now)
    assert opened
    assert (opened.reason, opened.until, opened.since) == ("unauthorized", None, NOW + 2)
    assert changes(caplog) == [("backend open", "primary", "timeout")]


async def test_hosts_that_look_at_once_probe_once(
    watched: Watched, openai_service: OpenAIService
) -> None:
    """A failure that two hosts would find counts once, so that the wait doubles and no more."""
    other = Prober(watched.breakers, lambda: [realtime()], lambda: watched.now)
    openai_service.realtime.fault = Fault("401")
    watched.breakers.failed(realtime(), "quota", NOW)
    watched.now = NOW + 5
    await asyncio.gather(watched.prober.look(), other.look())
    assert len(openai_service.realtime.journal.of("connecting")) == 1
    assert not watched.breakers.claim(realtime(), NOW + 14)
    assert watched.breakers.claim(realtime(), NOW + 15)


@pytest.mark.parametrize("endpoint", ["chat", "tts", "stt"])
async def test_any_part_of_a_pipeline_keeps_it_open(
    watched: Watched, openai_service: OpenAIService, endpoint: str
) -> None:
    openai_service.http.faults = {endpoint: HTTPFault("insufficient_quota")}
    watched.breakers.failed(pipeline(), "quota", NOW)
    await watched.look(at=6)
    assert watched.is_open(pipeline())
    openai_service.http.faults = {}
    await watched.look(at=17)
    assert not watched.is_open(pipeline())


async def test_nothing_is_asked_while_all_is_well(
    watched: Watched, openai_service: OpenAIService
) -> None:
    await watched.look(at=0)
    await watched.look(at=1000)
    assert len(openai_service.realtime.journal) == len(openai_service.http.journal) == 0


async def test_without_its_key_a_backend_is_not_probed(tmp_path: Path) -> None:
    watched = Watched(tmp_path, {}, realtime())
    watched.breakers.failed(realtime(), "unauthorized", NOW)
    await watched.look(at=1000)
    assert watched.is_open(realtime())
