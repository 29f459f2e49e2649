"""An announcement is spoken beforehand, and is heard whatever has become of the servers."""

from __future__ import annotations

import asyncio
import logging
import uuid
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from catalog.backends import announcement as an_announcement
from catalog.backends import pipeline, realtime
from catalog.specs import a_spec
from rig import sound
from rig.host import Host
from rig.openai_http import HTTPFault
from rig.openai_realtime import Fault
from rig.serving import serving
from rig.talk import hears_last_words

from runner.catalog.announcements import Announcements, announcement
from runner.catalog.records import Records
from runner.definition.spec import Part
from runner.host.announcements import Announcer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from rig.caller import Caller
    from rig.livekit_server import LiveKitServer
    from rig.openai_service import OpenAIService

    from runner.definition.spec import AgentSpec

AGENTS = Path(__file__).with_name("announcing")
SPEECH, VOICE = 0.0, 880.0
SENTENCE = "Closed is closed today."
PASSED_ON = "I pass you on."
MADE, NOT_MADE = "announcement spoken beforehand", "cannot speak an announcement"


@pytest.fixture
def serve(hosts: Callable[[Host], Host], tmp_path: Path) -> Callable[..., Host]:
    """Start a host of `announcing/`; all share one state folder."""

    def start(*options: str, **environment: str) -> Host:
        home = tmp_path / "home"
        return hosts(Host.serve(AGENTS, *options, environment=environment, home=home))

    return start


async def dialled(server: LiveKitServer, one: Caller, agent: str) -> Caller:
    """Join a new room of an agent."""
    room = f"{agent}-{uuid.uuid4().hex[:8]}"
    await one.join(server.url, server.token(room, one.identity))
    return one


def asked(service: OpenAIService) -> list[str]:
    """Return the sentences that a TTS was asked for, in alphabetical order."""
    return sorted(request.event["body"]["input"] for request in service.http.journal.of("tts"))


async def test_the_agents_own_voice_is_heard_when_every_server_is_dead(
    serve: Callable[..., Host],
    caller: Callable[..., Caller],
    livekit_server: LiveKitServer,
    openai_service: OpenAIService,
    host_environment: dict[str, str],
) -> None:
    """It was made once, by an earlier host, and no other TTS is asked in the call."""
    earlier = serve(**host_environment)
    await earlier.wait_log(MADE, count=2)
    earlier.kill()
    openai_service.realtime.fault = Fault("refuse")
    openai_service.http.faults = {"tts": HTTPFault("hang")}
    host = serve("--record-transcripts", **host_environment)
    await host.ready()
    one = await dialled(livekit_server, caller(), "closed")
    heard = await one.wait_heard(VOICE)
    await one.wait_caption(SENTENCE)
    line = await host.wait_log("announcing", room=one.room.name)
    await one.wait_happening("disconnected")
    assert heard.seconds == pytest.approx(0.06 * len(SENTENCE), abs=0.4)
    assert (line["voice"], line["models"]) == ("coral", "gpt-4o-mini-tts")
    assert asked(openai_service) == [SENTENCE, PASSED_ON]
    await host.wait_log("backend is heard", room=one.room.name, backend="sorry")
    await host.wait_log("call ended", room=one.room.name)
    records = Records(host.state)
    (path,) = [path for path in records.paths() if one.room.name in path.name]
    record = records.read(path)
    assert [(stay.name, stay.reason) for stay in record.backends] == [
        ("openai-realtime-1", "connection_lost"), ("sorry", None),
    ]  # fmt: skip
    assert [(turn.backend, turn.text) for turn in record.turns] == [("sorry", SENTENCE)]
    assert record.backends[1].gap is not None


async def test_it_needs_no_key_once_it_is_made(
    serve: Callable[..., Host],
    caller: Callable[..., Caller],
    livekit_server: LiveKitServer,
    openai_service: OpenAIService,
    host_environment: dict[str, str],
) -> None:
    earlier = serve(**host_environment)
    await earlier.wait_log(MADE, count=2)
    earlier.kill()
    host = serve(**host_environment | {"OPENAI_API_KEY": ""})
    await host.ready()
    one = await dialled(livekit_server, caller(), "closed")
    await one.wait_heard(VOICE)
    await one.wait_happening("disconnected")
    await host.wait_log("its key is not set", room=one.room.name)


async def test_the_packages_own_recording_is_heard_where_none_was_made(
    serve: Callable[..., Host],
    caller: Callable[..., Caller],
    livekit_server: LiveKitServer,
    openai_service: OpenAIService,
    host_environment: dict[str, str],
) -> None:
    """Its words are what is written down, and the TTS is not asked while the caller waits."""
    openai_service.realtime.fault = Fault("401")
    openai_service.http.faults = {"tts": HTTPFault("500")}
    host = serve(**host_environment)
    await host.ready()
    await host.wait_log(NOT_MADE, reason="server_error")
    one = await dialled(livekit_server, caller(), "closed")
    await one.wait_heard(SPEECH, seconds=0.3)
    await hears_last_words(one)
    assert one.heard(VOICE) == 0
    assert one.spans[-1].end - one.spans[0].start > 4
    await host.wait_log("was not spoken beforehand", level="WARNING", room=one.room.name)
    await host.wait_log("hanging up", room=one.room.name, reason="announced")


async def test_who_cannot_be_passed_on_is_told_so_last(
    serve: Callable[..., Host],
    caller: Callable[..., Caller],
    livekit_server: LiveKitServer,
    openai_service: OpenAIService,
    host_environment: dict[str, str],
) -> None:
    """A transfer is tried before the package's recording, which asks to ring again."""
    openai_service.http.faults = {"tts": HTTPFault("401")}
    host = serve(**host_environment)
    await host.ready()
    one = await dialled(livekit_server, caller(), "passed-on")
    await one.wait_heard(SPEECH, seconds=0.3)
    refused = await host.wait_log("cannot transfer", room=one.room.name)
    await one.wait_happening("disconnected", within=15)
    await host.wait_log("hanging up", room=one.room.name, reason="announced")
    messages = [line["message"] for line in host.log if line.get("room") == one.room.name]
    assert messages.index(refused["message"]) < messages.index("backend started")


class Watched:
    """An announcer with a clock of its own, and what it was asked for."""

    def __init__(self, state: Path, service: OpenAIService, **environment: str) -> None:
        self.now = self.pace = 0.0
        self.agents: Mapping[str, AgentSpec] = {}
        self.kept = Announcements(state, service.environment | environment)
        self.announcer = Announcer(self.kept, lambda: self.agents, self._clock)
        self._journal = service.http.journal

    async def look(self, at: float = 0.0) -> list[tuple[str, str]]:
        """Return the voices, and the sentences, that are asked for at this time."""
        self.now, before = at, len(self._journal)
        await self.announcer.look()
        asked = [request.event["body"] for request in self._journal.of("tts")[before:]]
        return [(body["voice"], body["input"]) for body in asked]

    def _clock(self) -> float:
        self.now += self.pace
        return self.now

    def serve(self, *specs: AgentSpec) -> None:
        self.agents = MappingProxyType({spec.id: spec for spec in specs})

    def voice(self, spec: AgentSpec) -> str | None:
        """Return the voice in which a call would hear the announcement."""
        last = spec.backends[-1]
        best = self.kept.best(announcement(spec, last))  # type: ignore[arg-type]
        return best and best[0].voice


@pytest.fixture
def watched(tmp_path: Path, openai_service: OpenAIService) -> Watched:
    return Watched(tmp_path, openai_service)


def agent(id_: str, *backends: object, say: str = "Sorry.") -> AgentSpec:
    return a_spec(id_, backends=(*backends, an_announcement(say=say)))


async def test_each_sentence_is_asked_for_once(watched: Watched) -> None:
    """Agents that say the same in the same voice share it; an edit asks for what is new."""
    watched.serve(agent("one", realtime()), agent("two", realtime("again")), a_spec("three"))
    assert await watched.look() == [("coral", "Sorry.")]
    assert await watched.look(at=100_000) == []
    watched.serve(agent("one", realtime(), say="Edited."), agent("two", realtime()))
    assert await watched.look(at=100_001) == [("coral", "Edited.")]


async def test_one_that_was_removed_is_made_again(watched: Watched) -> None:
    watched.serve(agent("one"))
    await watched.look()
    for path in (watched.kept.state / "announcements").iterdir():
        path.unlink()
    assert await watched.look(at=10) == []
    assert await watched.look(at=3700) == [("coral", "Sorry.")]


async def test_a_voice_that_fails_is_left_alone_for_longer_and_longer(
    watched: Watched, openai_service: OpenAIService, caplog: pytest.LogCaptureFixture
) -> None:
    """Of many sentences only one is asked for until it answers; it is logged once."""
    caplog.set_level(logging.INFO, "runner")
    openai_service.http.faults = {"tts": HTTPFault("500")}
    watched.serve(agent("one", say="One."), agent("two", say="Two."))
    tries = [at for at in range(100) if await watched.look(at)]
    assert tries == [0, 10, 30, 70]
    openai_service.http.faults = {}
    assert await watched.look(at=149) == []
    assert await watched.look(at=150) == [("coral", "One."), ("coral", "Two.")]
    told = [(line.getMessage(), line.__dict__["agent"]) for line in caplog.records]
    assert told == [(NOT_MADE, "one"), (MADE, "one"), (MADE, "two")]


async def test_a_voice_is_not_forgotten_while_others_are_slow(
    watched: Watched, openai_service: OpenAIService
) -> None:
    """The time to ask the first again has passed before the last has failed."""
    openai_service.http.faults = {"tts": HTTPFault("500")}
    watched.serve(*(agent(voice, realtime(voice=voice)) for voice in ("ash", "echo", "sage")))
    watched.pace = 6.0
    assert len(await watched.look()) == 3
    assert watched.now > 30
    watched.pace = 0.0
    assert ("ash", "Sorry.") in await watched.look(at=watched.now)


async def test_the_next_voice_speaks_until_the_first_is_back(
    watched: Watched, openai_service: OpenAIService
) -> None:
    one = agent("one", realtime(voice="marin"), pipeline("own", voice="nova"))
    openai_service.http.faults = {"tts": HTTPFault("503", model="gpt-4o-mini-tts")}
    watched.serve(one)
    assert await watched.look() == [("marin", "Sorry."), ("nova", "Sorry.")]
    assert watched.voice(one) == "nova"
    openai_service.http.faults = {}
    assert await watched.look(at=10) == [("marin", "Sorry.")]
    assert watched.voice(one) == "marin"


@pytest.fixture
async def strict_tts() -> AsyncIterator[Part]:
    """Serve a TTS that refuses every sentence but `Sorry.`."""

    async def speak(request: web.Request) -> web.Response:
        if (await request.json())["input"] != "Sorry.":
            return web.json_response({"error": {"message": "no"}}, status=400)
        return web.Response(body=sound.to_wav(sound.tone(VOICE, 0.5)))

    app = web.Application()
    app.router.add_post("/v1/audio/speech", speak)
    async with serving(app) as address:
        yield Part(model="strict", base_url=f"{address}/v1", api_key_env=None)


async def test_a_sentence_that_is_refused_keeps_no_other_from_being_spoken(
    watched: Watched, strict_tts: Part, caplog: pytest.LogCaptureFixture
) -> None:
    own = pipeline(tts=strict_tts)
    refused, spoken = agent("one", own, say="Far too long."), agent("two", own)
    watched.serve(refused, spoken)
    await watched.look()
    assert (watched.voice(refused), watched.voice(spoken)) == (None, "coral")
    assert [line.__dict__["reason"] for line in caplog.records] == ["refused"]


@pytest.mark.parametrize("kind", ["cut", "refuse"])
async def test_half_a_sentence_is_not_kept(
    watched: Watched, openai_service: OpenAIService, kind: str
) -> None:
    openai_service.http.faults = {"tts": HTTPFault(kind)}
    one = agent("one")
    watched.serve(one)
    await watched.look()
    assert watched.voice(one) is None


async def test_what_cannot_be_kept_is_not_bought_again_at_once(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """A state folder that cannot be written costs one sentence, not one every few seconds."""
    watched.kept.state.joinpath("announcements").write_text("in the way")
    watched.serve(agent("one"))
    assert await watched.look() == [("coral", "Sorry.")]
    assert await watched.look(at=9) == []
    assert [line.__dict__["reason"] for line in caplog.records] == ["File exists"]


async def test_without_a_key_nobody_is_asked(tmp_path: Path, openai_service: OpenAIService) -> None:
    watched = Watched(tmp_path, openai_service, OPENAI_API_KEY="")
    local = Part(model="own", base_url=openai_service.base_url, api_key_env=None)
    watched.serve(agent("one", realtime()), agent("two", pipeline(tts=local, voice="af_heart")))
    assert await watched.look() == [("af_heart", "Sorry.")]


async def test_a_thousand_agents_hold_up_nobody(watched: Watched) -> None:
    """The loop goes round once an agent at least, so that job offers are answered meanwhile."""
    watched.serve(*(agent(f"agent-{place}", realtime()) for place in range(1000)))
    rounds = 0

    async def count() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    assert await watched.look() == [("coral", "Sorry.")]
    counting.cancel()
    assert rounds > 1000
