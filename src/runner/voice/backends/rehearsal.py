"""The rehearsal as a backend: a pipeline of which no part needs a key or a network."""

from runner.definition.spec import AgentSpec, RehearsalBackend
from runner.voice.backends.agent import BackendAgent, turns_by_vad
from runner.voice.rehearsal.ears import ears
from runner.voice.rehearsal.model import RehearsalModel
from runner.voice.rehearsal.voice import Voice


class RehearsalAgent(BackendAgent):
    """The agent with a stand-in for each of the three models."""

    def __init__(self, backend: RehearsalBackend, spec: AgentSpec) -> None:
        super().__init__(
            backend,
            {},
            stt=ears(spec.tools),
            llm=RehearsalModel(spec.tools),
            tts=Voice(),
            turn_handling=turns_by_vad(spec.turn_taking),
        )
