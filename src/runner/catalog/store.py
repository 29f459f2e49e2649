"""Snapshots of agents on disk, named by content: how a definition reaches a job process."""

import os
import re
import time
from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from runner.catalog import files
from runner.definition.spec import AgentSpec, digest_of, spec_from_json
from runner.errors import RunnerError

STATE_VARIABLE = files.STATE_VARIABLE

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

    def put(self, spec: AgentSpec) -> str:
        """Write the snapshot of `spec` if it is not there and whole; return its digest.

        Every process sees it from then on; `sync` makes it outlive a power cut as well.

        Raises:
            RunnerError: the state folder cannot be written.
        """
        text = spec.to_json()
        digest = digest_of(text)
        with files.writing(self.state):
            files.folder(self.state, "agents")
            _keep(self._snapshot(spec.id, digest), text)
        return digest

    def holds(self, spec: AgentSpec) -> bool:
        """Tell whether the snapshot of `spec` is there and whole."""
        # By its digest: to make the JSON anew takes five times as long, for each agent and call.
        with suppress(OSError, ValueError):
            text = self._snapshot(spec.id, spec.digest).read_text(encoding="utf-8")
            return digest_of(text) == spec.digest
        return False

    def sync(self, agent: str, digest: str) -> None:
        """Wait until the disk has a snapshot; this may take a tenth of a second.

        Raises:
            RunnerError: the disk does not take it.
        """
        with files.writing(self.state):
            files.sync(self._snapshot(agent, digest))
            files.sync(self._folder)

    def get(self, agent: str, digest: str) -> AgentSpec:
        """Read one snapshot and check that its content is what `digest` names.

        Raises:
            SnapshotError: it is missing, damaged, or of another version.
        """
        path = self._snapshot(agent, digest)
        if path.parent != self._folder or not _DIGEST.fullmatch(digest):
            raise SnapshotError(f"{agent!r} at {digest!r} names no snapshot")
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise SnapshotError(f"cannot read the snapshot {path}: {error.strerror}") from error
        except ValueError as error:
            raise SnapshotError(f"the snapshot {path} is damaged: {error}") from error
        if digest_of(text) != digest:
            raise SnapshotError(f"the snapshot {path} is damaged: its content has another digest")
        try:
            spec = spec_from_json(text)
        except ValueError as error:
            message = f"the snapshot {path} was written by another version of voice-runner"
            raise SnapshotError(message) from error
        if spec.id != agent:
            raise SnapshotError(f"the snapshot {path} is of another agent")
        return spec

    def sweep(self, kept: Set[tuple[str, str]], seconds: float) -> int:
        """Remove snapshots that were not written for so long; return how many were removed.

        Those that are `kept`, by id and digest, stay.

        Raises:
            RunnerError: the state folder cannot be read or written.
        """
        latest = time.time() - seconds
        with files.writing(self.state):
            old = [path for path in self._folder.glob("*") if _is_older(path, latest)]
            left = {self._snapshot(agent, digest) for agent, digest in kept}
            return sum(_remove(path, latest) for path in old if _is_ours(path) and path not in left)

    def _snapshot(self, agent: str, digest: str) -> Path:
        return self._folder / f"{agent}@{digest}.json"


def _keep(path: Path, text: str) -> None:
    """Write a file unless it is there and whole; in both cases it is as young as if written."""
    try:
        # First of all: a sweep that is about to remove it looks at its age once more.
        os.utime(path)
        if path.read_bytes() == text.encode():
            return
    except FileNotFoundError:
        pass
    files.replace(path, text)


def _is_ours(path: Path) -> bool:
    # With a dot: written aside by a process that was killed. `.current` is an earlier version's.
    return path.name[0] == "." or path.suffix in (".json", ".current")


def _is_older(path: Path, latest: float) -> bool:
    try:
        return path.stat().st_mtime < latest
    except OSError:
        return False


def _remove(path: Path, latest: float) -> bool:
    """Remove a snapshot unless a host writes it this very moment; tell whether it is gone."""
    aside = path.with_name(f".{path.name.lstrip('.')}")
    with suppress(OSError):
        path.rename(aside)
        if _is_older(aside, latest):
            aside.unlink()
            return True
        aside.rename(path)
    return False
