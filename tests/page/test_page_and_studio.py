"""The page and its own server together, over a simulated OpenAI: what a person hears and sees."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from host.studio import address_of
from rig import browser, needs
from rig.browser import Visits, shown
from rig.host import Host
from rig.script import Call, Tone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from playwright.async_api import Browser, Page
    from rig.openai_service import OpenAIService

pytestmark = pytest.mark.asyncio(loop_scope="session")

AGENTS = Path(__file__).parents[1] / "host" / "agents"
FAILING = Path(__file__).parents[1] / "host" / "failing"
REALTIME, PIPELINE, NEXT = 440.0, 880.0, 660.0
AT_ONCE = 0.7  # seconds; 0.15 on a machine that does nothing else
QUESTION = "What do you have on Monday?"
STORY = "This is a long answer that goes on for quite a while. " * 6


@pytest.fixture(scope="module")
def host(
    running_openai_service: OpenAIService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """Serve the studio at a port that it has again when it is started again."""
    home = tmp_path_factory.mktemp("studio")
    agents = home / "agents"
    agents.mkdir()
    for file in (AGENTS / "_defaults.yaml", AGENTS / "front-desk.yaml", FAILING / "spoken.yaml"):
        shutil.copy(file, agents)
    port = str(needs.free_port())
    host = Host.serve(
        agents, "--port", port, environment=running_openai_service.environment, home=home
    )
    yield host.start()
    host.kill()


@pytest_asyncio.fixture(loop_scope="session")
async def visits(
    host: Host, chromium: Browser, openai_service: OpenAIService
) -> AsyncIterator[Visits]:
    """Open pages of the studio; what was learnt of backends in other tests is forgotten."""
    shutil.rmtree(host.state / "backends", ignore_errors=True)
    openai_service.hears(QUESTION)
    openai_service.realtime.script = {"": Tone("Welcome."), "Monday": Tone("At nine.", 1.5)}
    openai_service.http.answers({"": "Welcome here.", "Monday": "At nine or at ten."})
    async with Visits(chromium, await address_of(host)) as visits:
        yield visits


async def call(page: Page) -> None:
    """Press Talk, and be quiet for now: the microphone asks its question when it is unmuted."""
    await page.click("#talk")
    await shown(page, "#mute", "Mute")
    await page.click("#mute")
    await shown(page, "#mute", "Unmute")


async def test_greeting_question_answer_goodbye(visits: Visits) -> None:
    """The greeting is heard, a question that is spoken is answered, and hanging up is silence."""
    page = await visits.open("#/front-desk")
    await call(page)
    await browser.wait_tone(page, REALTIME, seconds=0.9)
    await shown(page, ".agent .said", "Welcome.")
    await browser.wait_silence(page)
    asked = await browser.now(page)
    await page.click("#mute")
    await shown(page, ".caller .said", QUESTION)
    await page.click("#mute")
    await browser.wait_tone(page, REALTIME, after=asked, seconds=1.2)
    await shown(page, ".agent:not(.open) .said", "At nine.")
    await shown(page, ".agent .took", " s")
    await shown(page, "#calls .where", "this page")
    await page.click("#hangup")
    await shown(page, ".ended", "You hung up")
    await page.locator("#calls li").wait_for(state="detached")


async def test_who_speaks_over_the_agent_stops_it(
    visits: Visits, openai_service: OpenAIService
) -> None:
    """A barge-in is silence at once, and the transcript ends where it was cut."""
    openai_service.realtime.script = [Tone(STORY, 30.0), Tone("Yes?", 0.5, NEXT)]
    page = await visits.open("#/front-desk")
    await call(page)
    # LiveKit ignores the caller in the agent's first 3 s of speech, for the echo canceller.
    await browser.wait_tone(page, REALTIME, seconds=3.3)
    unmuted = await browser.now(page)
    await page.click("#mute")
    begun = await browser.speech_begun(page, unmuted)
    await browser.wait_tone(page, NEXT)
    stopped = await browser.last_tone(page, REALTIME)
    print(f"  silent {stopped - begun:.2f} s after the caller began")
    assert 0 <= stopped - begun < AT_ONCE
    await shown(page, ".agent.cut .mark", "interrupted")
    cut = await page.locator(".agent.cut .said").first.inner_text()
    assert 0.05 < len(cut) / len(STORY) < 0.6
    await shown(page, ".agent .said", "Yes?")
    assert await browser.loud(page) < 12


async def test_the_primary_is_broken(visits: Visits) -> None:
    """After "Break the primary" another voice answers, and the page tells of the failover."""
    page = await visits.open("#/spoken")
    await call(page)
    await shown(page, ".agent .said", "Welcome.")
    await browser.wait_silence(page)
    await page.click("#break")
    await shown(page, ".failover", "openai-realtime-1 failed (broken_on_purpose)")
    await shown(page, ".failover", "openai-pipeline-2 took over")
    await shown(page, '.backends [aria-current="true"]', "openai-pipeline")
    await page.fill("#text", QUESTION)
    await page.keyboard.press("Enter")
    await browser.wait_tone(page, PIPELINE)


async def test_a_tool_and_a_typed_line(visits: Visits, openai_service: OpenAIService) -> None:
    """A call that is begun by typing is answered by voice, and shows the tool with its answer."""
    openai_service.realtime.script = {
        "": Tone("Welcome."), "Monday": Call("check_availability", {"day": "monday"}),
    }  # fmt: skip
    page = await visits.open("#/front-desk")
    await page.fill("#text", QUESTION)
    await page.keyboard.press("Enter")
    await shown(page, ".caller .said", QUESTION)
    await shown(page, ".tool code", 'check_availability(day: "monday")')
    await shown(page, ".tool .result", "On monday Harbour Dental has 9:00 and 15:00.")
    await browser.wait_tone(page, REALTIME)


async def test_two_tabs_talk_with_two_agents(visits: Visits) -> None:
    """Two pages are two calls, and each hears its own."""
    one, other = await visits.open("#/front-desk"), await visits.open("#/spoken")
    await call(one)
    await call(other)
    await browser.wait_tone(one, REALTIME)
    await browser.wait_tone(other, REALTIME)
    await one.locator("#calls li").nth(1).wait_for()
    wheres = await one.locator("#calls .where").all_inner_texts()
    assert sorted(where.split(" · ")[0] for where in wheres) == ["another page", "this page"]
    await one.click("#hangup")
    await other.locator("#calls li").nth(1).wait_for(state="detached")


async def test_the_studio_is_killed_and_back(visits: Visits, host: Host) -> None:
    """The page says that the server is gone, ends the call, and recovers by itself."""
    page = await visits.open("#/front-desk")
    await call(page)
    await browser.wait_tone(page, REALTIME)
    host.kill()
    await shown(page, "#gone", "The server is gone")
    await shown(page, ".ended", "The connection to the server broke")
    await browser.wait_silence(page)
    host.start()
    await page.locator("#gone").wait_for(state="hidden")
    back = await browser.now(page)
    await call(page)
    await browser.wait_tone(page, REALTIME, after=back)
    await shown(page, "#calls .where", "this page")
    assert await page.locator("#calls li").count() == 1


async def test_an_edit_while_calling(visits: Visits, host: Host) -> None:
    """A saved edit shows by itself and is heard in the next call; a broken one shows where."""
    file = host.state.parent / "agents" / "front-desk.yaml"
    before = file.read_text()
    page = await visits.open("#/front-desk")
    await call(page)
    await browser.wait_tone(page, REALTIME)
    file.write_text(before + "greeting: Good evening.\n")
    await shown(page, ".about .greeting", "Good evening.")
    await shown(page, "#edited", "hang up and call again to hear it")
    edited = await browser.now(page)
    await page.click("#again")
    await shown(page, "section:nth-of-type(2) .agent .said", "Good evening.")
    await browser.wait_tone(page, PIPELINE, after=edited)
    file.write_text(before + "greting: Good morning.\n")
    await shown(page, "#findings pre", "unknown key 'greting'; did you mean 'greeting'?")
    await shown(page, "#agents", "Last good since")
    await page.click("#hangup")
    broken = await browser.now(page)
    await call(page)
    await shown(page, "section:nth-of-type(3) .agent .said", "Good evening.")
    await browser.wait_tone(page, PIPELINE, after=broken)
    whens = await page.locator("section .when").all_inner_texts()
    first, good, last = [when.split(" · ")[0] for when in whens]
    assert first != good == last
    file.write_text(before)
    await page.locator("#findings").wait_for(state="hidden")
