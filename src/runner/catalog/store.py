"""Snapshots of agents on disk, named by content: how a definition reaches a job process."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from runner.catalog import files
from runner.definition.spec import AgentSpec, spec_from_json
from runner.errors import RunnerError

#: Names the state folder, for the host and for the job processes that it starts.
STATE_VARIABLE = "RUNNER_STATE_DIR"

_DIGEST = re.compile(r"[0-9a-f]{12}")


class SnapshotError(RunnerError):
    """A snapshot is not there, or is not what its name says."""


def state_folder(chosen: Path | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the state folder: `chosen`, else `RUNNER_STATE_DIR`, else the user's own."""
    if chosen is not None:
        return chosen
    if named := environment.get(STATE_VARIABLE):
        return Path(named)
    return platformdirs.user_state_path("voice-runner")


@dataclass(frozen=True, slots=True)
class Store:
    """The snapshots below one state folder; safe for many processes at once."""

    state: Path

    @property
    def _folder(self) -> Path:
        return self.state / "agents"

    def put(self, spec: AgentSpec) -> None:
        """Write the snapshot of `spec` and make it the agent's current one.

        Raises:
            RunnerError: the state folder cannot be written.
        """
        with self._writable():
            files.folder(self.state, "agents")
            files.replace(self._snapshot(spec.id, spec.digest), spec.to_json(), durable=True)
            files.replace(self._pointer(spec.id), spec.digest, durable=True)

    def get(self, agent: str, digest: str) -> AgentSpec:
        """Read one snapshot and check that its content is what `digest` names.

        Raises:
            SnapshotError: it is missing, damaged, or of another version.
        """
        path = self._snapshot(agent, digest)
        if path.parent != self._folder or not _DIGEST.fullmatch(digest):
            raise SnapshotError(f"{agent!r} at {digest!r} names no snapshot")
        try:
            spec = spec_from_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SnapshotError(f"cannot read the snapshot {path}: {error.strerror}") from error
        except ValueError as error:
            raise SnapshotError(f"the snapshot {path} is damaged: {error}") from error
        if (spec.id, spec.digest) != (agent, digest):
            raise SnapshotError(f"the snapshot {path} is damaged: its content has another digest")
        return spec

    def current(self, agent: str) -> AgentSpec:
        """Read the snapshot that was put last.

        Raises:
            SnapshotError: there is none, or it cannot be read.
        """
        path = self._pointer(agent)
        if path.parent != self._folder:
            raise SnapshotError(f"{agent!r} names no agent")
        try:
            digest = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise SnapshotError(f"agent {agent!r} has no current snapshot: {error}") from error
        return self.get(agent, digest)

    def _snapshot(self, agent: str, digest: str) -> Path:
        return self._folder / f"{agent}@{digest}.json"

    def _pointer(self, agent: str) -> Path:
        return self._folder / f"{agent}.current"

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunnerError(
                f"cannot write the state folder {self.state}: {error.strerror};"
                f" name another with --state or {STATE_VARIABLE}"
            ) from error
