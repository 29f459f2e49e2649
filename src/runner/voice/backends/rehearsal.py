"""The rehearsal as a backend: it writes, and whoever shows it may speak it."""

from runner.definition.spec import AgentSpec, RehearsalBackend
from runner.voice.backends.agent import BackendAgent
from runner.voice.rehearsal.model import RehearsalModel


class RehearsalAgent(BackendAgent):
    """An agent without a voice and without ears."""

    def __init__(self, backend: RehearsalBackend, spec: AgentSpec) -> None:
        super().__init__(
            backend,
            {},
            stt=None,
            llm=RehearsalModel(spec.tools),
            vad=None,
            tts=None,
            turn_handling={"turn_detection": None},
        )
