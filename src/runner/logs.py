"""The program's log: one line a record, text for a terminal and JSON for machines."""

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

LogFormat = Literal["text", "json"]

#: The fields that a line may carry. A closed list: LiveKit's records bring others, with what
#: callers said among them.
FIELDS = (
    "agent", "revision", "room", "backend", "outcome", "agents", "rejected", "because", "calls",
    "cpu_time", "display_name", "fields", "ignored", "last_good", "looked_for", "models",
    "participant", "reason", "seconds", "since", "snapshots", "temperature", "temperature_sent",
    "url", "variable", "voice", "worker",
)  # fmt: skip

# What lines of the call say that is on in this context; in a job process LiveKit adds it.
_CALL: ContextVar[Mapping[str, str]] = ContextVar("call")

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')
_PLAIN = re.compile(r"[\w.:/+@*{}-]+")

# A server may put the key that it refuses into its error, and LiveKit logs that.
_SECRETS = re.compile(r"_(KEY|SECRET|TOKEN|PASSWORD)$")
_OPENAI_KEY = re.compile(r"\bsk-[\w*-]{8,}")
_SHORTEST = 8


def set_up(log_format: LogFormat | None = None) -> None:
    """Log to stderr: our own records from INFO, everybody else's from WARNING.

    Without `log_format` a terminal gets text and anything else JSON.
    """
    text = sys.stderr.isatty() if log_format is None else log_format == "text"
    out = logging.StreamHandler(sys.stderr)
    out.setFormatter(TextFormatter() if text else JSONFormatter())
    out.addFilter(_add_call)
    root = logging.getLogger()
    root.handlers = [out]
    root.setLevel(logging.WARNING)
    # Job processes copy the levels of the loggers that exist by name.
    logging.getLogger("runner").setLevel(logging.INFO)
    logging.getLogger("livekit.agents").setLevel(logging.WARNING)
    # The Rust core warns about handles of its own at the end of every call.
    logging.getLogger("livekit").setLevel(logging.ERROR)


def of_call() -> dict[str, str]:
    """Return the fields of every line that this context, and tasks that it starts, log from now on.

    There are none yet; they may be changed at any time.
    """
    fields: dict[str, str] = {}
    _CALL.set(fields)
    return fields


def _add_call(record: logging.LogRecord) -> bool:
    for name, value in _CALL.get({}).items():
        if not hasattr(record, name):
            setattr(record, name, value)
    return True


class TextFormatter(logging.Formatter):
    """`2026-11-22T16:02:11.204 INFO  job accepted agent=front-desk room=front-desk-1`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record as one line; values that hold more than a word are quoted."""
        time = datetime.fromtimestamp(record.created).isoformat(timespec="milliseconds")
        fields = [f"{name}={_shown(value)}" for name, value in _fields(record).items()]
        head = f"{time} {record.levelname:<7} {_one_line(record.getMessage())}"
        return _masked(" ".join([head, *fields]))


class JSONFormatter(logging.Formatter):
    """`{"time": ..., "level": "INFO", "message": "job accepted", "agent": "front-desk"}`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record as one JSON object; the time is UTC."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": _one_line(record.getMessage()),
        }
        return _masked(json.dumps(line | _fields(record), ensure_ascii=False, default=str))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
    if not record.name.startswith("runner"):
        fields["logger"] = record.name
    if trace := _trace(record):
        fields["error"] = trace
    return fields


def _trace(record: logging.LogRecord) -> str:
    """Return an exception's last line and place; records of job processes bring only its text."""
    text = record.exc_text
    if record.exc_info and not text:
        text = logging.Formatter().formatException(record.exc_info)
    if not text and "Traceback (most recent call last)" in record.getMessage():
        text = record.getMessage()
    if not text:
        return ""
    last = text.rstrip().rsplit("\n", 1)[-1]
    frames = _FRAME.findall(text)
    return f"{last} ({Path(frames[-1][0]).name}:{frames[-1][1]})" if frames else last


def _shown(value: Any) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=True)


def _masked(line: str) -> str:
    """Hide keys: what the environment's variables hold whose names end as those of secrets do."""
    for name, value in os.environ.items():
        if _SECRETS.search(name) and len(value) >= _SHORTEST:
            line = line.replace(value, f"${name}")
    return _OPENAI_KEY.sub("sk-...", line)


def _one_line(text: str) -> str:
    # LiveKit puts whole tracebacks into messages; the record's `error` says the last line.
    return " ".join(text.partition("Traceback (most recent call last)")[0].split())
