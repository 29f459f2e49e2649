"""The page without a mouse, without good eyes, in small and in large; its pictures are kept."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig import browser, sound
from rig.browser import shown, talk
from rig.stand_in_studio import FINDING, TOOL, agent

if TYPE_CHECKING:
    from playwright.async_api import Page
    from rig.browser import Open
    from rig.stand_in_studio import CallEnd, StandInStudio

pytestmark = pytest.mark.asyncio(loop_scope="session")

PICTURES = Path(__file__).parents[2] / "build" / "screenshots"
PROMPT = """You answer the phone for Harbour Dental. Today is Sunday 22 November.
Opening hours: 8:30 to 17:00, Monday to Friday.

Find out what the caller needs. For an appointment, ask for the day first and look up what is \
free; read out at most three times."""
SIZES = {390: 844, 768: 1024, 1280: 800}


def agents() -> list[dict[str, object]]:
    """Return one agent of every state."""
    return [
        agent("assistant", description="A helpful assistant."),
        agent("front-desk", name="Harbour Dental", prompt=PROMPT, tools=[TOOL]),
        agent("parcel-line", state="last_good", findings=[FINDING]),
        agent(
            "night-desk", state="broken", findings=[FINDING], backends=[], prompt="", greeting=""
        ),
    ]


async def converse(call: CallEnd) -> None:
    """Let everything happen that a transcript shows."""
    await call.said("Hello there, thanks for calling Harbour Dental. How can I help?")
    await call.said("What do you have on Monday?", who="caller")
    await call.tell(
        "tool", id="t", name="check_availability", arguments={"day": "monday"}, status="done",
        result="On monday we have 9:00, 11:30 and 15:00.", seconds=0.01,
    )  # fmt: skip
    await call.tell("latency", seconds=0.42)
    await call.said("On Monday we have nine o'clock, half past eleven and", interrupted=True)
    await call.said("Half past eleven sounds good.", who="caller")
    await call.tell("left", name="openai-realtime", reason="unauthorized")
    await call.tell("backend", name="openai-pipeline", kind="openai-pipeline", gap=0.3)
    await call.tell("latency", seconds=1.18)
    await call.tell("state", who="agent", state="speaking")
    await call.said("Noted: half past eleven on Monday. The practice", final=False)
    await call.tell("edited", revision="b")
    await call.play(sound.tone(440, 5))


async def picture(page: Page, name: str) -> None:
    """Keep a picture of the page."""
    await asyncio.to_thread(PICTURES.mkdir, parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", SIZES)
async def test_pictures(width: int, theme: str, open_page: Open, studio: StandInStudio) -> None:
    """Idle, in a call, broken and empty: nothing for axe to find, nothing wider than the screen."""
    studio.agents = agents()
    size = {"width": width, "height": SIZES[width]}
    page = await open_page("#/front-desk", viewport=size, color_scheme=theme)
    await look_at(page, f"idle-{width}-{theme}")
    call = await talk(page, studio)
    await converse(call)
    await shown(page, "#edited", "edited")
    await browser.wait_tone(page, 440)
    await look_at(page, f"call-{width}-{theme}")
    await page.click("#hangup")
    await page.click("#agents a >> nth=3")
    await shown(page, "#findings", "it cannot be called yet")
    await look_at(page, f"broken-{width}-{theme}")
    studio.agents = []
    studio.line = "OPENAI_API_KEY is not set: agents are rehearsed, not run"
    await studio.tell()
    await shown(page, "main", "No agents yet")
    await studio.stop()
    await shown(page, "#gone", "The server is gone.")
    await look_at(page, f"empty-{width}-{theme}")


async def look_at(page: Page, name: str) -> None:
    """Take a picture and let axe look as well."""
    await picture(page, name)
    assert await browser.violations(page) == []
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(wide) == 0


async def tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element has the focus, and see that the focus is visible."""
    for _ in range(40):
        if await page.evaluate("(s) => document.activeElement.matches(s)", selector):
            break
        await page.keyboard.press("Tab")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert await page.evaluate(f"[document.activeElement.id, {outline}]") == [selector[1:], "solid"]


async def test_a_call_by_keyboard_alone(open_page: Open, studio: StandInStudio) -> None:
    """An agent is chosen, called, typed to, muted, broken and hung up on without a mouse."""
    studio.agents = agents()
    page = await open_page()
    await page.keyboard.press("Tab")
    await shown(page, ":focus", "Skip to the type box")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await shown(page, "h1", "Assistant")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await shown(page, "h1", "Harbour Dental")
    await tab_to(page, "#talk")
    await page.keyboard.press("Enter")
    call = await studio.call()
    await call.start()
    await shown(page, "#mute:focus", "Mute")
    await page.keyboard.press("Space")
    await shown(page, "#mute:focus", "Unmute")
    await page.keyboard.press("Alt+KeyB")
    await call.received("break")
    await tab_to(page, "#text")
    await page.keyboard.type("Monday, please")
    await page.keyboard.press("Enter")
    assert (await call.received("text"))[0]["text"] == "Monday, please"
    await page.keyboard.press("Alt+KeyH")
    await call.gone()
    await page.keyboard.press("Alt+KeyT")
    again = await studio.call()
    await again.start()
    await tab_to(page, "#hangup")
    await again.tell("state", who="agent", state="thinking")
    await shown(page, "#doing", "thinking")
    await page.keyboard.press("Enter")
    await again.gone()
    await shown(page, "#talk:focus", "Talk")


async def test_what_is_said_is_announced_once(open_page: Open, studio: StandInStudio) -> None:
    """A screen reader is told whole sentences, not every word as it comes."""
    page = await open_page()
    call = await talk(page, studio)
    for text in ("Hello", "Hello there"):
        await call.said(text, id="g", final=False)
    await call.said("Hello there.", id="g")
    await shown(page, "#announcer", "Agent: Hello there.")
    assert await page.locator("#announcer p").all_inner_texts() == ["Agent: Hello there."]
    assert await page.locator("#announcer").get_attribute("role") == "log"


async def test_nothing_moves_where_that_is_not_wanted(
    open_page: Open, studio: StandInStudio
) -> None:
    """With reduced motion neither the levels nor an edit move."""
    page = await open_page(reduced_motion="reduce")
    await talk(page, studio)
    assert not await page.locator("#meter").is_visible()
    studio.agents = [agent(greeting="Good evening.")]
    await studio.tell()
    await shown(page, ".about .greeting", "Good evening.")
    name = "getComputedStyle(document.getElementById('about')).animationName"
    assert await page.evaluate(name) == "none"
