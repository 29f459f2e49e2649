"""Which agents can only be rehearsed, since no key of any of their backends is there."""

import os
from collections.abc import Iterable, Mapping

from runner.catalog.backends import key_variables, parts
from runner.definition.spec import AgentSpec

#: The key of a voice that nobody has chosen: an announcement's, without other backends.
_VOICE = "OPENAI_API_KEY"


def missing(spec: AgentSpec, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return a variable without which no backend of `spec` can be built; None if one can be."""
    wanted = [key_variables(one) if parts(one) else [_VOICE] for one in spec.backends]
    lacking = [[name for name in names if not environment.get(name)] for names in wanted]
    return lacking[0][0] if lacking and all(lacking) else None


def sentence(missing: Iterable[str | None]) -> str:
    """Return the one line about the agents whose keys are `missing`; empty if there is none."""
    names = sorted({name for name in missing if name})
    if not names:
        return ""
    verb = "is" if len(names) == 1 else "are"
    return f"{' and '.join(names)} {verb} not set: agents are rehearsed, not run"
