"""Chromium with a microphone that plays a file, and an ear at the page's audio graph."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import needs, sound, speech

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Self

    from playwright.async_api import Browser, BrowserContext, Page, Playwright, Request

    from .stand_in_studio import CallEnd, StandInStudio

    Open = Callable[..., Awaitable[Page]]

TAP = Path(__file__).with_name("tap.js")
LOUD = 0.02
NEAR = 60


async def launch(playwright: Playwright, folder: Path, question: str, quiet: float) -> Browser:
    """Start Chromium; every microphone is `quiet` for seconds, asks the question, and begins again.

    The recording that it plays is kept in the folder.
    """
    microphone = folder / "question.wav"
    asked = sound.from_wav(speech.spoken(question))
    microphone.write_bytes(sound.to_wav(sound.tone(0, quiet) + asked))
    return await playwright.chromium.launch(
        executable_path=needs.chromium(),
        args=[
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={microphone}",
        ],
    )


class Visits:
    """Visits of one server's page; when all are over, nothing must have gone wrong in them."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.url = url
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._wrong: list[str] = []

    async def open(self, address: str = "", **options: Any) -> Page:
        """Open the page in a profile of its own, and wait for its agents."""
        context = await self._browser.new_context(**options)
        self._contexts.append(context)
        await context.add_init_script(path=TAP)
        page = await context.new_page()
        page.on("request", self._see_request)
        page.on("pageerror", lambda error: self._wrong.append(str(error)))
        await page.goto(self.url + address)
        await page.locator("#agents a, .empty h1").first.wait_for(state="attached")
        return page

    def _see_request(self, request: Request) -> None:
        if not request.url.startswith(self.url):
            self._wrong.append(f"asked somebody else: {request.url}")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(context.close() for context in self._contexts))
        assert self._wrong == []


async def talk(page: Page, studio: StandInStudio) -> CallEnd:
    """Press Talk and take the call."""
    await page.click("#talk")
    call = await studio.call()
    return await call.start()


async def shown(page: Page, selector: str, text: str) -> None:
    """Wait until an element shows a text."""
    await page.locator(selector, has_text=text).first.wait_for()


async def lists_agents(page: Page, *names: str) -> None:
    """Wait until the agents that are to be seen are these; what is new is drawn a frame later."""
    from playwright.async_api import expect

    listed = page.locator("#agents .name")
    await expect(listed).to_have_text(list(names), use_inner_text=True)


async def sounds(page: Page) -> list[dict[str, float]]:
    """Return the loud notes that the page has played: when, how loud, how high."""
    notes: list[dict[str, float]] = await page.evaluate("window.heard")
    return [note for note in notes if note["loud"] > LOUD]


async def loud(page: Page) -> float:
    """Return for how many seconds the page has made a sound."""
    return sum(note["seconds"] for note in await sounds(page))


async def speech_begun(page: Page, after: float, *, within: float = 10.0) -> float:
    """Return when speech began at the microphone, after `after` on the clock of `sounds`.

    A sound of less than 0.1 s, such as the end of a word that was muted, is no speech.
    """
    notes = f"window.spoken.filter((note) => note.at > {after})"
    loud = f"all.slice(at, at + 10).filter((one) => one.loud > {LOUD}).length === 10"
    note = await _wait(page, f"{notes}.find((_, at, all) => {loud})", within)
    return float(note["at"])


async def tones(page: Page, hz: float) -> list[dict[str, float]]:
    """Return the notes of `sounds` that are of a tone."""
    return [note for note in await sounds(page) if abs(note["hz"] - hz) < NEAR]


async def last_tone(page: Page, hz: float) -> float:
    """Return when a tone ended that has sounded."""
    last = (await tones(page, hz))[-1]
    return last["at"] + last["seconds"]


async def now(page: Page) -> float:
    """Return the time on the clock of `sounds`."""
    return float(await page.evaluate("performance.now() / 1000"))


async def wait_tone(
    page: Page, hz: float, *, seconds: float = 0.2, after: float = 0.0, within: float = 10.0
) -> None:
    """Wait until a tone has sounded for so many seconds."""
    notes = f"window.heard.filter((one) => one.at > {after} && Math.abs(one.hz - {hz}) < {NEAR})"
    await _wait(page, f"{notes}.reduce((sum, one) => sum + one.seconds, 0) >= {seconds}", within)


async def wait_silence(page: Page, *, within: float = 10.0) -> None:
    """Wait until nothing has sounded for 0.3 s."""
    recent = "note.at > performance.now() / 1000 - 0.3"
    await _wait(page, f"!window.heard.some((note) => {recent} && note.loud > {LOUD})", within)


async def _wait(page: Page, true: str, within: float) -> Any:
    """Wait in the page, where its policy lets playwright's own waiting evaluate nothing.

    Returns what has become true.
    """
    script = f"""async () => {{
        const end = performance.now() + {within * 1000};
        while (!({true}) && performance.now() < end) await new Promise((go) => setTimeout(go, 10));
        return {true};
    }}"""
    value = await page.evaluate(script)
    assert value, f"{true}: not within {within} s"
    return value


async def violations(page: Page) -> list[str]:
    """Return what axe finds on the page, a line each."""
    source = await asyncio.to_thread(Path(needs.axe()).read_text, encoding="utf-8")
    await page.evaluate(source)
    found: dict[str, Any] = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
