"""What a host does beside its calls, wherever they come from."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

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


@asynccontextmanager
async def done(agents: Reload, store: Store, *, keep_calls: float) -> AsyncIterator[None]:
    """Take over edits, probe, prepare and tidy up in the background; `keep_calls` is in days."""
    state = store.state

    def specs() -> Mapping[str, AgentSpec]:
        return agents.serving.catalog.specs

    def backends() -> Sequence[Backend]:
        return [backend for spec in specs().values() for backend in spec.backends]

    work = (
        agents.run(),
        upkeep.keep_snapshots(agents, store),
        upkeep.keep_records(Records(state), keep_calls),
        upkeep.keep_answers(LastAnswers(state)),
        upkeep.keep_breakers(Breakers(state)),
        Prober(Breakers(state), backends).run(),
        Announcer(Announcements(state), specs).run(),
    )
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
