"""How every agent file stands at one moment: what serves, since when, and what was refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from runner.catalog.catalog import Catalog
from runner.definition.diagnostics import Diagnostic

Outcome = Literal["applied", "unchanged", "rejected"]
#: An agent file serves as it is; or its last good revision does; or it was never good.
State = Literal["serving", "last_good", "broken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The file as it is now is not what serves: since when, and every finding about it.

    `since` is the first edit that was refused after the last good one, as of `time.time()`.
    """

    since: float
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One agent file: the revision that serves, and since when, as of `time.time()`.

    `digest` and `since` are None as long as the file has never been good. `path` is as findings
    show it. `warnings` are about what serves.
    """

    path: str
    id: str
    name: str
    digest: str | None = None
    since: float | None = None
    rejected: Rejected | None = None
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def state(self) -> State:
        """What of the file serves."""
        return state(self.digest, self.rejected)


def state(digest: str | None, rejected: object) -> State:
    """Return what of a file serves: by the revision that does, and whether the file is refused."""
    if digest is None:
        return "broken"
    return "serving" if rejected is None else "last_good"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """One attempt to take over what has changed on disk; ids of agents, in order.

    `agents` are those that calls find changed, new or gone; `rejected` those whose edit was
    refused. `rejected` is the outcome if there is any, whatever else was applied. `trouble` says
    what kept the whole attempt from being made. `seconds` it took, up to the moment `at`.
    """

    outcome: Outcome
    agents: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    seconds: float
    at: float
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """All that is served at one moment: `agents` by the path of their file, in its order.

    Agents that were never good are among them, and not in the catalog. `last` is None until
    something has changed on disk since the start.
    """

    catalog: Catalog
    agents: Mapping[str, Standing] = field(default_factory=dict)
    last: Reloaded | None = None
