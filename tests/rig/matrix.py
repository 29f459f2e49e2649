"""The fault matrix, in files for people: what goes wrong when, and what the caller must hear."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import yaml

from .openai_http import HTTPFault, HTTPFaultKind
from .openai_realtime import Fault, FaultKind
from .script import Call, Tone
from .talk import FIRST_MODEL, GREETINGS, LONG, LONGER, SECOND_MODEL, rehearse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .openai_service import OpenAIService
    from .script import Turn

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

#: Seconds that a realtime model takes for the long answer.
SPOKEN = 5.0
#: The second one takes longer than the agents' `first_audio_timeout`.
CALLS = {
    "tool": Call("check_availability", {"day": "monday"}, first="One moment."),
    "tool-answer": Call("look_up_history"),
}


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

    def rehearse(self, service: OpenAIService) -> None:
        """Let the answers be of the kind that the moment needs."""
        rehearse(service)
        if self.moment in CALLS:
            call = CALLS[self.moment]
            service.realtime.script = {"": Tone(GREETINGS[0]), "do for me": call}
            service.http.answers({"": GREETINGS[1], "do for me": call})
        elif self.moment == "mid-answer":
            service.realtime.script = self._long_winded
            # A language model breaks off in the middle, its TTS has a whole sentence by then.
            words = LONGER if self.side == "llm" else LONG
            service.http.answers({"": GREETINGS[1], "do for me": words})

    def _long_winded(self, turn: Turn) -> Tone:
        if "do for me" not in turn.text:
            cut_off = "cut off" in turn.instructions
            return Tone("And so on.", 1.5) if cut_off else Tone(GREETINGS[0])
        is_first = self.side == "realtime" and turn.model == FIRST_MODEL
        return Tone(LONG, SPOKEN) if is_first else Tone("And so on.", 1.5)

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
