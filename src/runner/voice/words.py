"""An agent's texts in one call: rendered with what the call brings, or else with the defaults."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from runner.definition import prompt
from runner.definition.prompt import CallerNames, Names, RenderError, RoomNames, template_names
from runner.definition.spec import AgentSpec, Greeting

_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(slots=True)
class Words:
    """The texts of `spec` for one room, and for its caller from the moment that there is one.

    The defaults have rendered when the file was validated; what a caller brings has not, and must
    not cost the call.
    """

    spec: AgentSpec
    variables: Mapping[str, Any]
    room: RoomNames
    caller: CallerNames | None = None

    def names(self) -> Names:
        """Return the names that templates see now: `now` is the time of asking."""
        return template_names(
            self.spec, variables=self.variables, room=self.room, caller=self.caller
        )

    def instructions(self) -> str:
        """Render the instructions for the model."""
        return self._rendered(lambda names: prompt.instructions(self.spec, names))

    def greeting(self) -> Greeting:
        """Render the greeting."""
        return self._rendered(lambda names: prompt.greeting(self.spec, names))

    def _rendered(self, work: Callable[[Names], T]) -> T:
        try:
            return work(self.names())
        except RenderError:
            # The reason may quote the caller's values.
            _log.warning("a template does not take this call's values; using the defaults")
            return work(template_names(self.spec))
