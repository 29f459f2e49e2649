"""Pictures of the page at three widths, by day and by night: kept, to be looked at.

In none of them axe finds anything, or anything is wider than the screen.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rig import browser, sound
from rig.browser import shown, talk
from rig.stand_in_studio import FINDING, PROMPT, TOOL, agent, every_state

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Page
    from rig.browser import Open
    from rig.stand_in_studio import CallEnd, StandInStudio

    Look = Callable[[str], Awaitable[None]]
    Visit = Callable[[str], Awaitable[tuple[Page, Look]]]

pytestmark = pytest.mark.asyncio(loop_scope="session")

PICTURES = Path(__file__).parents[2] / "build" / "screenshots"
SIZES = {390: 844, 768: 1024, 1280: 800}
LONG_NAME = "Reception of the Harbour Dental Practice and Orthodontics Centre at Canal Street North"
LONG_WORD = "weekend-and-public-holiday-emergency-line-of-the-northern-district"
QUOTED = (
    "  Tell callers who are in pain, or who bleed, that they may come at once, without an"
    " appointment, at any time when {{ practise }} is open."
)
LONG_FINDING = (
    f"agents/{LONG_WORD}.yaml:31:118: unknown name 'practise'; this agent declares 'practice',"
    " 'opening_hours', 'address' and 'emergency_number'; did you mean 'practice'? [unknown-name]\n"
    f"  31 | {QUOTED}\n"
    f"     | {' ' * QUOTED.index('practise')}^~~~~~~~"
)


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    """Give one of the two themes."""
    return str(request.param)


@pytest.fixture(params=SIZES)
def width(request: pytest.FixtureRequest) -> int:
    """Give one of the three widths."""
    return int(request.param)


@pytest.fixture
def visit(
    width: int, theme: str, open_page: Open, record_property: Callable[[str, object], None]
) -> Visit:
    """Open the page at an address; give it, and a way to look at it by a name."""

    async def visit(address: str) -> tuple[Page, Look]:
        size = {"width": width, "height": SIZES[width]}
        page = await open_page(address, viewport=size, color_scheme=theme)

        async def look(name: str) -> None:
            picture = PICTURES / f"{name}-{width}-{theme}.png"
            await page.screenshot(path=picture)
            record_property("picture", str(picture))
            assert await browser.violations(page) == []
            wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert await page.evaluate(wide) == 0

        return page, look

    return visit


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


async def test_an_agent_a_call_a_mistake_and_nothing(visit: Visit, studio: StandInStudio) -> None:
    """What most people see: an agent, a call with all that happens, a broken file, no server."""
    studio.agents = every_state()
    page, look = await visit("#/front-desk")
    await look("idle")
    call = await talk(page, studio)
    await converse(call)
    await shown(page, "#edited", "edited")
    await browser.wait_tone(page, 440)
    await look("call")
    await page.click("#hangup")
    await page.click("#agents a >> nth=3")
    await shown(page, "#findings", "it cannot be called yet")
    await look("broken")
    studio.agents = []
    studio.line = "OPENAI_API_KEY is not set: agents are rehearsed, not run"
    await studio.tell()
    await shown(page, "main", "No agents yet")
    await look("empty")


def crowd() -> list[dict[str, Any]]:
    """Return thirty agents: long names, long prompts, many backends, every state among them."""
    many = [agent(f"branch-{number:02}", name=f"Branch {number:02}") for number in range(27)]
    tool = {
        "name": "find_the_next_free_appointment_for_a_returning_patient",
        "description": "Look up the next free appointment. Ask for the date of birth before.",
        "parameters": {
            "type": "object",
            "properties": {
                "date_of_birth": {"type": "string", "description": "As YYYY-MM-DD"},
                "treatment": {"type": "string", "enum": ["check-up", "cleaning", "crown", "other"]},
                "earliest": {"type": "string"},
            },
            "required": ["date_of_birth"],
        },
    }
    backends = [
        {"name": "realtime-in-europe", "kind": "openai-realtime", "about": "gpt-realtime, marin"},
        {"name": "pipeline-of-our-own", "kind": "openai-pipeline",
         "about": "Systran/faster-whisper-small at 127.0.0.1:8000, llama3.2 at 127.0.0.1:11434, "
         "speaches-ai/Kokoro-82M-v1.0-ONNX at 127.0.0.1:8000, voice af_heart"},
        {"name": "sorry", "kind": "announcement",
         "about": "says “We cannot answer at the moment.”, then transfers to +442079460000"},
    ]  # fmt: skip
    long = {
        "prompt": "\n\n".join([PROMPT] * 8), "backends": backends, "tools": [tool, TOOL],
        "greeting": "Good evening. " * 12, "generated": True,
        "description": "Answers at night and at weekends. " * 5,
    }  # fmt: skip
    return [
        agent(LONG_WORD, name=LONG_NAME, **long),
        *many,
        agent("edited", state="last_good", findings=[FINDING, LONG_FINDING, FINDING]),
        agent("never-good", name=LONG_WORD, state="broken", findings=[LONG_FINDING], backends=[]),
    ]


async def struggle(call: CallEnd) -> None:
    """Let a call have much of everything, none of it over."""
    await call.said("I will look that up for you. " * 6)
    await call.said("My name is " + "Anne-Marie " * 8 + LONG_WORD * 2, who="caller")
    found = {"date_of_birth": "1980-02-29", "treatment": "check-up", "note": "Prefers mornings. "}
    await call.tell(
        "tool", id="f", name="find_the_next_free_appointment_for_a_returning_patient",
        arguments=found | {"note": "Prefers mornings. " * 9}, status="failed",
        result="the tool took longer than 10 s", seconds=10.0,
    )  # fmt: skip
    await call.tell("left", name="realtime-in-europe", reason="connection_lost")
    await call.tell("left", name="pipeline-of-our-own", reason="no_such_host")
    await call.tell(
        "tool", id="r", name="check_availability", arguments={"day": "monday"}, status="running",
        result=None, seconds=None,
    )  # fmt: skip
    await call.tell("state", who="agent", state="thinking")
    await call.said("Are you still", who="caller", final=False)


async def test_much_of_everything(visit: Visit, studio: StandInStudio) -> None:
    """Thirty agents, long names, long findings, a call in trouble, and a server that goes."""
    studio.agents = crowd()
    page, look = await visit(f"#/{LONG_WORD}")
    await look("crowd")
    known = {"began": "2026-11-22T09:00:00Z", "backend": "pipeline-of-our-own"}
    studio.calls = [
        {**known, "id": "c-1", "agent": LONG_WORD, "where": "studio"},
        *({**known, "id": f"l-{n}", "agent": f"branch-{n:02}", "where": "livekit"} for n in "123"),
    ]
    call = await talk(page, studio)
    await studio.tell()
    await struggle(call)
    await shown(page, ".caller.open", "Are you still")
    await look("trouble")
    await page.click("#agents a >> nth=28")
    await shown(page, "#findings", "3 findings")
    await look("findings")
    await studio.stop()
    await shown(page, "#gone", "The server is gone.")
    await page.click("#agents a >> nth=0")
    await shown(page, ".ended", "The connection to the server broke")
    await look("gone")


async def test_a_rehearsal(visit: Visit, studio: StandInStudio) -> None:
    """A call without any key says in every place what it is."""
    studio.line = "DEEPGRAM_KEY and OPENAI_API_KEY are not set: agents are rehearsed, not run"
    studio.agents = [{**one, "rehearsal": True} for one in every_state()]
    page, look = await visit("#/front-desk")
    await page.click("#talk")
    call = await studio.call()
    await call.tell("started", call="c", agent="front-desk", revision="5f0c1a9e", rehearsal=True)
    await call.tell("backend", name="rehearsal", kind="rehearsal", gap=None)
    await call.tell("state", who="agent", state="listening")
    await call.said("Hello there, thanks for calling Harbour Dental. How can I help?")
    await call.said("check availability on monday", who="caller")
    await call.tell("note", text=PROMPT)
    await call.said("Check availability says: On monday we have 9:00, 11:30 and 15:00.")
    await shown(page, ".said", "Check availability says")
    await look("rehearsal")
