"""What the page shows: agents, findings, a call's transcript; and that it is shown as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rig.browser import lists_agents, shown, talk
from rig.stand_in_studio import FINDING, TOOL, agent

if TYPE_CHECKING:
    from playwright.async_api import Page
    from rig.browser import Open
    from rig.stand_in_studio import StandInStudio

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def lines(page: Page) -> list[str]:
    """Return the transcript, a line each."""
    found: list[str] = await page.locator(".line, .event").all_inner_texts()
    return [" ".join(line.split()) for line in found]


async def test_an_agent_is_shown(open_page: Open, studio: StandInStudio) -> None:
    """All that the file comes to is on the page, and the address chooses the agent."""
    studio.agents = [agent("one"), agent("two", tools=[TOOL], revision="abc123")]
    page = await open_page("#/two")
    about = page.locator(".about")
    for part in (
        "agents/two.yaml", "abc123", "You answer the phone", "coral", "80 %", "Hello there",
        "check_availability", '"monday", "tuesday"', "gpt-realtime, coral",
    ):  # fmt: skip
        await shown(page, ".about", part)
    names = await about.locator(".backends .name").all_inner_texts()
    assert names == ["openai-realtime", "openai-pipeline"]
    await page.click("#agents a >> nth=0")
    await shown(page, "h1", "One")
    assert page.url.endswith("#/one")
    await page.go_back()
    await shown(page, "h1", "Two")


async def test_a_greeting_is_told_from_a_wish_for_one(
    open_page: Open, studio: StandInStudio
) -> None:
    """Words are shown as they will be spoken, braces too; an instruction as what it is."""
    studio.agents = [
        agent("spoken", greeting="{Hello}"),
        agent("generated", greeting="Greet them.", generated=True),
        agent("silent", greeting=""),
    ]
    page = await open_page("#/spoken")
    for id_, label, words in (
        ("spoken", "It begins with", "{Hello}"),
        ("generated", "It begins as its model likes, asked to", "Greet them."),
        ("silent", "It waits for you to speak first", ""),
    ):
        await page.click(f'#agents [href="#/{id_}"]')
        await shown(page, "#openinglabel", label)
        assert await page.locator("#opening").inner_text() == words


async def test_the_states_of_agents(open_page: Open, studio: StandInStudio) -> None:
    """A broken edit shows its findings as `validate` prints them, and what calls get."""
    studio.agents = [
        agent("good"),
        agent("edited", state="last_good", findings=[FINDING]),
        agent("broken", state="broken", findings=[FINDING, FINDING], revision=None, backends=[]),
    ]
    page = await open_page("#/edited")
    await shown(page, "#agents", "Last good since")
    await shown(page, "#findings", "1 finding in agents/edited.yaml: calls get the last good")
    assert await page.locator("#findings pre").text_content() == FINDING
    assert await page.locator("#talk").is_enabled()
    await page.click("#agents a >> nth=2")
    await shown(page, "#findings", "2 findings in agents/broken.yaml: it cannot be called yet")
    assert await page.locator("#talk").is_disabled()
    await page.click("#agents a >> nth=0")
    await page.locator("#findings").wait_for(state="hidden")


async def test_two_files_with_one_id(open_page: Open, studio: StandInStudio) -> None:
    """Each is in the list, is reached with its own findings, and keeps the focus."""
    north = agent("desk", name="North", file="north/desk.yaml", state="broken", findings=["one"])
    south = agent("desk", name="South", file="south/desk.yaml", state="last_good", findings=["two"])
    studio.agents = [north, south]
    page = await open_page()
    await lists_agents(page, "North", "South")
    await page.click("#agents a >> nth=0")
    await shown(page, "#findings pre", "one")
    await page.click("#agents a >> nth=1")
    await shown(page, "#findings pre", "two")
    assert await page.locator("#agents a[aria-current]").count() == 1
    south["findings"] = ["three"]
    await studio.tell()
    await shown(page, "#findings pre", "three")
    await shown(page, "#agents :focus", "South")
    assert (await talk(page, studio)).agent == "desk"
    studio.agents = [south]
    await studio.tell()
    await page.locator("#agents li").nth(1).wait_for(state="detached")
    await page.click("#hangup")
    await shown(page, "h1", "South")


async def test_an_edit_shows_by_itself(open_page: Open, studio: StandInStudio) -> None:
    """A saved edit is on the page at once; during a call it says how to hear it."""
    page = await open_page()
    call = await talk(page, studio)
    studio.agents = [agent(greeting="Good evening.", revision="def456")]
    await studio.tell()
    await call.tell("edited", revision="def456")
    await shown(page, ".about .greeting", "Good evening.")
    await shown(page, "#edited", "hang up and call again to hear it")
    await call.tell("edited", revision="5f0c1a9e")
    await page.locator("#edited").wait_for(state="hidden")
    await call.tell("edited", revision="def456")
    await page.click("#again")
    await call.gone()
    again = await studio.call()
    await again.start(revision="def456")
    await page.locator("#edited").wait_for(state="hidden")
    await shown(page, ".transcript section:nth-of-type(2) .when", "def456")


async def test_a_transcript(open_page: Open, studio: StandInStudio) -> None:
    """Words come as they are spoken; what is cut, used or failed over is told in its place."""
    page = await open_page()
    call = await talk(page, studio)
    for text in ("Hello", "Hello there,", "Hello there, how"):
        await call.said(text, id="g", final=False)
        await shown(page, ".agent.open .said", text)
    await call.said("Hello there, how", id="g", interrupted=True)
    await call.said("Monday?", who="caller")
    arguments = {"day": "monday"}
    await call.tell("tool", id="t", name="look", arguments=arguments, status="running", result=None)
    await shown(page, ".tool", "look")
    await call.tell(
        "tool", id="t", name="look", arguments=arguments, status="done", result="9:00", seconds=1.5
    )
    await call.tell("latency", seconds=0.42)
    await call.said("At nine.")
    await call.tell("left", name="openai-realtime", reason="unauthorized")
    await call.tell("backend", name="openai-pipeline", kind="openai-pipeline", gap=None)
    await call.tell("backend", name="openai-pipeline", kind="openai-pipeline", gap=0.3)
    await call.tell("ended", reason="the caller has left")
    await shown(page, ".ended", "the caller has left")
    assert await lines(page) == [
        "Agent Hello there, how interrupted",
        "You Monday?",
        'Tool look(day: "monday") 9:00 1.50 s',
        "Agent At nine. 0.42 s",
        "openai-realtime failed (unauthorized); openai-pipeline took over after 0.3 s.",
        "Call ended: the caller has left",
    ]


async def test_a_question_stands_above_its_answer(open_page: Open, studio: StandInStudio) -> None:
    """What the caller said has its place from when they were silent, also if it is known late."""
    page = await open_page()
    call = await talk(page, studio)
    await call.said("", who="caller", id="q", final=False)
    await call.said("At", id="a", final=False)
    await shown(page, ".agent .said", "At")
    assert not await page.locator(".line.caller").is_visible()
    await call.said("Monday?", who="caller", id="q")
    await call.said("At nine.", id="a")
    await shown(page, ".agent .said", "At nine.")
    assert await lines(page) == ["You Monday?", "Agent At nine."]
    assert await page.locator(".line.caller").is_visible()


async def test_a_tool_without_arguments_or_answer(open_page: Open, studio: StandInStudio) -> None:
    """What a model has written instead of JSON is shown; no tool runs after its call."""
    page = await open_page()
    call = await talk(page, studio)
    await call.tell("tool", id="t", name="look", arguments="NaN, or so", status="running")
    await shown(page, ".tool code", "look(NaN, or so)")
    await call.tell("ended", reason="the caller has left")
    await shown(page, ".tool .result", "failed: the call ended before its answer")


async def test_two_failures_in_a_row(open_page: Open, studio: StandInStudio) -> None:
    """Each failover is a line of its own, and backends that fail together share one."""
    page = await open_page()
    call = await talk(page, studio)
    await call.tell("left", name="one", reason="unauthorized")
    await call.tell("left", name="two", reason="no_answer")
    await call.tell("backend", name="three", kind="openai-pipeline", gap=1.25)
    await call.tell("left", name="three", reason="no_credit")
    await call.tell("ended", reason="no backend is left")
    await shown(page, ".ended", "no backend is left")
    assert (await lines(page))[:2] == [
        "one failed (unauthorized); two failed (no_answer); three took over after 1.3 s.",
        "three failed (no_credit).",
    ]


async def test_the_primary_is_broken_by_a_button(open_page: Open, studio: StandInStudio) -> None:
    """The button says what it breaks, waits for it, and the backend list shows who has the call."""
    page = await open_page()
    call = await talk(page, studio)
    await shown(page, '.backends [aria-current="true"]', "openai-realtime")
    await page.click("#break")
    await call.received("break")
    assert await page.locator("#break").is_disabled()
    await call.tell("left", name="openai-realtime", reason="broken by hand")
    await call.tell("backend", name="openai-pipeline", kind="openai-pipeline", gap=0.3)
    await shown(page, "#break", "Break the fallback")
    await shown(page, '.backends [aria-current="true"]', "openai-pipeline")
    assert await page.locator("#break").is_enabled()


async def test_live_calls(open_page: Open, studio: StandInStudio) -> None:
    """Calls of LiveKit, of terminals, of other pages and of this one are in one list."""
    page = await open_page()
    await talk(page, studio)
    known = {"agent": "front-desk", "began": "2026-11-22T09:00:00Z", "backend": "openai-realtime"}
    studio.calls = [
        {**known, "id": "c-1", "where": "studio"},
        {**known, "id": "c-2", "where": "studio"},
        {**known, "id": "c-3", "where": "livekit", "agent": "gone"},
        {**known, "id": "c-4", "where": "terminal"},
    ]
    await studio.tell()
    await page.locator("#calls li").nth(3).wait_for()
    assert await page.locator("#calls .where").all_inner_texts() == [
        "this page · openai-realtime", "another page · openai-realtime",
        "LiveKit · openai-realtime", "terminal · openai-realtime",
    ]  # fmt: skip
    assert await page.locator("#calls .name").all_inner_texts() == [
        "Front Desk", "Front Desk", "gone", "Front Desk",
    ]  # fmt: skip


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65.9, "1:05"), (7265, "2:01:05")])
async def test_how_long_a_call_lasts(open_page: Open, seconds: float, text: str) -> None:
    """A call that was left on over night is counted in hours."""
    page = await open_page()
    clock = 'async (seconds) => (await import("/page/words.js")).clock(seconds)'
    assert await page.evaluate(clock, seconds) == text


async def test_a_rehearsal_says_what_it_is(open_page: Open, studio: StandInStudio) -> None:
    """It is said that no model is asked; what one would have been told can be unfolded."""
    studio.line = "OPENAI_API_KEY is not set: agents are rehearsed, not run"
    studio.agents = [agent(rehearsal=True)]
    page = await open_page()
    await shown(page, "#rehearsal", studio.line)
    call = await talk(page, studio)
    await call.tell("started", call="c", agent="front-desk", revision="r", rehearsal=True)
    told = "Instructions\nYou answer the phone."
    await call.tell("note", title="What a model would have been told", text=told)
    await shown(page, ".event", "A rehearsal")
    await shown(page, ".note summary", "What a model would have been told")
    assert await page.locator(".note p").is_hidden()
    await page.click(".note summary")
    await shown(page, ".note p", told)
    assert await page.locator("#break").is_hidden()
    assert await page.locator("#mute").is_visible()


async def test_a_folder_without_agents_says_how_to_begin(
    open_page: Open, studio: StandInStudio
) -> None:
    """An empty folder is met with an example; the first agent appears by itself."""
    studio.agents = []
    page = await open_page()
    await shown(page, "main", "No agents yet")
    studio.agents = [agent("first")]
    await studio.tell()
    await shown(page, "h1", "First")


async def test_an_agent_that_is_not_there(open_page: Open) -> None:
    """An address with an agent that is gone says so, and Talk cannot be pressed."""
    page = await open_page("#/no%20such%E0")
    await shown(page, "main", "There is no agent “no%20such%E0” in this folder.")
    await page.click("#agents a")
    await shown(page, "h1", "Front Desk")


async def test_a_call_outlives_its_agent_s_file(open_page: Open, studio: StandInStudio) -> None:
    """When the file is gone, the call can still be seen, and be ended."""
    page = await open_page()
    call = await talk(page, studio)
    studio.agents = []
    await studio.tell()
    await page.locator("#agents li").wait_for(state="detached")
    await call.said("Are you still there?")
    await shown(page, ".said", "Are you still there?")
    await page.click("#hangup")
    await call.gone()
    await shown(page, "main", "No agents yet")


async def test_the_server_is_gone_and_back(open_page: Open, studio: StandInStudio) -> None:
    """The page says that its server is gone, lets nobody call, and recovers by itself."""
    known = {"agent": "front-desk", "began": "2026-11-22T09:00:00Z", "backend": "openai-realtime"}
    studio.calls = [{**known, "id": "c-1", "where": "livekit"}]
    page = await open_page()
    await shown(page, "#live", "LiveKit")
    await studio.stop()
    await shown(page, "#gone", "The server is gone.")
    assert await page.locator("#talk").is_disabled()
    assert await page.locator("#live").is_hidden()
    studio.agents = [agent("front-desk", greeting="Back again.")]
    await studio.start()
    await page.locator("#gone").wait_for(state="hidden")
    await shown(page, ".about .greeting", "Back again.")
    await talk(page, studio)


async def test_a_server_that_does_not_let_the_page_in(
    open_page: Open, studio: StandInStudio
) -> None:
    """A refusal is told in the server's own words; "Try now" does not wait."""
    page = await open_page()
    await studio.stop()
    studio.refusal = "open the address that `runner serve` has printed, with its token"
    await studio.start()
    await shown(page, "#gone", studio.refusal)
    studio.refusal = ""
    await page.click("#trynow")
    await page.locator("#gone").wait_for(state="hidden")


HTML = "<img src=x onerror=\"document.title='broken in'\"><script>document.title='in'</script>{{x}}"


async def test_nothing_is_taken_for_html(open_page: Open, studio: StandInStudio) -> None:
    """Tags in every field of every message are shown as they are written."""
    tool = {"name": HTML, "description": HTML, "parameters": {"properties": {HTML: {"type": HTML}}}}
    backend = {"name": HTML, "kind": HTML + "2", "about": HTML}
    fields = dict.fromkeys(
        ("name", "description", "file", "revision", "prompt", "greeting", "voice", "temperature"),
        HTML,
    )
    studio.agents = [
        agent(HTML, **fields, backends=[backend], tools=[tool], findings=[HTML], state="last_good")
    ]
    studio.line = HTML
    known = {"agent": HTML, "revision": HTML, "room": HTML, "backend": HTML, "began": HTML}
    studio.calls = [{**known, "id": HTML, "where": HTML}]
    page = await open_page()
    before = await page.evaluate("document.querySelectorAll('img, script').length")
    call = await talk(page, studio)
    await call.tell("started", call=HTML, agent=HTML, revision=HTML, rehearsal=False)
    await call.tell("backend", name=HTML, kind=HTML, gap=None)
    await call.said(HTML, id=HTML)
    await call.said(HTML, who=HTML)
    arguments = {HTML: HTML, "__proto__": HTML}
    await call.tell(
        "tool", id=HTML, name=HTML, arguments=arguments, status="failed", result=HTML, seconds=1
    )
    await call.tell("left", name=HTML, reason=HTML)
    await call.tell("note", text=HTML)
    await call.tell("note", title=HTML, text=HTML)
    await call.tell("state", who="agent", state="constructor")
    await call.tell("constructor", text=HTML)
    await call.tell("ended", reason=HTML)
    await shown(page, ".ended", HTML)
    assert await page.evaluate("document.querySelectorAll('img, script').length") == before
    assert await page.title() == f"{HTML} · Studio"
    for place in (
        "h1",
        ".said",
        ".tool code",
        ".failover",
        ".note",
        ".prompt",
        "#findings",
        ".tools",
    ):
        await shown(page, place, HTML)


async def test_much_of_everything(open_page: Open, studio: StandInStudio) -> None:
    """A thousand agents and a call that does not stop leave the page quick."""
    studio.agents = [agent(f"agent-{number}", prompt="word " * 20_000) for number in range(1000)]
    page = await open_page("#/agent-700")
    await shown(page, "h1", "Agent 700")
    assert len(await page.locator(".prompt").inner_text()) < 5000
    await page.fill("#filter", "agent-99")
    await page.locator("#agents li").nth(11).wait_for(state="detached")
    assert await page.locator("#agents li").count() == 11
    call = await talk(page, studio)
    for number in range(700):
        await call.said(f"Sentence {number}.", id=str(number))
    await shown(page, ".said", "Sentence 699.")
    assert await page.locator(".line").count() <= 500
    assert await page.locator(".said", has_text="Sentence 699.").is_visible()
    box = await page.locator(".said", has_text="Sentence 699.").bounding_box()
    dock = await page.locator(".dock").bounding_box()
    assert box is not None
    assert dock is not None
    assert box["y"] < dock["y"]


async def test_scrolling_back_is_left_alone(open_page: Open, studio: StandInStudio) -> None:
    """Who has scrolled back to read stays there while more is said."""
    page = await open_page()
    call = await talk(page, studio)
    for number in range(60):
        await call.said(f"Sentence {number}.", id=str(number))
    await shown(page, ".said", "Sentence 59.")
    await page.hover("#transcript")
    await page.mouse.wheel(0, -3000)
    await page.locator(".said", has_text="Sentence 0.").first.hover()
    await call.said("One more.", id="more")
    await shown(page, ".said", "One more.")
    assert await page.evaluate("document.getElementById('transcript').scrollTop") < 1000
