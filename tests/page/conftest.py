"""The studio's page in Chromium, at a server that does what the test says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from rig import sound, speech

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from playwright.async_api import Browser, BrowserContext, Page, Playwright
    from rig.stand_in_studio import StandInStudio

    Open = Callable[..., Awaitable[Page]]

SECONDS_OF_QUIET = 1.0


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    """Run playwright, one for all tests."""
    api = pytest.importorskip("playwright.async_api")
    async with api.async_playwright() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(
    playwright: Playwright, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Browser]:
    """Run Chromium; a microphone in it plays a second of silence, then asks a question."""
    from rig import browser

    question = sound.from_wav(speech.spoken("What do you have on Monday?"))
    microphone = tmp_path_factory.mktemp("microphone") / "question.wav"
    quiet = sound.tone(0, SECONDS_OF_QUIET)
    microphone.write_bytes(sound.to_wav(quiet + question))
    running = await browser.launch(playwright, microphone)
    yield running
    await running.close()


@pytest_asyncio.fixture(loop_scope="session")
async def studio() -> AsyncIterator[StandInStudio]:
    """Serve the page."""
    from rig.stand_in_studio import StandInStudio

    server = await StandInStudio().start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(chromium: Browser, studio: StandInStudio) -> AsyncIterator[Open]:
    """Open the page; in the end nothing was asked of anyone else, and nothing went wrong in it."""
    from rig import browser

    contexts: list[BrowserContext] = []
    strays: list[str] = []
    errors: list[str] = []

    async def go(address: str = "", **options: object) -> Page:
        context = await chromium.new_context(**options)  # type: ignore[arg-type]
        contexts.append(context)
        await context.add_init_script(path=browser.TAP)
        page = await context.new_page()
        page.on("request", lambda r: r.url.startswith(studio.url) or strays.append(r.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(studio.url + address)
        await page.locator("#agents a, .empty h1").first.wait_for(state="attached")
        return page

    yield go
    await asyncio.gather(*(context.close() for context in contexts))
    assert strays == []
    assert errors == []
