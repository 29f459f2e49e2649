"""One module a kind of backend, and the one table of kinds."""

from collections.abc import Callable, Mapping
from typing import Any

from runner.definition.kinds import ANNOUNCEMENT, PIPELINE, REALTIME, REHEARSAL
from runner.definition.spec import AgentSpec
from runner.voice.backends.agent import BackendAgent
from runner.voice.backends.announcement import AnnouncementAgent
from runner.voice.backends.pipeline import PipelineAgent
from runner.voice.backends.realtime import RealtimeAgent
from runner.voice.backends.rehearsal import RehearsalAgent

#: How the backend of each kind is built; raises `MissingKeyError`.
KINDS: Mapping[str, Callable[[Any, AgentSpec], BackendAgent]] = {
    REALTIME: RealtimeAgent,
    PIPELINE: PipelineAgent,
    ANNOUNCEMENT: AnnouncementAgent,
    REHEARSAL: RehearsalAgent,
}
