"""Which backend of a list is next when some of it cannot be built."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from catalog.specs import a_spec

from runner.voice.lineup import Lineup
from runner.voice.reasons import NO_KEY, UNBUILDABLE

if TYPE_CHECKING:
    import pytest

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
