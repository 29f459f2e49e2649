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
NEVER = 4.0  # seconds of silence after which it counts as endless; no bar is as long
TOOL = 1.0  # how long the tool of the agents runs

#: The fallback's own times: join to greeting; end of speech to answer; its LLM asked to sound.
GREETING, ANSWER, FIRST_AUDIO = "greeting", "answer", "first audio"

START, QUESTION, MID_ANSWER, AFTER, IDLE, SPEAKING, IN_TOOL = (
    "at the start", "after a question", "in mid-answer", "after an answer", "idle",
    "while the caller speaks", "in a tool",
)  # fmt: skip

NO_SERVER, NO_NAME = "http://127.0.0.1:9/v1", "http://no-such-host.invalid/v1"
PRIMARY = {"stt": "whisper-1", "llm": "gpt-4o-mini", "tts": "gpt-4o-mini-tts"}
FALLBACK = {"stt": "gpt-4o-mini-transcribe", "llm": "gpt-4o", "tts": "tts-1"}
WITHOUT_ANSWER: list[FaultKind] = ["dies_before", "response_failed", "empty", "no_audio"]
_MODELS: dict[Endpoint, str] = {"chat": "llm", "stt": "stt", "tts": "tts"}


@dataclass(frozen=True)
class Bar:
    """The longest silence: `factor` times one of the fallback's own times, and `extra` seconds.

    `wait` are the seconds that pass anyhow: a tool that runs, the patience with who is mute.
    """

    own: str
    factor: float = 1.0
    extra: float = 0.0
    wait: float = 0.0

    def limit(self, own: float) -> float:
        """Return the seconds."""
        return self.factor * own + self.extra + self.wait

    def against(self, silence: float, own: float) -> str:
        """Say how a silence compares with the own time, and what the bar allows."""
        if self.extra:
            return f"{silence - own - self.wait:+.2f} s of {self.extra:+.2f} s"
        return f"{silence / own:.2f}x of {self.factor:.2f}x"


KNOWN, MUTE = {"extra": 0.5}, {"extra": 0.5, "wait": PATIENCE}


@dataclass(frozen=True)
class Case:
    """One fault at one moment; `agent` is the file that meets it.

    `environment` is what the hand-written session has in the place of what that file says; a
    variable that is empty is not set.
    """

    moment: str
    name: str
    bar: Bar
    realtime: Fault | None = None
    http: tuple[Endpoint, HTTPFault] | None = None
    agent: str = "realtime"
    environment: tuple[tuple[str, str], ...] = ()
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
    """Refuse or close a connection at the start, or let there be nothing to connect with."""
    bar = Bar(GREETING, factor=1.2)
    places = {
        "no key": ("no-key", ("OPENAI_API_KEY", "")),
        "nobody listens": ("no-server", ("OPENAI_BASE_URL", NO_SERVER)),
        "no such name": ("no-name", ("OPENAI_BASE_URL", NO_NAME)),
    }
    for name, (agent, variable) in places.items():
        yield Case(START, name, bar, agent=agent, environment=(variable,))
    kinds: list[FaultKind] = [
        "refuse", "401", "403", "404", "429", "500",
        "invalid_api_key", "model_not_found", "insufficient_quota", "dies_before",
    ]  # fmt: skip
    for kind in kinds:
        yield Case(START, kind, bar, Fault(kind))


def _not_greeted() -> Iterator[Case]:
    """Let a connection be accepted, and then be as good as mute."""
    for kind in WITHOUT_ANSWER[1:]:
        yield Case(START, kind, Bar(GREETING, **KNOWN), Fault(kind))
    mute: list[FaultKind] = ["handshake_hangs", "never_answers"]
    for kind in mute:
        yield Case(START, kind, Bar(GREETING, **MUTE), Fault(kind))


def _not_answered() -> Iterator[Case]:
    """Let the same happen once the caller has asked something."""
    for kind in WITHOUT_ANSWER:
        yield Case(QUESTION, kind, Bar(ANSWER, **KNOWN), Fault(kind))
    yield Case(QUESTION, "never_answers", Bar(FIRST_AUDIO, **MUTE), Fault("never_answers"))


def _lost() -> Iterator[Case]:
    """Break an answer off, or a connection behind the caller's back."""
    known, mute = Bar(FIRST_AUDIO, **KNOWN), Bar(FIRST_AUDIO, **MUTE)
    unnoticed = Bar(ANSWER, **KNOWN)
    yield Case(MID_ANSWER, "dies_midway", known, Fault("dies_midway", after=1.0))
    yield Case(MID_ANSWER, "fails_midway", known, Fault("fails_midway", after=1.0))
    yield Case(MID_ANSWER, "stalls", mute, Fault("stalls", after=1.0))
    yield Case(AFTER, "dies_after", unnoticed, Fault("dies_after"))
    for moment in (IDLE, SPEAKING):
        yield Case(moment, "dies_idle", unnoticed, Fault("dies_idle", after=0.2))
        yield Case(moment, "black_hole", mute, Fault("black_hole", after=0.2))
        yield Case(moment, "deaf", mute, Fault("deaf", after=0.2))
    yield Case(IN_TOOL, "dies_after", Bar(ANSWER, extra=0.5, wait=TOOL), Fault("dies_after"))


def _pipeline() -> Iterator[Case]:
    """Break a pipeline whose fallback is another pipeline."""
    refused: list[HTTPFaultKind] = ["401", "429", "500"]
    speaking: list[Endpoint] = ["chat", "tts"]
    for endpoint in speaking:
        yield _http(START, endpoint, "401", Bar(GREETING, factor=1.2))
        for kind in refused[1:]:
            # Asked once more before it is left: a server's hiccup must not cost a call its voice.
            yield _http(START, endpoint, kind, Bar(GREETING, **KNOWN))
        yield _http(START, endpoint, "hang", Bar(GREETING, **MUTE))
    yield _http(START, "chat", "cut", Bar(GREETING, **KNOWN))
    for endpoint in _MODELS:
        for kind in refused:
            yield _http(QUESTION, endpoint, kind, Bar(ANSWER, **KNOWN))
        # Whoever takes over has to hear the question first, where nobody has understood it.
        own = ANSWER if endpoint == "stt" else FIRST_AUDIO
        yield _http(QUESTION, endpoint, "hang", Bar(own, **MUTE))
    yield _http(QUESTION, "chat", "cut", Bar(ANSWER, **KNOWN))
    # Its first sentence is heard before it breaks off.
    yield _http(MID_ANSWER, "chat", "cut", Bar(FIRST_AUDIO, **KNOWN), after=1.0)
    yield _http(MID_ANSWER, "tts", "cut", Bar(FIRST_AUDIO, **KNOWN))
    for endpoint in speaking:
        yield _http(MID_ANSWER, endpoint, "stalls", Bar(FIRST_AUDIO, **MUTE))


def _http(
    moment: str, endpoint: Endpoint, kind: HTTPFaultKind, bar: Bar, after: float = HTTPFault.after
) -> Case:
    fault = HTTPFault(kind, model=PRIMARY[_MODELS[endpoint]], after=after)
    return Case(moment, f"{endpoint} {kind}", bar, http=(endpoint, fault), agent="pipeline")


def write_agents(folder: Path) -> Path:
    """Write the assistant with each list of backends that the cases need; return the folder."""
    assistant = yaml.safe_load((ROOT / "agents" / "assistant.yaml").read_text(encoding="utf-8"))
    assistant["tools"][0]["delay"] = TOOL
    fallback = {"kind": "openai-pipeline", "name": "fallback", **FALLBACK}
    realtime = {"kind": "openai-realtime"}
    lists = {
        "fallback": [fallback],
        "realtime": [realtime, fallback],
        "no-key": [{**realtime, "api_key_env": "NO_SUCH_KEY"}, fallback],
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
