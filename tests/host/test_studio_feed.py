"""What pages are told beside their calls: by one look for all, and with nothing left behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web
from catalog.records import a_record, aged
from catalog.specs import a_spec
from rig.serving import serving

from runner.catalog.catalog import Catalog
from runner.catalog.records import Records
from runner.catalog.serving import Serving
from runner.host.studio.feed import Feed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from runner.catalog.records import CallRecord

    Visit = Callable[[], Awaitable[aiohttp.ClientWebSocketResponse]]


class Counted(Records):
    """Records that count how often all of them were read."""

    looks: int

    def running(self, since: float = 0.0) -> list[CallRecord]:
        """Count."""
        Counted.looks += 1
        return super().running(since)


@pytest.fixture
async def visit(tmp_path: Path) -> AsyncIterator[Visit]:
    """Open the standing line of a page."""
    Counted.looks = 0
    known = Serving(catalog=Catalog({"desk": a_spec("desk")}, files=1))
    records = Counted(tmp_path)
    records.write(a_record("before"))
    aged(records.find("before"), 5)
    feed = Feed(lambda: known, records)

    async def answer(request: web.Request) -> web.WebSocketResponse:
        return await feed.follow(request, asyncio.Event())

    app = web.Application()
    app.router.add_get("/", answer)
    async with serving(app) as address, aiohttp.ClientSession() as http:
        yield lambda: http.ws_connect(f"{address}/")


def at_work() -> dict[asyncio.Task[object], str]:
    """Return the tasks that are there for pages, and what they do."""
    known = {task: task.get_coro().__qualname__ for task in asyncio.all_tasks()}
    return {task: name for task, name in known.items() if name.startswith(("Wire.", "Feed."))}


async def told(page: aiohttp.ClientWebSocketResponse) -> list[str]:
    """Return the calls that a page has been told of first."""
    assert (await page.receive_json())["type"] == "agents"
    return [call["id"] for call in (await page.receive_json())["calls"]]


async def test_a_page_that_goes_leaves_nothing_behind(visit: Visit) -> None:
    """No task waits for a page that was closed, nor for one that has said what it must not."""
    async with asyncio.timeout(10):
        for rude in (False, True):
            page = await visit()
            await told(page)
            assert sorted(at_work().values()) == ["Feed._tell", "Wire._send"]
            await (page.send_str("{}") if rude else page.close())
            while left := at_work():
                await asyncio.wait(left)


async def test_all_pages_share_one_look_at_the_records(visit: Visit, tmp_path: Path) -> None:
    """A hundred pages read as much of the disk as one does; each learns of every call."""
    pages = [await visit() for _ in range(100)]
    assert await asyncio.gather(*map(told, pages)) == [[]] * 100
    before = Counted.looks
    Records(tmp_path).write(a_record("now"))
    async with asyncio.timeout(10):
        for call in await asyncio.gather(*(page.receive_json() for page in pages)):
            assert [one["id"] for one in call["calls"]] == ["now"]
    assert before <= 2
    assert Counted.looks - before <= 3
    await asyncio.gather(*(page.close() for page in pages))


async def test_a_call_of_the_studio_before_is_not_live(visit: Visit, tmp_path: Path) -> None:
    """A studio that was killed leaves calls without an end; one that goes on is heard of again."""
    page = await visit()
    assert await told(page) == []
    Records(tmp_path).touch(a_record("before"))
    async with asyncio.timeout(10):
        assert [one["id"] for one in (await page.receive_json())["calls"]] == ["before"]
    await page.close()
