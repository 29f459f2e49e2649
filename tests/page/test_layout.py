"""Whether the parts of the page can be told from what is around them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rig.browser import Open

pytestmark = pytest.mark.asyncio(loop_scope="session")

COLOURS = """([box, around]) => {
    const { borderTopColor, backgroundColor } = getComputedStyle(document.querySelector(box));
    const ground = getComputedStyle(document.querySelector(around)).backgroundColor;
    return [borderTopColor, backgroundColor, ground];
}"""
LEAST_CONTRAST = 3.0


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
