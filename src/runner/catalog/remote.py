"""The last good answers of agents' databases on disk, for when one fails. Knows no HTTP."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.catalog import files


@dataclass(frozen=True, slots=True)
class LastAnswers:
    """What was good in earlier answers, by URL and by what is read of it; shared by all processes.

    A state folder that cannot be read or written means that nothing is kept, and costs no call.
    """

    state: Path

    def get(self, url: str, fields: Mapping[str, str]) -> dict[str, Any]:
        """Return the values that were good last, by the agent's keys; check them as new ones."""
        with suppress(OSError, ValueError, TypeError):
            return dict(json.loads(self._path(url, fields).read_text(encoding="utf-8")))
        return {}

    def put(self, url: str, fields: Mapping[str, str], values: Mapping[str, Any]) -> None:
        """Keep good values, in place of the earlier ones of the same keys."""
        earlier = self.get(url, fields)
        path = self._path(url, fields)
        with suppress(OSError):
            if values and earlier == {**earlier, **values}:
                path.touch()
            elif values:
                files.folder(self.state, "remote")
                files.replace(path, json.dumps({**earlier, **values}))

    def tidy(self, seconds: float, most: int) -> int:
        """Remove what was not good again for so long, and all but the `most` that were good last.

        A URL with the room's name in it has an answer for every call. Return how many were removed.
        """
        removed = files.remove_older(self._folder.glob("*"), seconds)
        too_many = sorted(self._folder.glob("*"), key=_written, reverse=True)[most:]
        for path in too_many:
            with suppress(OSError):
                path.unlink()
        return len(removed) + len(too_many)

    @property
    def _folder(self) -> Path:
        return self.state / "remote"

    def _path(self, url: str, fields: Mapping[str, str]) -> Path:
        asked = json.dumps([url, sorted(fields.items())])
        return self._folder / f"{hashlib.sha256(asked.encode()).hexdigest()[:32]}.json"


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
