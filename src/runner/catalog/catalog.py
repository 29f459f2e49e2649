"""All agents being served at one moment, and which of them answers a room. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.catalog import metadata, patterns, variables
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
    """An immutable set of agents by their id."""

    specs: Mapping[str, AgentSpec]

    def route(self, request: RoomRequest) -> Route | NoRoute:
        """Choose the agent of a room: named, by pattern, the default, or the only one."""
        dispatch = metadata.read(request.dispatch_metadata, self.specs)
        room = metadata.read(request.room_metadata, self.specs)
        asked = {
            "dispatch metadata": dispatch.agent,
            "dispatch attribute": request.dispatch_agent,
            "room metadata": room.agent,
        }
        match = self._named(asked) or self._by_pattern(request.room) or self._left_over()
        if match is None:
            return NoRoute(self._looked_for(request.room, asked))
        accepted = variables.accept(
            match.spec.variables, {**match.captured, **room.variables, **dispatch.variables}
        )
        unread = {"dispatch metadata": dispatch.ignored, "room metadata": room.ignored}
        return Route(
            match.spec,
            match.because,
            accepted.values,
            (
                *(f"{source}: {reason}" for source, reason in unread.items() if reason),
                *(f"{source}: no agent {_shown(name)}" for source, name in self._unknown(asked)),
                *(f"variables: {reason}" for reason in accepted.refused),
            ),
        )

    def _named(self, asked: Mapping[str, str]) -> _Match | None:
        for source, name in asked.items():
            if name in self.specs:
                return _Match(self.specs[name], source, {})
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
        return _Match(self.specs[agent], f"room pattern {pattern}", captured)

    def _left_over(self) -> _Match | None:
        for spec in self.specs.values():
            if spec.answers.default:
                return _Match(spec, "default", {})
        if len(self.specs) == 1:
            return _Match(next(iter(self.specs.values())), "only agent", {})
        return None

    def _unknown(self, asked: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        return ((s, name) for s, name in asked.items() if name and name not in self.specs)

    def _looked_for(self, room: str, asked: Mapping[str, str]) -> str:
        named = [f"{_shown(name)} from the {source}" for source, name in self._unknown(asked)]
        return "; ".join([*named, f"a pattern for {_shown(room)}", "a default"])


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 60 else name[:57] + "...")
