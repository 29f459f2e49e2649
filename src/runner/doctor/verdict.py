"""What the lines come to: which backend would answer a call to each agent."""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass

from runner.definition.kinds import ANNOUNCEMENT
from runner.definition.spec import AgentSpec
from runner.doctor.line import Line
from runner.doctor.setup import Setup, identity
from runner.doctor.spoken import greeting_speech
from runner.reach.tries import FAILED


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a call could be answered, and the sentence that says so."""

    answered: bool
    text: str


def verdicts(setup: Setup, lines: Sequence[Line]) -> list[Verdict]:
    """Return one verdict an agent, or one for all when there is no agent."""
    if not setup.agents:
        return [Verdict(False, "no call could be answered: there is no valid agent")]
    failed = [line for line in lines if line.level == FAILED]
    if any(line.topic == "LiveKit" for line in failed):
        sentence = "a call to {} could not be answered (LiveKit failed)"
        return [Verdict(False, sentence.format(agent)) for agent in setup.agents]
    lost = {line.backend for line in failed if line.backend}
    return [_verdict(spec, lost) for spec in setup.agents.values()]


def _verdict(spec: AgentSpec, lost: Collection[Hashable]) -> Verdict:
    failed = {
        backend.name
        for backend in spec.backends
        if identity(backend) in lost or greeting_speech(spec, backend) in lost
    }
    working = [backend for backend in spec.backends if backend.name not in failed]
    names = ", ".join(backend.name for backend in spec.backends if backend.name in failed)
    why = f" ({names} failed)" if failed else ""
    if not working:
        return Verdict(False, f"a call to {spec.id} could not be answered{why}")
    first = working[0]
    if first.kind == ANNOUNCEMENT and failed:
        heard = f"a call to {spec.id} could not be answered: it would only hear {first.name}"
        return Verdict(False, heard + why)
    return Verdict(True, f"a call to {spec.id} would be answered by {first.name}{why}")
