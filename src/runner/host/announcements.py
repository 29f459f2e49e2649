"""Has announcements spoken beforehand, so that they are there when no TTS can be reached."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import aiohttp

from runner.catalog.announcements import (
    Announcement,
    Announcements,
    Take,
    announcement,
)
from runner.catalog.breaker import REFUSED
from runner.definition.spec import AgentSpec, AnnouncementBackend
from runner.reach.service import Service
from runner.reach.trouble import TryError

_log = logging.getLogger(__name__)

_INTERVAL = 2.0
#: Seconds after which all is looked at again, even if nothing has changed.
_HOUR = 3600.0
#: Seconds that a TTS may take for one sentence.
_LIMIT = 30.0
#: Seconds until a voice that failed is asked again; they double with each failure in a row.
_FIRST, _LONGEST = 10.0, 1800.0
#: Why a voice failed that answered with something that cannot be played.
_BAD_SOUND = "bad_sound"


@dataclass(frozen=True, slots=True)
class _Pause:
    reason: str
    failures: int
    until: float


class Announcer:
    """Has each announcement spoken once, by the first of its agent's voices that can be reached.

    `agents` returns those served now; another mapping means that they have changed. One sentence
    is asked for at a time, and a voice that fails is left alone for a while: it costs money.
    """

    def __init__(
        self,
        kept: Announcements,
        agents: Callable[[], Mapping[str, AgentSpec]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kept = kept
        self._agents = agents
        self._clock = clock
        self._seen: Mapping[str, AgentSpec] | None = None
        self._next_look = 0.0
        self._pauses: dict[object, _Pause] = {}

    async def run(self) -> None:
        """Look every few seconds; return only when cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_INTERVAL)

    async def look(self) -> None:
        """Make what is missing, if the agents have changed or it is time to look again."""
        agents, began = self._agents(), self._clock()
        if agents is self._seen and began < self._next_look:
            return
        self._seen = agents
        listed = []
        async with aiohttp.ClientSession(trust_env=True) as http:
            service = Service(http, self._kept.environment, (), _LIMIT)
            for spec in agents.values():
                # A thousand in one go would keep a call waiting.
                await asyncio.sleep(0)
                for wanted in _wanted(spec):
                    listed.append(wanted)
                    await self._provide(spec.id, wanted, service)
        await asyncio.to_thread(self._kept.tidy, listed)
        due = [pause.until for pause in self._pauses.values() if pause.until > began]
        self._next_look = min([began + _HOUR, *due])

    async def _provide(self, agent: str, wanted: Announcement, service: Service) -> None:
        """Go down the agent's voices until one has spoken the sentence."""
        for take in wanted.askable(self._kept.environment):
            if self._kept.find(take):
                return
            if self._is_paused(take):
                continue
            fields = {"agent": agent, "voice": take.voice, "models": take.part.model}
            if await self._make(take, service, fields):
                return

    async def _make(self, take: Take, service: Service, fields: Mapping[str, str]) -> bool:
        try:
            sound = await service.speech(take.part, take.voice, take.sentence)
            await asyncio.to_thread(self._kept.keep, take, sound)
        except TryError as trouble:
            self._failed(take, trouble.reason, fields)
        except ValueError:
            self._failed(take, _BAD_SOUND, fields)
        except OSError as error:
            self._failed(take, error.strerror or type(error).__name__, fields)
        else:
            for key in _keys(take):
                self._pauses.pop(key, None)
            _log.info("announcement spoken beforehand", extra=fields)
            return True
        return False

    def _is_paused(self, take: Take) -> bool:
        now = self._clock()
        found = (self._pauses.get(key) for key in _keys(take))
        return any(pause.until > now for pause in found if pause)

    def _failed(self, take: Take, reason: str, fields: Mapping[str, str]) -> None:
        sentence, voice = _keys(take)
        # What one sentence is refused for is no reason to keep the voice from others.
        key = sentence if reason == REFUSED else voice
        before = self._pauses.get(key)
        failures = before.failures + 1 if before else 1
        wait = min(_FIRST * 2.0 ** min(failures - 1, 16), _LONGEST)
        self._pauses[key] = _Pause(reason, failures, self._clock() + wait)
        if before is None or before.reason != reason:
            _log.warning("cannot speak an announcement", extra={**fields, "reason": reason})


def _wanted(spec: AgentSpec) -> list[Announcement]:
    backends = spec.backends
    return [announcement(spec, one) for one in backends if isinstance(one, AnnouncementBackend)]


def _keys(take: Take) -> tuple[object, object]:
    """Return what may have failed: this sentence, or everything of this voice."""
    return take, (take.part, take.voice)
