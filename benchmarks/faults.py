"""What `failover.py` lets go wrong, when, and how long the caller may hear nothing then."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from programs import ROOT
from rig.openai_http import Endpoint, HTTPFault, HTTPFaultKind
from rig.openai_realtime import Fault, FaultKind
from rig.openai_service import OpenAIService

PATIENCE = 2.0  # the `first_audio_timeout` of all backends here
NEVER = 4.0  # seconds of silence after which it counts as endless
TOOL = 1.0  # how long the tool of the agents runs

#: The fallback's own times: join to greeting; end of speech to answer; its LLM asked to sound.
GREETING, ANSWER, FIRST_AUDIO = "greeting", "answer", "first audio"

START, QUESTION, MID_ANSWER, IDLE, IN_TOOL = (
    "at the start", "after a question", "in mid-answer", "idle", "in a tool",
)  # fmt: skip

NO_SERVER, NO_NAME = "http://127.0.0.1:9/v1", "http://no-such-host.invalid/v1"
PRIMARY = {"stt": "whisper-1", "llm": "gpt-4o-mini", "tts": "gpt-4o-mini-tts"}
FALLBACK = {"stt": "gpt-4o-mini-transcribe", "llm": "gpt-4o", "tts": "tts-1"}
UNANSWERED: list[FaultKind] = ["never_answers", "response_failed", "empty", "no_audio"]
_MODELS: dict[Endpoint, str] = {"chat": "llm", "stt": "stt", "tts": "tts"}


@dataclass(frozen=True)
class Bar:
    """The longest silence: `factor` times one of the fallback's own times, and `extra` seconds."""

    own: str
    factor: float = 1.0
    extra: float = 0.0

    def limit(self, own: dict[str, float]) -> float:
        """Return the seconds."""
        return self.factor * own[self.own] + self.extra


@dataclass(frozen=True)
class Case:
    """One fault at one moment; `agent` is the file that meets it, `base_url` its primary's."""

    moment: str
    name: str
    bar: Bar
    realtime: Fault | None = None
    http: tuple[Endpoint, HTTPFault] | None = None
    agent: str = "realtime"
    base_url: str | None = None
    passed_over: bool = False

    @property
    def pipeline(self) -> bool:
        """Whether the primary is a pipeline."""
        return self.agent == "pipeline"

    @property
    def when(self) -> str:
        """Which primary it meets, and when."""
        return f"{'pipeline' if self.pipeline else 'realtime'}, {self.moment}"

    def begin(self, service: OpenAIService) -> None:
        """Let it go wrong from now on."""
        service.realtime.fault = self.realtime
        service.http.faults = dict([self.http]) if self.http else {}


def cases() -> list[Case]:
    """Return every fault, in the order in which it is tried."""
    return [*_refused(), *_not_greeted(), *_not_answered(), *_lost(), *_pipeline()]


def _refused() -> Iterator[Case]:
    """Refuse or close a connection at the start."""
    bar = Bar(GREETING, factor=1.2)
    yield Case(START, "nobody listens", bar, agent="no-server", base_url=NO_SERVER)
    yield Case(START, "no such name", bar, agent="no-name", base_url=NO_NAME)
    kinds: list[FaultKind] = [
        "refuse", "401", "403", "404", "429", "500",
        "invalid_api_key", "model_not_found", "insufficient_quota",
    ]  # fmt: skip
    for kind in kinds:
        yield Case(START, kind, bar, Fault(kind))


def _not_greeted() -> Iterator[Case]:
    """Let a connection be accepted, and then be dead or as good as mute."""
    yield Case(START, "dies_before", Bar(GREETING, extra=0.5), Fault("dies_before"))
    kinds: list[FaultKind] = ["handshake_hangs", *UNANSWERED]
    for kind in kinds:
        yield Case(START, kind, Bar(GREETING, extra=PATIENCE + 0.5), Fault(kind))


def _not_answered() -> Iterator[Case]:
    """Let the same happen once the caller has asked something."""
    yield Case(QUESTION, "dies_before", Bar(ANSWER, extra=0.5), Fault("dies_before"))
    for kind in UNANSWERED:
        yield Case(QUESTION, kind, Bar(FIRST_AUDIO, extra=PATIENCE + 0.5), Fault(kind))


def _lost() -> Iterator[Case]:
    """Break an answer off, or a connection behind the caller's back."""
    known, mute = Bar(FIRST_AUDIO, extra=0.5), Bar(FIRST_AUDIO, extra=PATIENCE + 0.5)
    yield Case(MID_ANSWER, "dies_midway", known, Fault("dies_midway", after=1.0))
    yield Case(MID_ANSWER, "fails_midway", known, Fault("fails_midway", after=1.0))
    yield Case(MID_ANSWER, "stalls", mute, Fault("stalls", after=1.0))
    yield Case(IDLE, "dies_idle", Bar(ANSWER, extra=0.5), Fault("dies_idle", after=0.2))
    yield Case(IDLE, "black_hole", mute, Fault("black_hole", after=0.2))
    yield Case(IN_TOOL, "dies_after", Bar(ANSWER, extra=TOOL + 0.5), Fault("dies_after"))


def _pipeline() -> Iterator[Case]:
    """Break a pipeline whose fallback is another pipeline."""
    kinds: dict[Endpoint, list[HTTPFaultKind]] = {
        "chat": ["401", "429", "500", "cut", "hang"],
        "stt": ["401", "500", "hang"],
        "tts": ["401", "500", "cut", "hang"],
    }
    for endpoint, faults in kinds.items():
        for kind in faults:
            mute = kind == "hang"
            bar = Bar(FIRST_AUDIO if mute else ANSWER, extra=(PATIENCE if mute else 0.0) + 0.5)
            fault = HTTPFault(kind, model=PRIMARY[_MODELS[endpoint]])
            name = f"{endpoint} {kind}"
            yield Case(QUESTION, name, bar, http=(endpoint, fault), agent="pipeline")


def write_agents(folder: Path) -> Path:
    """Write the assistant with each list of backends that the cases need; return the folder."""
    assistant = yaml.safe_load((ROOT / "agents" / "assistant.yaml").read_text(encoding="utf-8"))
    assistant["tools"][0]["delay"] = TOOL
    fallback = {"kind": "openai-pipeline", "name": "fallback", **FALLBACK}
    realtime = {"kind": "openai-realtime"}
    lists = {
        "fallback": [fallback],
        "realtime": [realtime, fallback],
        "no-server": [{**realtime, "base_url": NO_SERVER}, fallback],
        "no-name": [{**realtime, "base_url": NO_NAME}, fallback],
        "pipeline": [{"kind": "openai-pipeline", **PRIMARY}, fallback],
    }
    folder.mkdir()
    for name, backends in lists.items():
        patient: list[dict[str, Any]] = [
            {**backend, "first_audio_timeout": PATIENCE} for backend in backends
        ]
        agent = {**assistant, "backends": patient, "answers": {"rooms": [f"{name}-*"]}}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(agent), encoding="utf-8")
    return folder
