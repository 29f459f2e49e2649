"""Tries backends that calls pass over, so that it is no caller who finds out that they are back."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping

import aiohttp

from runner.catalog.backends import identity, key_variables, parts
from runner.catalog.breaker import Breakers, Open
from runner.definition.spec import Backend
from runner.reach.service import Service
from runner.reach.tries import FAILED, TRIES

_log = logging.getLogger(__name__)

_INTERVAL = 2.0
#: Seconds that each question of a probe gets; a caller would not wait longer either.
_LIMIT = 5.0


class Prober:
    """Probes open backends whose time has come, and logs what opens and closes.

    `backends` returns those of all agents as they are now. A Realtime session is opened and
    closed; of a pipeline each model is asked for as little as it answers, since any of them may
    be the one that failed.
    """

    def __init__(
        self,
        breakers: Breakers,
        backends: Callable[[], Iterable[Backend]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._breakers = breakers
        self._backends = backends
        self._clock = clock
        self._open: dict[str, tuple[Backend, Open]] = {}
        self._known: list[Backend] = []
        self._distinct: dict[str, Backend] = {}

    async def run(self) -> None:
        """Look every few seconds; return only when cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_INTERVAL)

    async def look(self) -> None:
        """Probe what is due now, all at once, and log what has changed since the last look."""
        # Aside: after an edit of one of a thousand agents it takes 40 ms.
        listed = await asyncio.to_thread(self._listed)
        self._tell(listed)
        due = [backend for backend in listed.values() if self._claims(backend)]
        if due:
            async with aiohttp.ClientSession(trust_env=True) as http:
                service = Service(http, self._breakers.environment, (), _LIMIT)
                await asyncio.gather(*(self._probe(backend, service) for backend in due))
            self._tell(listed)

    def _listed(self) -> dict[str, Backend]:
        """Return the backends that can be open, one of each identity."""
        backends = list(self._backends())
        if backends != self._known:
            self._known, self._distinct = backends, {}
            for backend in filter(parts, dict.fromkeys(backends)):
                same = identity(backend, self._breakers.environment)
                self._distinct.setdefault(same, backend)
        return self._distinct

    def _claims(self, backend: Backend) -> bool:
        # Without its key no call can use it, and neither can a probe.
        has_keys = all(map(self._breakers.environment.get, key_variables(backend)))
        return has_keys and self._breakers.claim(backend, self._clock())

    async def _probe(self, backend: Backend, service: Service) -> None:
        outcomes = [outcome async for outcome in TRIES[backend.kind](backend, service)]
        reasons = [outcome.reason for outcome in outcomes if outcome.level == FAILED]
        self._breakers.probed(backend, reasons[0] if reasons else None, self._clock())

    def _tell(self, listed: Mapping[str, Backend]) -> None:
        now = self._clock()
        states = {same: (one, self._breakers.opened(one, now)) for same, one in listed.items()}
        opened = {same: (one, state) for same, (one, state) in states.items() if state}
        for same, (backend, state) in opened.items():
            if same not in self._open:
                _log.warning("backend open", extra=_fields(backend, state))
        for same, (backend, state) in self._open.items():
            if same not in opened:
                seconds = {"seconds": round(now - state.since, 1)}
                _log.info("backend closed", extra=_fields(backend, state) | seconds)
        self._open = opened


def _fields(backend: Backend, state: Open) -> dict[str, object]:
    models = dict.fromkeys(part.model for part in parts(backend))
    return {"backend": backend.name, "models": ",".join(models), "reason": state.reason}
