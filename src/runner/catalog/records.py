"""Records of calls on disk: one file a call, written as the call goes on. Knows no LiveKit."""

import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.catalog import files
from runner.errors import RunnerError

#: Set to 1, tells the job processes that a record may hold what was said.
TRANSCRIPTS_VARIABLE = "RUNNER_RECORD_TRANSCRIPTS"

#: LiveKit's reason for the end of a job that has raised an error.
CRASHED = "job crashed"

#: A call that goes on touches its record this often, in seconds.
BEAT = 5.0
#: A record that was not touched for so many seconds, and has no end, is of a killed process.
_DEAD = 4 * BEAT

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class RecordError(RunnerError):
    """A record is not there, or cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A backend's time in a call; `entered` is None if it never took the call.

    `reason` says why it was left, `gap` how many seconds the caller waited in silence for its first
    sound; None if nobody waited, or it was never heard.
    """

    name: str
    kind: str
    entered: str | None = None
    left: str | None = None
    reason: str | None = None
    gap: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRun:
    """A tool that the model called; `outcome` is done, error, cancelled, or running."""

    id: str
    name: str
    began: str
    seconds: float | None = None
    outcome: str = "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What the `caller` or the `agent` said at once: when it was whole, and latencies in seconds.

    `text` is None unless transcripts are recorded.
    """

    who: str
    at: str
    backend: str
    interrupted: bool
    latencies: Mapping[str, float]
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """What is known of one call; times are ISO 8601 in UTC, to the millisecond.

    `answered` is the agent's first sound, `because` why this agent, `usage` what each model took
    (tokens, characters, seconds of audio), `reason` how the call ended. None: not yet, or never.
    `remote` are the agent's keys whose values were its database's, not its file's. A call that no
    agent answers has an empty `agent`, and in `because` what was looked for.
    """

    id: str
    agent: str
    revision: str
    room: str
    because: str
    began: str
    answered: str | None = None
    ended: str | None = None
    reason: str | None = None
    backends: tuple[Stay, ...] = ()
    tools: tuple[ToolRun, ...] = ()
    turns: tuple[Turn, ...] = ()
    usage: tuple[Mapping[str, Any], ...] = ()
    remote: tuple[str, ...] = ()

    @property
    def carrier(self) -> Stay | None:
        """The backend that has the call, or had it last; others after it could not be built."""
        entered = [stay for stay in self.backends if stay.entered]
        return entered[-1] if entered else None

    def to_json(self) -> str:
        """Return this record as indented JSON, for people too."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)


def record_from_json(text: str) -> CallRecord:
    """Read back what `CallRecord.to_json` wrote.

    Raises:
        ValueError: the text is not a record that this version can read.
    """
    nested: Mapping[str, Callable[..., Any]] = {
        "backends": Stay, "tools": ToolRun, "turns": Turn, "usage": dict,
    }  # fmt: skip
    try:
        fields = json.loads(text)
        for name, kind in nested.items():
            fields[name] = tuple(kind(**entry) for entry in fields[name])
        fields["remote"] = tuple(fields.get("remote", ()))
        return CallRecord(**fields)
    except (TypeError, KeyError) as error:
        raise ValueError(f"not a record of this version: {error}") from error


def utc(seconds: float) -> str:
    """Return a time of `time.time()` as `2026-11-22T16:45:52.566Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def seconds_between(earlier: str, later: str) -> float:
    """Return the seconds from one time of a record to another."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


@dataclass(frozen=True, slots=True)
class Records:
    """The records below one state folder; each is written by one process, and read by any."""

    state: Path

    def write(self, record: CallRecord) -> None:
        """Write all that is known of a call, over what was known before.

        Raises:
            OSError: the state folder cannot be written.
        """
        files.replace(files.folder(self.state, "calls") / _file_name(record), record.to_json())

    def touch(self, record: CallRecord) -> None:
        """Say that the call still goes on.

        Raises:
            OSError: the record is not there, or not ours.
        """
        (self._folder / _file_name(record)).touch()

    def paths(self) -> list[Path]:
        """Return the files of all records, the call that began first at the top."""
        return sorted(path for path in self._folder.glob("*.json") if path.name[0] != ".")

    def running(self, since: float = 0.0) -> list[CallRecord]:
        """Return the records of the calls that are on, of whatever process, in their order.

        Only those that were touched `since` then, as of `time.time()`.
        """
        alive = max(time.time() - _DEAD, since)
        found = []
        for path in self.paths():
            with suppress(OSError, RecordError):
                if path.stat().st_mtime > alive and not (record := self.read(path)).ended:
                    found.append(record)
        return found

    def read(self, path: Path) -> CallRecord:
        """Read one record.

        Raises:
            RecordError: it is gone, damaged, or of another version.
        """
        try:
            return record_from_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise RecordError(f"cannot read the record {path}: {error.strerror}") from error
        except ValueError as error:
            raise RecordError(f"the record {path} is damaged: {error}") from error

    def find(self, call: str) -> Path:
        """Return the file of the call whose id is, or begins with, `call`.

        Raises:
            RecordError: there is none, or more than one.
        """
        begins = _UNSAFE.sub("_", call)
        found = [path for path in self.paths() if _id_in(path).startswith(begins)]
        if exact := [path for path in found if _id_in(path) == begins]:
            found = exact
        if len(found) != 1 or not call:
            many = f"{len(found)} calls begin" if found else "no call begins"
            raise RecordError(f"{many} with {call!r} in {self._folder}; runner calls lists them")
        return found[0]

    def ending(self, path: Path, record: CallRecord) -> str:
        """Return how a call ended; a call without an end is `running`, or was `cut off`."""
        if record.ended:
            return record.reason or "ended"
        try:
            age = time.time() - path.stat().st_mtime
        except OSError:
            return "cut off"
        return "running" if age < _DEAD else "cut off"

    def remove_older(self, seconds: float) -> int:
        """Remove the records that were last written so long ago; return how many were removed."""
        found = [*self._folder.glob("*.json"), *self._folder.glob(".*")]
        removed = files.remove_older(found, max(seconds, _DEAD))
        return sum(path.name[0] != "." for path in removed)

    @property
    def _folder(self) -> Path:
        return self.state / "calls"


def _file_name(record: CallRecord) -> str:
    """Return a name that sorts by time; a room may have any name, of any length."""
    began = re.sub("[-:]", "", record.began)
    room, call = (_UNSAFE.sub("_", text) for text in (record.room, record.id))
    return f"{began}.{room[:60]}.{call[:60]}.json"


def _id_in(path: Path) -> str:
    return path.name.removesuffix(".json").rpartition(".")[2]
