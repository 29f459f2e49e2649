"""Rehearsals, judged by what is heard: calls without a key, a model or a network."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from host.studio import a_studio, address_of
from rig import dictation, sound
from rig.page import Page, calling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from rig.host import Host

    Dial = Callable[[str], Awaitable[Page]]

AGENTS = Path(__file__).with_name("agents")
GREETING = "Hello there, this is Harbour Dental."
STORY = "This is a greeting that goes on for quite a while, word after word after word. " * 3
TALKER = f"""\
prompt: You talk a lot.
greeting: {STORY}
tools:
  - {{name: check_availability, description: Look up free appointments., returns: At nine.}}
"""
ANSWER = "Check availability says: On monday Harbour Dental has 9:00 and 15:00."
# A shell in a network of its own, in which there is the loopback and nothing else.
ALONE = ["unshare", "--net", "--map-root-user", "sh", "-c"]
HAS_LOOPBACK_ONLY = "ip link set lo up && test $(wc -l </proc/net/dev) = 3"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Serve the studio in an environment without any key."""
    home = tmp_path_factory.mktemp("rehearsal")
    agents = home / "agents"
    agents.mkdir()
    for name in ("_defaults", "front-desk", "welcome", "closed", "lost", "back-office"):
        (agents / f"{name}.yaml").write_text((AGENTS / f"{name}.yaml").read_text())
    (agents / "talker.yaml").write_text(TALKER)
    host = a_studio(agents, environment={}, home=home)
    yield host.start()
    host.kill()


@pytest.fixture
async def dial(studio: Host) -> AsyncIterator[Dial]:
    """Call an agent from a page of its own."""
    async with calling(await address_of(studio)) as call:
        yield call


async def greeted(page: Page) -> None:
    """Wait until the agent has said its first words."""
    await page.wait_event("words", who="agent", final=True, within=30)
    await page.wait_silence(0.4)


async def test_the_greeting_is_heard_word_for_word(dial: Dial) -> None:
    """An offline voice speaks it: what is heard is speech of a plausible length, in these words."""
    page = await dial("welcome")
    assert await page.wait_words("Harbour", within=30) == GREETING
    await page.wait_silence(0.4)
    assert 1.5 < len(page.played) / 2 / sound.RATE < 4.0
    heard = dictation.written(bytes(page.played))
    assert heard[:4] == ["hello", "there", "this", "is"]
    assert page.of("started")[0]["rehearsal"]
    assert page.of("backend") == [
        {"type": "backend", "name": "rehearsal", "kind": "rehearsal", "gap": None}
    ]


async def test_words_come_as_they_are_spoken(dial: Dial) -> None:
    """The transcript keeps pace with the voice."""
    page = await dial("talker")
    await page.wait_played(3.0, within=30)
    halfway = page.of("words", who="agent")[-1]["text"]
    assert STORY.startswith(halfway.strip())
    assert 0.05 < len(halfway) / len(STORY) < 0.6


async def test_a_tool_is_asked_for_by_voice(dial: Dial) -> None:
    """What is said finds the tool and the value; the answer is read out, and nothing is in logs."""
    page = await dial("front-desk")
    await greeted(page)
    played = len(page.played)
    _, ended = await page.say("check availability on monday")
    done = await page.wait_event("tool", status="done")
    assert (done["name"], done["arguments"]) == ("check_availability", {"day": "monday"})
    assert await page.wait_words("monday", who="caller") == "check availability on monday"
    answer = await page.wait_heard(after=ended)
    # The tool itself takes half a second.
    assert answer.start < ended + 3.5
    assert await page.wait_words("says") == ANSWER
    await page.wait_silence(0.4)
    assert "monday" in dictation.written(bytes(page.played[played:]))
    assert 0 < page.of("latency")[0]["seconds"] < 3


async def test_what_is_missing_may_be_said_next(dial: Dial) -> None:
    """A single word answers the question for it."""
    page = await dial("front-desk")
    await greeted(page)
    await page.say("check availability")
    await page.wait_words("needs the day: monday, tuesday")
    await page.wait_silence(0.4)
    await page.say("tuesday")
    await page.wait_event("tool", status="done", arguments={"day": "tuesday"})


async def test_a_barge_in_stops_the_voice(dial: Dial) -> None:
    """A caller who speaks over it makes it stop; its words end where it was cut."""
    page = await dial("talker")
    # LiveKit ignores the caller in the agent's first 3 s of speech, for the echo canceller.
    await page.wait_played(3.3, within=30)
    began, ended = await page.say("could you check availability please")
    await page.wait_event("clear")
    cut = await page.wait_event("words", who="agent", final=True)
    assert cut["interrupted"]
    assert STORY.startswith(cut["text"].strip())
    assert len(cut["text"]) < 0.8 * len(STORY)
    await page.wait_event("tool", status="done", arguments={})
    assert page.longest_gap(began + 0.8, ended) > 0.9 * (ended - began - 0.8)


async def test_words_that_it_cannot_make_out_are_said_to_be_so(dial: Dial) -> None:
    """Speech that is nothing the agent could be asked leads to a question, and to typing."""
    page = await dial("front-desk")
    await greeted(page)
    await page.say("what is the weather like today")
    await page.wait_words("[unclear]", who="caller")
    await page.wait_words("I could not make that out. Please say it again, or type it.")


@pytest.mark.parametrize("agent", ["lost", "closed", "back-office"])
async def test_what_is_typed_is_answered_by_voice(dial: Dial, agent: str) -> None:
    """Typing needs no microphone; it always says what it is; any language may be typed."""
    page = await dial(agent)
    await page.type("Was können Sie für mich tun?")
    said = await page.wait_words("This is a rehearsal: no model runs.", within=30)
    await page.wait_heard()
    assert said


async def test_what_a_model_would_have_been_told_is_shown(dial: Dial, studio: Host) -> None:
    """The page is given instructions, tools and messages; the log has none of it."""
    page = await dial("front-desk")
    await page.type("check availability on monday")
    await page.wait_words(ANSWER, within=30)
    # The greeting is one for a model to make up, too.
    asked, answered = page.of("note")[-2:]
    assert asked["title"] == "What a model would have been told"
    assert asked["text"].startswith(
        "Instructions\nYou answer the phone for Harbour Dental. You talk"
    )
    assert "\n\nTools\ncheck_availability: Look up free appointments on a day." in asked["text"]
    assert "\nuser: check availability on monday" in asked["text"]
    assert answered["text"].endswith(
        'call of check_availability: {"day": "monday"}\n'
        "answer of check_availability: On monday Harbour Dental has 9:00 and 15:00."
    )
    assert "monday" not in studio.stderr


async def test_two_pages_rehearse_at_once(dial: Dial) -> None:
    """Each has its own agent's answer, though one pair of ears hears both."""
    pages = [await dial("front-desk"), await dial("talker")]
    await pages[1].wait_played(3.3, within=30)
    await asyncio.gather(
        pages[0].say("check availability on tuesday"),
        pages[1].say("could you check availability please"),
    )
    await pages[0].wait_event("tool", status="done", arguments={"day": "tuesday"})
    await pages[1].wait_event("tool", status="done", arguments={})


@pytest.mark.skipif("RUNNER_ALONE" in os.environ, reason="this is the run inside")
def test_all_of_this_needs_no_network(tmp_path: Path) -> None:
    """The greeting, speech, a tool and typing where there is nothing but the loopback."""
    tried = subprocess.run([*ALONE, HAS_LOOPBACK_ONLY], check=False, capture_output=True, text=True)
    if tried.returncode and os.environ.get("CI") != "true":
        pytest.skip(f"no network of its own can be made here: {tried.stderr.strip()}")
    names = "greeting_is_heard or by_voice or model_would"
    inside = f"{HAS_LOOPBACK_ONLY} && exec {sys.executable} -m pytest -q {__file__} -k '{names}'"
    done = subprocess.run(
        [*ALONE, inside],
        env={**os.environ, "RUNNER_ALONE": "1"},
        cwd=Path(__file__).parents[2],
        check=False,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout
