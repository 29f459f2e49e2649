"""How a route travels from the host to a job process: as attributes of the LiveKit job."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.catalog.catalog import Route

AGENT = "runner.agent"
REVISION = "runner.revision"
_VARIABLES = "runner.variables"
_BECAUSE = "runner.because"


@dataclass(frozen=True, slots=True)
class Stamp:
    """The agent of a job, why it, its revision (empty: the current one), the call's variables."""

    agent: str
    revision: str
    variables: Mapping[str, Any]
    because: str = ""


def public(route: Route) -> dict[str, str]:
    """Return what everybody in the room may see: the agent and its revision."""
    return {AGENT: route.spec.id, REVISION: route.spec.digest}


def attributes(route: Route) -> dict[str, str]:
    """Return what the job process needs to know, for the job alone."""
    return public(route) | {
        _VARIABLES: json.dumps(route.variables),
        _BECAUSE: route.because,
    }


def read(attributes: Mapping[str, str]) -> Stamp | None:
    """Read back a stamp; None if the host has not stamped this job."""
    if AGENT not in attributes:
        return None
    return Stamp(
        agent=attributes[AGENT],
        revision=attributes.get(REVISION, ""),
        variables=json.loads(attributes.get(_VARIABLES, "{}")),
        because=attributes.get(_BECAUSE, ""),
    )
