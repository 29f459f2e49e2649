"""Somebody at the studio's page in Chromium, who is measured like a caller in a room."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from playwright.async_api import Browser, async_playwright
from playwright.async_api import Page as Tab
from rig import browser, sound, speech
from rig.browser import Visits
from rig.caller import Span

# Seconds of quiet before the question at the microphone, which begins with the call.
_QUIET = 8.0


class Visitor:
    """Somebody at the page in Chromium; all times are seconds since they pressed Talk."""

    def __init__(self, visits: Visits) -> None:
        self._visits = visits

    async def call(self, kind: str) -> None:
        """Open the page, and press Talk."""
        self._tab: Tab = await self._visits.open(f"#/{kind}")
        await self._tab.evaluate(
            "document.getElementById('talk').addEventListener('click',"
            " () => { window.pressed = performance.now() / 1000; })"
        )
        await self._tab.click("#talk")
        self._began = float(await self._tab.evaluate("window.pressed"))

    async def wait_heard(self, hz: float, *, after: float = 0.0, within: float = 10.0) -> Span:
        """Return the first sound of a tone after `after`."""
        after += self._began
        await browser.wait_tone(self._tab, hz, after=after, within=within)
        first = next(note for note in await browser.tones(self._tab, hz) if note["at"] > after)
        return Span(first["at"] - self._began, first["at"] + first["seconds"] - self._began, hz)

    async def wait_silence(self, _: float) -> float:
        """Return when the silence began that lasts."""
        await browser.wait_silence(self._tab)
        last = (await browser.sounds(self._tab))[-1]
        return last["at"] + last["seconds"] - self._began

    async def say(self, question: str) -> tuple[float, float]:
        """Let the microphone ask its question; return when it began and ended."""
        begun = await browser.speech_begun(self._tab, await browser.now(self._tab), within=_QUIET)
        return begun - self._began, begun + _seconds(question) - self._began

    async def leave(self) -> None:
        """Hang up."""
        await self._tab.click("#hangup")
        await self._tab.close()


@asynccontextmanager
async def chromium(folder: Path, question: str) -> AsyncIterator[Browser]:
    """Run Chromium, in which whoever calls asks the question once the greeting is over."""
    async with async_playwright() as playwright:
        running = await browser.launch(playwright, folder, question, _QUIET)
        yield running
        await running.close()


def _seconds(question: str) -> float:
    """Return how long the recording of the question is, from its first sound on."""
    pcm = sound.from_wav(speech.spoken(question))
    samples = np.abs(np.frombuffer(pcm, "<i2")) / 32768
    return float(len(samples) - np.argmax(samples > browser.LOUD)) / sound.RATE
