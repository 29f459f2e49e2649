"""The service of `examples/database/` as a process of its own, and its SQLite database."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from . import needs

if TYPE_CHECKING:
    from typing import Self

EXAMPLE = Path(__file__).parents[2] / "examples" / "database"


class ExampleDatabase:
    """A copy of the example in a folder of its own, at a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = needs.free_port()
        self._service: subprocess.Popen[str] | None = None
        shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
        for agent in self.agents.glob("*.yaml"):
            agent.write_text(self.here(agent.read_text()))

    @property
    def agents(self) -> Path:
        """The agents folder."""
        return self.folder / "agents"

    def here(self, text: str) -> str:
        """Return a text of the example with this copy's port."""
        return text.replace("5000", str(self.port))

    def start(self) -> str:
        """Start the service as the example's README does; return its first line."""
        command = [sys.executable, "service.py", "agents.db", "--port", str(self.port)]
        self._service = subprocess.Popen(
            command,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._service.stdout is not None
        return self._service.stdout.readline()

    def edit(self, sql: str) -> None:
        """Change a row."""
        with closing(sqlite3.connect(self.folder / "agents.db")) as connection, connection:
            assert connection.execute(sql).rowcount == 1

    def stop(self) -> None:
        """End the service."""
        if self._service is not None:
            self._service.kill()
            self._service.communicate()
            self._service = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
