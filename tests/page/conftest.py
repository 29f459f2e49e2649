"""The studio's page in Chromium, at a server that does what the test says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest
    from playwright.async_api import Browser, Playwright
    from rig.browser import Open
    from rig.stand_in_studio import StandInStudio

SECONDS_OF_QUIET = 2.0


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the pictures that were taken: somebody is to look at them."""
    reports = [one for kind in ("passed", "failed") for one in terminalreporter.getreports(kind)]
    kept = [value for one in reports for name, value in one.user_properties if name == "picture"]
    if kept:
        terminalreporter.section(f"{len(kept)} pictures of the page, to be looked at")
        for path in sorted(kept):
            terminalreporter.write_line(path)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    """Run playwright, one for all tests."""
    from playwright.async_api import async_playwright

    async with async_playwright() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(
    playwright: Playwright, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Browser]:
    """Run Chromium; its microphone is silent for two seconds, asks a question, and begins again."""
    from rig import browser

    folder = tmp_path_factory.mktemp("microphone")
    question = "What do you have on Monday?"
    running = await browser.launch(playwright, folder, question, SECONDS_OF_QUIET)
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
    """Open pages of the stand-in; in the end they have asked nobody else, and nothing broke."""
    from rig.browser import Visits

    async with Visits(chromium, studio.url) as visits:
        yield visits.open
