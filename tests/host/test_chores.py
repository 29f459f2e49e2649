"""What a host does beside its calls goes on, whatever breaks in it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from runner.catalog.reload import Reload
from runner.catalog.store import Store
from runner.definition.loader import load
from runner.host import chores

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class Breaking(Reload):
    """Breaks twice before it does its work."""

    begun = 0
    works = asyncio.Event()

    async def run(self) -> None:
        self.begun += 1
        if self.begun < 3:
            raise RuntimeError(f"for the {self.begun}. time")
        self.works.set()
        await super().run()


async def test_work_that_breaks_begins_again_later_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says what broke."""
    monkeypatch.setattr(chores, "_FIRST", 0.05)
    (tmp_path / "desk.yaml").write_text("prompt: Hello.\n")
    store = Store(tmp_path / "state")
    agents = Breaking(tmp_path, store, load([tmp_path / "desk.yaml"]))
    async with asyncio.timeout(20), chores.done(agents, store, keep_calls=30):
        await agents.works.wait()
    broke = [one for one in caplog.records if one.message == "work in the background broke"]
    assert [vars(one)["seconds"] for one in broke] == [0.05, 0.1]
    assert [one.levelno for one in broke] == [logging.ERROR] * 2
    assert [str(one.exc_info[1]) for one in broke if one.exc_info] == [
        "for the 1. time",
        "for the 2. time",
    ]
