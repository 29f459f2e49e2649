"""The fault matrix, in files for people: what goes wrong when, and what the caller must hear."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import yaml

from .openai_http import HTTPFault, HTTPFaultKind
from .openai_realtime import Fault, FaultKind
from .talk import FIRST_MODEL, SECOND_MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .openai_service import OpenAIService

FOLDER = Path(__file__).parents[1] / "faults"
ENDPOINTS = {"llm": "chat", "stt": "stt", "tts": "tts"}
KINDS = {
    "realtime": get_args(FaultKind),
    **dict.fromkeys(ENDPOINTS, get_args(HTTPFaultKind)),
    "address": (),
}
TONES = {"realtime": 440.0, "second": 660.0, "pipeline": 880.0}
#: From which answer on a backend fails.
MOMENTS = {
    "start": 0, "idle": 0, "speaking": 0, "question": 1, "mid-answer": 1, "after-answer": 1,
    "tool": 1, "tool-answer": 2,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Row:
    """A fault on one side of a call, at one moment, and what must come of it; `table` is its file.

    `heard` takes over from `agent`'s first backend, after a silence of `least` to `gap` seconds,
    knowing `keeps`; the log and the record give `reason`. `after` is the fault's own number of
    seconds. Of two realtime `models` both have it, or only the first. A `slow` row is one of the
    long or rare ones.
    """

    table: str
    side: str
    moment: str
    fault: str
    agent: str
    heard: str
    reason: str
    gap: float
    least: float = 0.0
    keeps: tuple[str, ...] = ()
    after: float = 0.5
    models: int = 2
    slow: bool = False

    def __post_init__(self) -> None:
        """Refuse what no test would understand."""
        assert self.moment in MOMENTS, self
        assert self.heard in TONES, self
        assert self.fault in KINDS[self.side] or self.side == "address", self

    def __str__(self) -> str:
        return f"{self.table} {self.moment} {self.fault}"

    def begin(self, service: OpenAIService) -> None:
        """Let it go wrong: at once, or once the greeting is out."""
        number = 0 if self.side == "stt" else MOMENTS[self.moment]
        fields: dict[str, Any] = {"kind": self.fault, "after": self.after}
        if self.side == "realtime":
            first = Fault(**fields, response=number, model=FIRST_MODEL)
            service.realtime.fault = [first, Fault(**fields, model=SECOND_MODEL)][: self.models]
        elif self.side in ENDPOINTS:
            endpoint: Any = ENDPOINTS[self.side]
            service.http.faults = {endpoint: HTTPFault(**fields, request=number)}


def rows(folder: Path = FOLDER) -> list[Row]:
    """Read all files; what is unknown or missing in one is an error."""
    return [row for path in sorted(folder.glob("*.yaml")) for row in _read(path)]


def _read(path: Path) -> Iterator[Row]:
    file = yaml.safe_load(path.read_text("utf-8"))
    moments = file.pop("moments")
    for moment, fields in moments.items():
        faults = fields.pop("faults")
        for fault, own in faults.items():
            merged = {"agent": str(fault), **file, **fields, **(own or {})}
            yield Row(
                table=path.stem,
                moment=moment,
                fault=str(fault),
                keeps=tuple(merged.pop("keeps", ())),
                **merged,
            )
