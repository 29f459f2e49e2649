"""Where the parts of the page are, and whether they can be told from what is around them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from rig.browser import shown, talk
from rig.stand_in_studio import FINDING, agent

if TYPE_CHECKING:
    from rig.browser import Open
    from rig.stand_in_studio import StandInStudio

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARTS = [".top", ".agents", ".heading", ".findings", ".transcript", ".dock", ".live", ".about"]
OVERLAPS = """(parts) => {
    const boxes = parts.map((part) => document.querySelector(part).getBoundingClientRect());
    const over = (a, b) => Math.min(Math.min(a.right, b.right) - Math.max(a.left, b.left),
        Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)) > 1;
    return parts.flatMap((part, one) => parts.slice(one + 1)
        .filter((_, other) => over(boxes[one], boxes[one + 1 + other]))
        .map((other) => `${part} ${other}`));
}"""
HEIGHTS = """() => {
    const box = (part) => document.querySelector(part).getBoundingClientRect();
    return [box(".transcript").height, box(".dock").bottom - box(".top").top];
}"""
LEAST_TRANSCRIPT = 120
COLOURS = """([box, around]) => {
    const { borderTopColor, backgroundColor } = getComputedStyle(document.querySelector(box));
    const ground = getComputedStyle(document.querySelector(around)).backgroundColor;
    return [borderTopColor, backgroundColor, ground];
}"""
LEAST_CONTRAST = 3.0


@pytest.mark.parametrize("size", [(390, 600), (390, 830), (640, 400), (800, 500), (1280, 600)])
async def test_no_part_lies_over_another(
    size: tuple[int, int], open_page: Open, studio: StandInStudio
) -> None:
    """However low the screen is, nothing of a call is hidden; it is no higher than it must be."""
    width, height = size
    others = [agent(f"branch-{number}") for number in range(30)]
    studio.agents = [agent(state="last_good", findings=[FINDING] * 9), *others]
    known = {"agent": "front-desk", "began": "2026-11-22T09:00:00Z", "backend": "openai-realtime"}
    studio.calls = [{**known, "id": "c-1", "where": "livekit"}]
    page = await open_page("#/front-desk", viewport={"width": width, "height": height})
    call = await talk(page, studio)
    await call.said("Hello there. " * 99)
    await call.tell("edited", revision="b")
    await shown(page, "#edited", "edited")
    await page.locator("#live").wait_for()
    assert await page.evaluate(OVERLAPS, PARTS) == []
    transcript, bottom = await page.evaluate(HEIGHTS)
    assert transcript == pytest.approx(LEAST_TRANSCRIPT, abs=1) or bottom <= height + 1


def luminance(colour: str) -> float:
    """Return how light a colour is, as WCAG reckons it."""
    shares = [int(share) / 255 for share in re.findall(r"\d+", colour)]
    red, green, blue = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    ]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("box", "around"), [("#text", "main"), ("#filter", "body")])
async def test_a_box_can_be_told_from_its_ground(
    open_page: Open, theme: str, box: str, around: str
) -> None:
    """Its border has the contrast that WCAG 1.4.11 asks of controls."""
    page = await open_page(color_scheme=theme)
    border, *grounds = map(luminance, await page.evaluate(COLOURS, [box, around]))
    for ground in grounds:
        light, dark = max(border, ground), min(border, ground)
        assert (light + 0.05) / (dark + 0.05) >= LEAST_CONTRAST
