"""Which revision of each agent file serves: the one that stands in it, or the last good one."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from runner.catalog.ledger import Entry
from runner.catalog.serving import Rejected, Standing
from runner.definition.freeze import readable
from runner.definition.loader import AgentFile
from runner.definition.spec import AgentSpec
from runner.errors import RunnerError


@dataclass(frozen=True, slots=True)
class Good:
    """A revision that serves, and since when, as of `time.time()`."""

    spec: AgentSpec
    digest: str
    since: float


@dataclass(frozen=True, slots=True)
class Held:
    """What is held of one agent file; `unsaved` says why a good revision could not be stored."""

    good: Good | None = None
    rejected: Rejected | None = None
    unsaved: str = ""

    def after(self, agent: AgentFile, now: float, put: Callable[[AgentSpec], str]) -> "Held":
        """Return what is held once `agent` has been read; `put` stores a spec, for its digest."""
        spec = agent.valid
        if spec is None:
            return self._refusing(agent, now)
        if self.good and self.good.spec == spec and not self.unsaved:
            return replace(self, rejected=None)
        try:
            digest = put(spec)
        except RunnerError as error:
            return replace(self._refusing(agent, now), unsaved=str(error))
        same = self.good is not None and self.good.digest == digest
        return Held(Good(spec, digest, self.good.since if self.good and same else now))

    def standing(self, agent: AgentFile) -> Standing:
        """Return how the agent stands, for people."""
        spec = self.good.spec if self.good else agent.spec
        warnings = [finding for finding in agent.diagnostics if finding.level == "warning"]
        return Standing(
            path=agent.path,
            id=agent.id,
            name=spec.name if spec else readable(agent.id),
            digest=self.good.digest if self.good else None,
            since=self.good.since if self.good else None,
            rejected=self.rejected,
            warnings=() if self.rejected else tuple(warnings),
        )

    def entry(self, agent: AgentFile) -> Entry:
        """Return what is to be remembered of it."""
        return Entry(
            id=agent.id,
            digest=self.good.digest if self.good else None,
            since=self.good.since if self.good else None,
            rejected=self.rejected.since if self.rejected else None,
        )

    def _refusing(self, agent: AgentFile, now: float) -> "Held":
        since = self.rejected.since if self.rejected else now
        return Held(self.good, Rejected(since=since, diagnostics=agent.diagnostics))


def recalled(
    agent: AgentFile, entry: Entry, restore: Callable[[str, str], tuple[AgentSpec, str]]
) -> Held:
    """Return what was held of an agent file when `entry` was written, before `agent` is read.

    Raises:
        SnapshotError: the last good revision is needed, and cannot be restored.
    """
    rejected = None
    if entry.rejected is not None:
        rejected = Rejected(since=entry.rejected, diagnostics=agent.diagnostics)
    if entry.digest is None or entry.since is None:
        return Held(None, rejected)
    if agent.valid:
        # Whether it is the same is known when it is stored.
        return Held(Good(agent.valid, entry.digest, entry.since), rejected, unsaved="not yet")
    return Held(Good(*restore(entry.id, entry.digest), entry.since), rejected)
