"""Records of calls for tests."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from runner.catalog.records import CallRecord

if TYPE_CHECKING:
    from pathlib import Path


def a_record(id_: str, **changes: Any) -> CallRecord:
    """Return a record of a call that goes on; `changes` replace its fields."""
    fields: dict[str, Any] = {
        "id": id_,
        "agent": "front-desk",
        "revision": "f605e1c3e9f9",
        "room": "front-desk-1",
        "because": "room pattern front-desk-*",
        "began": "2026-11-22T16:45:52.566Z",
    }
    return CallRecord(**fields | changes)


def aged(path: Path, seconds: float) -> None:
    """Make a file look as if it was last written so long ago."""
    then = time.time() - seconds
    os.utime(path, (then, then))
