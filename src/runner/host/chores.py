"""What a host does beside its calls, wherever they come from."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from runner.catalog.announcements import Announcements
from runner.catalog.breaker import Breakers
from runner.catalog.records import Records
from runner.catalog.remote import LastAnswers
from runner.definition.spec import AgentSpec, Backend
from runner.host import upkeep
from runner.host.announcements import Announcer
from runner.host.probe import Prober


@asynccontextmanager
async def done(
    state: Path, agents: Callable[[], Mapping[str, AgentSpec]], *, keep_calls: float
) -> AsyncIterator[None]:
    """Probe, prepare and tidy up in the background; `keep_calls` is in days.

    `agents` returns those served now; another mapping means that they have changed.
    """

    def backends() -> Sequence[Backend]:
        return [backend for spec in agents().values() for backend in spec.backends]

    work = (
        upkeep.keep_records(Records(state), keep_calls),
        upkeep.keep_answers(LastAnswers(state)),
        upkeep.keep_breakers(Breakers(state)),
        Prober(Breakers(state), backends).run(),
        Announcer(Announcements(state), agents).run(),
    )
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
