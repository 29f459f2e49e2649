"""What a host does beside its calls, wherever they come from."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

from runner.catalog.announcements import Announcements
from runner.catalog.breaker import Breakers
from runner.catalog.records import Records
from runner.catalog.reload import Reload
from runner.catalog.remote import LastAnswers
from runner.catalog.store import Store
from runner.definition.spec import AgentSpec, Backend
from runner.host import upkeep
from runner.host.announcements import Announcer
from runner.host.probe import Prober

_log = logging.getLogger(__name__)

#: Seconds until work that broke begins again; they double with each time in a row.
_FIRST, _LONGEST = 1.0, 300.0


@asynccontextmanager
async def done(agents: Reload, store: Store, *, keep_calls: float) -> AsyncIterator[None]:
    """Take over edits, probe, prepare and tidy up in the background; `keep_calls` is in days."""
    state = store.state

    def specs() -> Mapping[str, AgentSpec]:
        return agents.serving.catalog.specs

    def backends() -> Sequence[Backend]:
        return [backend for spec in specs().values() for backend in spec.backends]

    work = (
        agents.run,
        partial(upkeep.keep_snapshots, agents, store),
        partial(upkeep.keep_records, Records(state), keep_calls),
        partial(upkeep.keep_answers, LastAnswers(state)),
        partial(upkeep.keep_breakers, Breakers(state)),
        Prober(Breakers(state), backends).run,
        Announcer(Announcements(state), specs).run,
    )
    tasks = [asyncio.create_task(_kept_going(one)) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


async def _kept_going(work: Callable[[], Coroutine[None, None, None]]) -> None:
    """Let work that never ends begin again whenever it breaks: a host runs for months."""
    loop, pause = asyncio.get_running_loop(), _FIRST
    while True:
        began, task = loop.time(), asyncio.create_task(work())
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
        pause = _FIRST if loop.time() - began > _LONGEST else pause
        fields = {"seconds": pause}
        _log.error("work in the background broke", exc_info=task.exception(), extra=fields)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST)
