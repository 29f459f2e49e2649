"""Which agents can only be rehearsed, since no key of the models that they talk with is there."""

import os
from collections.abc import Iterable, Mapping

from runner.catalog.backends import key_variables, parts
from runner.definition.spec import AgentSpec


def missing(spec: AgentSpec, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return a variable without which `spec` cannot talk; None if one of its backends can.

    Announcements want no key, and are no reason to play nothing but them.
    """
    wanted = [key_variables(backend) for backend in spec.backends if parts(backend)]
    lacking = [[name for name in names if not environment.get(name)] for names in wanted]
    return lacking[0][0] if lacking and all(lacking) else None


def sentence(missing: Iterable[str | None]) -> str:
    """Return the one line about the agents whose keys are `missing`; empty if there is none."""
    names = sorted({name for name in missing if name})
    if not names:
        return ""
    verb = "is" if len(names) == 1 else "are"
    return f"{' and '.join(names)} {verb} not set: agents are rehearsed, not run"
