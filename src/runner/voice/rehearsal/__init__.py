"""What answers where no key is there: a voice, ears and the agent's own tools, and no model.

It always says what it is, and no call on LiveKit ever gets it.
"""

import os
from dataclasses import replace
from itertools import chain

from runner.catalog.backends import key_variables
from runner.definition.spec import AgentSpec, AnnouncementBackend, RehearsalBackend


def missing_keys(spec: AgentSpec) -> list[str]:
    """Return the variables that keep every model of the agent from being asked; none if one may."""
    models = [one for one in spec.backends if not isinstance(one, AnnouncementBackend)]
    missing = [
        [name for name in key_variables(backend) if not os.environ.get(name)] for backend in models
    ]
    return list(dict.fromkeys(chain(*missing))) if all(missing) else []


def rehearsed(spec: AgentSpec) -> AgentSpec:
    """Return the agent with the stand-in as its only backend."""
    return replace(spec, backends=(RehearsalBackend(),))
