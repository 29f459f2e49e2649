"""What of the calls is kept, and how the processes that hold them learn of it."""

import os
from dataclasses import dataclass
from pathlib import Path

from runner.catalog.records import TRANSCRIPTS_VARIABLE
from runner.catalog.store import STATE_VARIABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """For how many days records of calls are kept, and whether with what was said."""

    days: float = 30.0
    transcripts: bool = False

    def export(self, state: Path) -> None:
        """Let calls, of this process and of its children, keep theirs below `state`."""
        os.environ[STATE_VARIABLE] = str(state.resolve())
        os.environ[TRANSCRIPTS_VARIABLE] = "1" if self.transcripts else "0"
