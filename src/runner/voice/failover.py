"""When to leave a backend, and how: which backend of an agent's list takes a call."""

import logging

from runner.definition.spec import AgentSpec
from runner.voice.backends import KINDS
from runner.voice.backends.agent import BackendAgent
from runner.voice.backends.clients import MissingKeyError

_log = logging.getLogger(__name__)


def first(spec: AgentSpec) -> BackendAgent | None:
    """Build the first backend that can be built; None if none can."""
    for backend in spec.backends:
        fields = {"backend": backend.name}
        _log.info("attempting backend", extra=fields)
        try:
            return KINDS[backend.kind](backend, spec)
        except MissingKeyError as missing:
            _log.warning(
                "backend cannot be built: its key is not set",
                extra=fields | {"variable": missing.variable},
            )
    return None
