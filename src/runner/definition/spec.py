"""An agent as frozen data: what a checked file means. It knows neither YAML nor LiveKit."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from runner.definition.kinds import ANNOUNCEMENT, PIPELINE, REALTIME, REHEARSAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """How a call begins; with neither field the caller speaks first.

    `say` is a template spoken word for word, `generate` one that tells the model what to do.
    """

    say: str | None = None
    generate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnTaking:
    """Who speaks when; durations and delays in seconds."""

    allow_interruptions: bool = True
    min_interruption_duration: float = 0.5
    min_endpointing_delay: float = 0.5
    max_endpointing_delay: float = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One model of a pipeline and where it lives.

    `base_url` None means OpenAI's own servers; `api_key_env` None means a server that wants no key.
    """

    model: str
    base_url: str | None
    api_key_env: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeBackend:
    """Speech to speech by the OpenAI Realtime API; `temperature` in percent, timeout in seconds.

    `inherits` are the agent's keys whose values it has taken over: `voice`, `temperature`.
    """

    kind: str = REALTIME
    name: str
    first_audio_timeout: float
    model: str
    voice: str
    temperature: float
    base_url: str | None
    api_key_env: str | None
    inherits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineBackend:
    """Speech to text, language model, text to speech; `temperature` in percent.

    `inherits` as in `RealtimeBackend`.
    """

    kind: str = PIPELINE
    name: str
    first_audio_timeout: float
    stt: Part
    llm: Part
    tts: Part
    voice: str
    temperature: float
    inherits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncementBackend:
    """One sentence, then the end: hang up, or transfer to a number when `transfer` is set."""

    kind: str = ANNOUNCEMENT
    name: str
    first_audio_timeout: float
    say: str
    transfer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalBackend:
    """The stand-in where no key is there; no file can name it, and no snapshot brings it."""

    kind: str = REHEARSAL
    name: str = REHEARSAL
    first_audio_timeout: float = 60.0


Backend = RealtimeBackend | PipelineBackend | AnnouncementBackend | RehearsalBackend

_BACKENDS: dict[str, Callable[..., Backend]] = {
    REALTIME: RealtimeBackend,
    PIPELINE: PipelineBackend,
    ANNOUNCEMENT: AnnouncementBackend,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStub:
    """A tool answered from the file.

    `parameters` is the JSON Schema of the arguments object; `returns` a template, or JSON whose
    texts are templates; `delay` in seconds.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    returns: Any
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Which calls are this agent's: by room, by the number that was called, or all left over.

    `rooms` are patterns with `*` and `{name}`, `numbers` are E.164.
    """

    rooms: tuple[str, ...]
    numbers: tuple[str, ...] = ()
    default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """Where the agent's database answers: `fields` are its keys for ours, a dot leads inwards.

    `url` is a template, `timeout` in seconds; `api_key_env` None means that no token is sent.
    """

    url: str
    api_key_env: str | None
    timeout: float
    fields: Mapping[str, str]


# Without slots: the digest is kept.
@dataclass(frozen=True, kw_only=True)
class AgentSpec:
    """One agent, checked and complete: every default filled in, every included template inside.

    `prompt` is the template of the instructions, `variables` the defaults of the names that
    templates may use, `templates` the included files by their path below the agents folder.
    """

    id: str
    name: str
    description: str
    prompt: str
    variables: Mapping[str, Any]
    greeting: Greeting
    language: str | None
    voice: str
    temperature: float
    response_length: str
    turn_taking: TurnTaking
    backends: tuple[Backend, ...]
    tools: tuple[ToolStub, ...]
    answers: Answers
    remote: Remote | None = None
    templates: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the canonical JSON of this spec: sorted keys, no white space, UTF-8 as it is."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @cached_property
    def digest(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the canonical JSON."""
        return digest_of(self.to_json())


def digest_of(text: str) -> str:
    """Return the digest that names a spec by its canonical JSON."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def spec_from_json(text: str) -> AgentSpec:
    """Read back what `AgentSpec.to_json` wrote.

    Raises:
        ValueError: the text is not a spec that this version can read.
    """
    try:
        fields = json.loads(text)
        return AgentSpec(
            **fields
            | {
                "greeting": Greeting(**fields["greeting"]),
                "turn_taking": TurnTaking(**fields["turn_taking"]),
                "backends": tuple(_backend(record) for record in fields["backends"]),
                "tools": tuple(ToolStub(**record) for record in fields["tools"]),
                "answers": _answers(fields["answers"]),
                "remote": Remote(**remote) if (remote := fields.get("remote")) else None,
            }
        )
    except (TypeError, KeyError) as error:
        raise ValueError(f"not a spec of this version: {error}") from error


def _answers(record: dict[str, Any]) -> Answers:
    lists = {name: tuple(record[name]) for name in ("rooms", "numbers")}
    return Answers(**record | lists)


def _backend(record: dict[str, Any]) -> Backend:
    typed: dict[str, Any] = {
        name: Part(**record[name]) for name in ("stt", "llm", "tts") if name in record
    }
    if "inherits" in record:
        typed["inherits"] = tuple(record["inherits"])
    return _BACKENDS[record["kind"]](**record | typed)
