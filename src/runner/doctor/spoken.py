"""What callers hear word for word: greetings beside a realtime model, and announcements."""

from collections.abc import Mapping

from runner.catalog.announcements import Announcement, Announcements, announcement
from runner.catalog.backends import speech_beside
from runner.definition.spec import AgentSpec, AnnouncementBackend, Backend, Part, RealtimeBackend
from runner.doctor.setup import Listed, Setup
from runner.reach.tries import OK, WARNING, Outcome

Speech = tuple[Part, str]


def greeting_speech(spec: AgentSpec, backend: Backend) -> Speech | None:
    """Return the TTS, and its voice, that speaks the greeting beside a realtime model.

    None where no TTS is needed, or the backend brings its own.
    """
    if spec.greeting.say is None or not isinstance(backend, RealtimeBackend):
        return None
    return speech_beside(backend), backend.voice


def greetings(setup: Setup) -> Mapping[Speech, list[Listed]]:
    """Return the realtime backends that greet word for word, by what speaks the greeting."""
    return setup.together(greeting_speech)


def announcements(setup: Setup) -> Mapping[Announcement, list[Listed]]:
    """Return the announcements, by the ways in which they may be spoken."""
    return setup.together(
        lambda spec, one: announcement(spec, one) if isinstance(one, AnnouncementBackend) else None
    )


def recording(setup: Setup, wanted: Announcement) -> Outcome:
    """Say what a caller would hear; have nothing spoken, which is left to the host."""
    if best := Announcements(setup.state, setup.environment).best(wanted):
        take, _ = best
        return Outcome(OK, f"spoken beforehand by {take.part.model} with the voice {take.voice}")
    until = "until then callers hear the built-in sentence"
    if wanted.askable(setup.environment):
        return Outcome(OK, f"not spoken yet; runner serve has it spoken, {until}")
    names = dict.fromkeys(take.part.api_key_env for take in wanted.takes)
    missing = " or ".join(filter(None, names))
    return Outcome(WARNING, f"cannot be spoken without a key; set {missing}, {until}")
