"""How a route travels from the host to a job process: as attributes of the LiveKit job."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from runner.catalog.catalog import ByNumber, Candidate, Route

AGENT = "runner.agent"
REVISION = "runner.revision"
_VARIABLES = "runner.variables"
_BECAUSE = "runner.because"
_BY_NUMBER = "runner.by_number"
_CARRIED = "runner.carried"


@dataclass(frozen=True, slots=True)
class Stamp:
    """The agent of a job, its revision, the call's variables, and why it is this agent."""

    agent: str
    revision: str
    variables: Mapping[str, Any]
    because: str = ""


def public(route: Route | ByNumber) -> dict[str, str]:
    """Return what everybody in the room may see: the agent and its revision, once it is chosen."""
    if isinstance(route, ByNumber):
        return {}
    return {AGENT: route.spec.id, REVISION: route.spec.digest}


def attributes(
    route: Route | ByNumber, carried: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Return what the job process needs to know, for the job alone.

    `carried` are snapshots by the agent's id, to be sent along where the disk does not keep them.
    """
    # Also what is empty: whoever dispatches a job may set attributes.
    along = {_CARRIED: json.dumps(dict(carried)) if carried else "", _BY_NUMBER: ""}
    if isinstance(route, ByNumber):
        return along | {_BY_NUMBER: _by_number_to_json(route)}
    named = {_VARIABLES: json.dumps(route.variables), _BECAUSE: route.because}
    return public(route) | named | along


def read(attributes: Mapping[str, str]) -> Stamp | ByNumber | None:
    """Read back a stamp; None if the host has not stamped this job."""
    if text := attributes.get(_BY_NUMBER):
        return _by_number_from_json(text)
    if AGENT not in attributes:
        return None
    return Stamp(
        agent=attributes[AGENT],
        revision=attributes.get(REVISION, ""),
        variables=json.loads(attributes.get(_VARIABLES, "{}")),
        because=attributes.get(_BECAUSE, ""),
    )


def carried(attributes: Mapping[str, str]) -> Mapping[str, str]:
    """Read back the snapshots that go with a job, by the agent's id."""
    text = attributes.get(_CARRIED)
    return json.loads(text) if text else {}


def _by_number_to_json(left: ByNumber) -> str:
    claimed: dict[tuple[str, str], list[str]] = {}
    for number, owner in left.numbers.items():
        claimed.setdefault(owner, []).append(number)
    fields = {
        "room": left.room,
        # Each agent once: there may be thousands of numbers.
        "agents": [(*owner, numbers) for owner, numbers in claimed.items()],
        "otherwise": left.otherwise and asdict(left.otherwise),
        "variables": left.variables,
    }
    return json.dumps(fields, separators=(",", ":"))


def _by_number_from_json(text: str) -> ByNumber:
    fields = json.loads(text)
    return ByNumber(
        room=fields["room"],
        numbers={
            number: (agent, revision)
            for agent, revision, numbers in fields["agents"]
            for number in numbers
        },
        otherwise=Candidate(**fields["otherwise"]) if fields["otherwise"] else None,
        variables=fields["variables"],
    )
