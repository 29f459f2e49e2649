"""All agents being served at one moment, and which of them answers a room. Pure."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from runner.catalog import metadata, variables
from runner.definition import patterns
from runner.definition.phone import e164
from runner.definition.spec import AgentSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRequest:
    """What LiveKit says about a room that wants an agent.

    `dispatch_agent` is the dispatch attribute `agent`; `number` the one that was called, empty in
    a call that is none by phone, None as long as nobody knows.
    """

    room: str
    dispatch_metadata: str = ""
    dispatch_agent: str = ""
    room_metadata: str = ""
    number: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """The agent that answers, why, the variables that the call sets, and what was left aside."""

    spec: AgentSpec
    because: str
    variables: Mapping[str, Any]
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoRoute:
    """No agent answers; `looked_for` says what was asked and found missing."""

    looked_for: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """An agent at one revision, and why it is the one that answers."""

    agent: str
    revision: str
    because: str


@dataclass(frozen=True, slots=True)
class ByNumber:
    """What is left of routing until it is known whether, and on which number, somebody calls.

    `numbers` has the agent and the revision of every number that is claimed, `otherwise` who
    answers all other calls. `variables` are what the call brings, not yet fitted to an agent.
    """

    room: str
    numbers: Mapping[str, tuple[str, str]]
    otherwise: Candidate | None
    variables: Mapping[str, Any] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    because: ClassVar[str] = "the number, once it is known"

    @property
    def agents(self) -> Set[str]:
        """All who may answer."""
        return {
            *(agent for agent, _ in self.numbers.values()),
            *([self.otherwise.agent] if self.otherwise else []),
        }

    def decide(self, called: str) -> Candidate | NoRoute:
        """Choose by the number that was called, empty in a call that is none by phone."""
        number = e164(called) or called
        if number in self.numbers:
            return Candidate(*self.numbers[number], because=f"number {number}")
        if self.otherwise is not None:
            return self.otherwise
        wanted = [f"a pattern for {_shown(self.room)}", "a default"]
        if number:
            wanted.insert(1, f"the number {_shown(number)}")
        return NoRoute("; ".join(wanted))


@dataclass(frozen=True, slots=True)
class _Match:
    agent: str
    because: str
    captured: Mapping[str, str] = field(default_factory=dict)


# Without slots: what is derived from the agents is kept.
@dataclass(frozen=True)
class Catalog:
    """An immutable set of agents by their id; `files` counts those that are not valid as well."""

    specs: Mapping[str, AgentSpec]
    files: int

    def route(self, request: RoomRequest) -> Route | ByNumber | NoRoute:
        """Choose the agent of a room: named, by pattern, by number, the default, or the only one.

        It is `ByNumber` if the number would decide and is not known yet.
        """
        dispatch = metadata.read(request.dispatch_metadata, self.specs)
        room = metadata.read(request.room_metadata, self.specs)
        asked = {
            "dispatch metadata": dispatch.agent,
            "dispatch attribute": request.dispatch_agent,
            "room metadata": room.agent,
        }
        brought = {**room.variables, **dispatch.variables}
        unread = {"dispatch metadata": dispatch.ignored, "room metadata": room.ignored}
        ignored = tuple(f"{source}: {reason}" for source, reason in unread.items() if reason)
        match = (
            self._by_name(asked)
            or self._by_pattern(request.room)
            or self._by_number(request, brought, ignored)
        )
        if not isinstance(match, _Match):
            return match
        spec = self.specs[match.agent]
        return fitted(spec, match.because, {**match.captured, **brought}, ignored)

    def _by_name(self, asked: Mapping[str, str]) -> _Match | NoRoute | None:
        for source, name in asked.items():
            if name in self.specs:
                return _Match(name, source)
            if name:
                # Another host may have it; no other agent is what was asked for.
                return NoRoute(f"{_shown(name)} from the {source}")
        return None

    def _by_pattern(self, room: str) -> _Match | None:
        matches = [
            (-patterns.literal_length(pattern), spec.id, pattern, captured)
            for spec in self.specs.values()
            for pattern in spec.answers.rooms
            if (captured := patterns.capture(pattern, room)) is not None
        ]
        if not matches:
            return None
        _, agent, pattern, captured = min(matches, key=lambda match: match[:3])
        return _Match(agent, f"room pattern {pattern}", captured)

    def _by_number(
        self, request: RoomRequest, brought: Mapping[str, Any], ignored: tuple[str, ...]
    ) -> _Match | ByNumber | NoRoute:
        left = ByNumber(request.room, self._numbers, self._left_over, brought, ignored)
        if request.number is None and self._number_matters:
            return left
        decided = left.decide(request.number or "")
        if isinstance(decided, NoRoute):
            return decided
        return _Match(decided.agent, decided.because)

    @cached_property
    def _number_matters(self) -> bool:
        otherwise = self._left_over.agent if self._left_over else None
        return any(agent != otherwise for agent, _ in self._numbers.values())

    @cached_property
    def _numbers(self) -> Mapping[str, tuple[str, str]]:
        claimed: dict[str, tuple[str, str]] = {}
        for agent, spec in sorted(self.specs.items()):
            if spec.answers.numbers:
                revision = spec.digest
                for number in spec.answers.numbers:
                    claimed.setdefault(number, (agent, revision))
        return claimed

    @cached_property
    def _left_over(self) -> Candidate | None:
        for spec in self.specs.values():
            if spec.answers.default:
                return Candidate(spec.id, spec.digest, "default")
        if self.files == 1 and self.specs:
            spec = next(iter(self.specs.values()))
            return Candidate(spec.id, spec.digest, "only agent")
        return None


def fitted(
    spec: AgentSpec, because: str, brought: Mapping[str, Any], ignored: tuple[str, ...] = ()
) -> Route:
    """Return the route to an agent, with what the call brings for the agent's own variables."""
    accepted = variables.accept(spec.variables, brought)
    refused = tuple(f"variables: {reason}" for reason in accepted.refused)
    return Route(spec, because, accepted.values, ignored + refused)


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 60 else name[:57] + "...")
