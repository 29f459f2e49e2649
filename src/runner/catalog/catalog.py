"""All agents being served at one moment, and which of them answers a room. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.catalog import metadata, variables
from runner.definition import patterns
from runner.definition.spec import AgentSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRequest:
    """What LiveKit says about a room that wants an agent.

    `dispatch_agent` is the dispatch attribute `agent`.
    """

    room: str
    dispatch_metadata: str = ""
    dispatch_agent: str = ""
    room_metadata: str = ""


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
class _Match:
    spec: AgentSpec
    because: str
    captured: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Catalog:
    """An immutable set of agents by their id; `files` counts those that are not valid as well."""

    specs: Mapping[str, AgentSpec]
    files: int

    def route(self, request: RoomRequest) -> Route | NoRoute:
        """Choose the agent of a room: named, by pattern, the default, or the only one."""
        dispatch = metadata.read(request.dispatch_metadata, self.specs)
        room = metadata.read(request.room_metadata, self.specs)
        asked = {
            "dispatch metadata": dispatch.agent,
            "dispatch attribute": request.dispatch_agent,
            "room metadata": room.agent,
        }
        match = self._match(asked, request.room)
        if isinstance(match, NoRoute):
            return match
        accepted = variables.accept(
            match.spec.variables, {**match.captured, **room.variables, **dispatch.variables}
        )
        unread = {"dispatch metadata": dispatch.ignored, "room metadata": room.ignored}
        ignored = [f"{source}: {reason}" for source, reason in unread.items() if reason]
        ignored += [f"variables: {reason}" for reason in accepted.refused]
        return Route(match.spec, match.because, accepted.values, tuple(ignored))

    def _match(self, asked: Mapping[str, str], room: str) -> _Match | NoRoute:
        for source, name in asked.items():
            if name in self.specs:
                return _Match(self.specs[name], source, {})
            if name:
                # Another host may have it; no other agent is what was asked for.
                return NoRoute(f"{_shown(name)} from the {source}")
        none = NoRoute(f"a pattern for {_shown(room)}; a default")
        return self._by_pattern(room) or self._left_over() or none

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
        return _Match(self.specs[agent], f"room pattern {pattern}", captured)

    def _left_over(self) -> _Match | None:
        for spec in self.specs.values():
            if spec.answers.default:
                return _Match(spec, "default", {})
        if self.files == 1 and self.specs:
            return _Match(next(iter(self.specs.values())), "only agent", {})
        return None


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 60 else name[:57] + "...")
