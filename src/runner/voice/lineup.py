"""Which backend of an agent's list is next: in order, and then again the last that may recover."""

import asyncio
import logging
from collections.abc import Callable

from openai import OpenAIError

from runner.definition.spec import AgentSpec, Backend
from runner.voice.backends import KINDS
from runner.voice.backends.agent import BackendAgent
from runner.voice.backends.clients import MissingKeyError
from runner.voice.reasons import LASTING, NO_KEY, SILENT, UNBUILDABLE

_log = logging.getLogger(__name__)

#: Seconds before each new try when the list is at its end.
PAUSES = (0.3, 1.0, 2.0, 4.0)
# Seconds for which servers keep a connection that nobody uses, at least: many do so for 75.
_KEPT = 60.0


class Lineup:
    """The list as one call goes down it; `on_unbuildable` hears of what cannot be built."""

    def __init__(self, spec: AgentSpec, on_unbuildable: Callable[[Backend, str], None]) -> None:
        self._spec = spec
        self._on_unbuildable = on_unbuildable
        self._left = list(spec.backends)
        self._ready: BackendAgent | None = None
        self._may_recover: Backend | None = None
        self._tries = 0

    @property
    def tries(self) -> int:
        """How often a backend was tried again in a row."""
        return self._tries

    def prepare(self) -> None:
        """Build the next backend that can be built, if that is not done yet."""
        while self._ready is None and self._left:
            self._ready = self._built(self._left.pop(0))

    async def keep_connected(self) -> None:
        """Let the backend that is built open its connections, and use them until it is taken."""
        while self._ready is not None:
            await self._ready.connect()
            await asyncio.sleep(_KEPT)

    def take(self) -> BackendAgent | None:
        """Return the next backend, None at the end of the list."""
        self.prepare()
        agent, self._ready = self._ready, None
        if agent is not None:
            _log.info("attempting backend", extra={"backend": agent.backend.name})
        return agent

    def pause(self) -> float | None:
        """Return the seconds to wait before `again`, None when nothing is left to try."""
        if self._may_recover is None or self._tries >= len(PAUSES):
            return None
        return PAUSES[self._tries]

    def again(self) -> BackendAgent | None:
        """Build the last backend anew that failed for a reason that may pass."""
        self._tries += 1
        if self._may_recover is None:
            return None
        fields = {"backend": self._may_recover.name}
        _log.info("attempting backend again", extra=fields)
        return self._built(self._may_recover)

    def failed(self, backend: Backend, reason: str) -> None:
        """Take note of a backend that was left."""
        # By then the caller has heard nothing for three times its patience.
        silent_again = reason == SILENT and self._tries > 0
        if reason not in LASTING and not silent_again:
            self._may_recover = backend
        elif backend is self._may_recover:
            self._may_recover = None

    def carried(self) -> None:
        """Take note of a backend's sign of life: later failures begin a new row of tries."""
        self._tries = 0

    def _built(self, backend: Backend) -> BackendAgent | None:
        try:
            return KINDS[backend.kind](backend, self._spec)
        except MissingKeyError as missing:
            fields = {"backend": backend.name, "reason": NO_KEY, "variable": missing.variable}
            _log.warning("backend cannot be built: its key is not set", extra=fields)
            self._on_unbuildable(backend, NO_KEY)
        except (ValueError, OpenAIError):
            fields = {"backend": backend.name, "reason": UNBUILDABLE}
            _log.warning("backend cannot be built", extra=fields)
            self._on_unbuildable(backend, UNBUILDABLE)
        return None
