"""Which backend of a list is next when some of it cannot be built."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from catalog.backends import pipeline
from catalog.specs import a_spec
from rig.serving import serving

from runner.voice import lineup
from runner.voice.lineup import Lineup
from runner.voice.reasons import NO_KEY, UNBUILDABLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runner.definition.spec import Backend


async def test_what_cannot_be_built_is_told_and_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key that is not set and an environment whose address is none cost a backend each."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.delenv("OTHER_KEY", raising=False)
    spec = a_spec("front-desk")
    (primary,) = spec.backends
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    before = Lineup(spec, lambda *_: None).take()
    assert before is not None
    assert before.backend is primary
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:port/v1")
    keyless = replace(primary, name="keyless", api_key_env="OTHER_KEY")
    local = replace(primary, name="local", base_url="http://localhost:8000/v1")
    told: list[tuple[str, str]] = []

    def note(backend: Backend, reason: str) -> None:
        told.append((backend.name, reason))

    agent = Lineup(replace(spec, backends=(primary, keyless, local)), note).take()
    assert agent is not None
    assert agent.backend is local
    assert told == [("primary", UNBUILDABLE), ("keyless", NO_KEY)]


@pytest.fixture
async def asked() -> AsyncIterator[tuple[str, asyncio.Queue[str]]]:
    """Serve nothing, and tell what was asked for."""
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def answer(request: web.Request) -> web.Response:
        queue.put_nowait(request.path)
        return web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with serving(app) as address:
        yield f"{address}/v1", queue


async def test_connections_of_the_next_are_used_until_it_is_taken(
    asked: tuple[str, asyncio.Queue[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server would close what nobody uses for a minute or two."""
    base_url, requests = asked
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", base_url)
    monkeypatch.setattr(lineup, "_KEPT", 0.05)
    next_ = Lineup(replace(a_spec("front-desk"), backends=(pipeline(),)), lambda *_: None)
    next_.prepare()
    keeping = asyncio.create_task(next_.keep_connected())
    async with asyncio.timeout(5):
        assert {await requests.get() for _ in range(3 * 3)} == {"/v1/"}
        assert next_.take() is not None
        await keeping
