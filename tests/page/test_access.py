"""The page without a mouse and without good eyes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rig.browser import lists_agents, shown, talk
from rig.stand_in_studio import agent, every_state

if TYPE_CHECKING:
    from playwright.async_api import Page
    from rig.browser import Open
    from rig.stand_in_studio import StandInStudio

pytestmark = pytest.mark.asyncio(loop_scope="session")


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
    studio.agents = every_state()
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


async def test_the_focus_stays_while_agents_come_and_go(
    open_page: Open, studio: StandInStudio
) -> None:
    """Who stands on an agent in the list stays there, whichever others are added or removed."""
    studio.agents = [agent("b"), agent("d")]
    page = await open_page()
    await page.focus('#agents [href="#/d"]')
    for ids in ("abcde", "ad", "d", "dxy"):
        studio.agents = [agent(id_) for id_ in ids]
        await studio.tell()
        await page.locator(f"#agents li:last-child:nth-child({len(ids)})").wait_for()
        await lists_agents(page, *ids.upper())
        assert await page.evaluate("document.activeElement.hash") == "#/d"


async def test_a_button_that_is_pressed_keeps_the_focus(
    open_page: Open, studio: StandInStudio
) -> None:
    """A second Enter does nothing else, and after "Call again" the focus is in the new call."""
    page = await open_page()
    call = await talk(page, studio)
    await page.focus("#break")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await shown(page, "#break:focus", "Break the primary")
    await call.tell("left", name="openai-realtime", reason="broken_on_purpose")
    await shown(page, "#break:focus", "Break the fallback")
    assert await page.locator("#mutelabel").inner_text() == "Mute"
    await call.tell("edited", revision="b")
    await page.focus("#again")
    await page.keyboard.press("Enter")
    await call.gone()
    assert [message["type"] for message in call.messages] == ["break", "hang_up"]
    await (await studio.call()).start(revision="b")
    await shown(page, "#mute:focus", "Mute")


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
