"""Chromium with a microphone that plays a file, and an ear at the page's audio graph."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import needs
from .needs import cache_folder, needed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Browser, Page, Playwright

    from .stand_in_studio import CallEnd, StandInStudio

    Open = Callable[..., Awaitable[Page]]

AXE_VERSION = "4.14.1"
TAP = Path(__file__).with_name("tap.js")
LOUD = 0.02


async def launch(playwright: Playwright, microphone: Path) -> Browser:
    """Start Chromium; every page's microphone plays the WAV file from its beginning, once."""
    return await playwright.chromium.launch(
        executable_path=needs.chromium(),
        args=[
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={microphone}%noloop",
        ],
    )


def axe() -> Path:
    """Return axe-core, a script that finds what keeps people with disabilities out."""
    path = cache_folder() / "node_modules" / "axe-core" / "axe.min.js"
    return Path(needed(path, f"axe-core {AXE_VERSION}"))


async def talk(page: Page, studio: StandInStudio) -> CallEnd:
    """Press Talk and take the call."""
    await page.click("#talk")
    call = await studio.call()
    return await call.start()


async def shown(page: Page, selector: str, text: str) -> None:
    """Wait until an element shows a text."""
    await page.locator(selector, has_text=text).first.wait_for()


async def sounds(page: Page) -> list[dict[str, float]]:
    """Return the loud notes that the page has played: when, how loud, how high."""
    notes: list[dict[str, float]] = await page.evaluate("window.heard")
    return [note for note in notes if note["loud"] > LOUD]


async def now(page: Page) -> float:
    """Return the time on the clock of `sounds`."""
    return float(await page.evaluate("performance.now() / 1000"))


async def wait_tone(page: Page, hz: float, *, within: float = 10.0) -> None:
    """Wait until a tone has sounded for 0.2 s."""
    tone = f"window.heard.filter((note) => Math.abs(note.hz - {hz}) < 60).length >= 10"
    await _wait(page, tone, within)


async def wait_silence(page: Page, *, within: float = 10.0) -> None:
    """Wait until nothing has sounded for 0.3 s."""
    await _wait(page, f"window.heard.slice(-15).every((note) => note.loud < {LOUD})", within)


async def _wait(page: Page, true: str, within: float) -> None:
    """Wait in the page, where its policy lets playwright's own waiting evaluate nothing."""
    script = f"""async () => {{
        const end = performance.now() + {within * 1000};
        while (!({true}) && performance.now() < end) await new Promise((go) => setTimeout(go, 10));
        return {true};
    }}"""
    assert await page.evaluate(script), f"{true}: not within {within} s"


async def violations(page: Page) -> list[str]:
    """Return what axe finds on the page, a line each."""
    source = await asyncio.to_thread(axe().read_text, encoding="utf-8")
    await page.evaluate(source)
    found: dict[str, Any] = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
