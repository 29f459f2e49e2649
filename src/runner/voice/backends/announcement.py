"""Says one sentence, then ends or transfers the call. It asks no network and no model."""

import logging

from runner.catalog.announcements import Announcements, announcement
from runner.catalog.store import state_folder
from runner.definition.spec import AgentSpec, AnnouncementBackend
from runner.voice.backends.agent import BackendAgent
from runner.voice.line import Line
from runner.voice.recorded import SORRY, Recorded
from runner.voice.words import Words

_log = logging.getLogger(__name__)


class AnnouncementAgent(BackendAgent):
    """A voice that hears nothing, and plays what the host has had spoken beforehand.

    Without that it plays the recording that ships with the package, whose words are its own.
    """

    def __init__(self, backend: AnnouncementBackend, spec: AgentSpec) -> None:
        super().__init__(
            backend,
            {},
            stt=None,
            llm=None,
            vad=None,
            tts=None,
            turn_handling={"turn_detection": None},
        )
        self._sentence = backend.say
        self._announcement = announcement(spec, backend)
        self._transfer = backend.transfer

    async def open(self, _: Words, line: Line) -> None:
        """Speak to the end, then let the caller go."""
        own = self._own()
        if own is not None:
            await self._play(own)
        if self._transfer is not None and await line.transfer(self._transfer):
            return
        if own is None:
            # Only now: it tells a caller to ring again, whom a transfer would have helped.
            await self._play(SORRY)
        await line.hang_up("announced")

    def _own(self) -> Recorded | None:
        """Return the announcement as it was spoken beforehand."""
        best = Announcements(state_folder()).best(self._announcement)
        if best is None:
            _log.warning("the announcement was not spoken beforehand")
            return None
        take, path = best
        _log.info("announcing", extra={"voice": take.voice, "models": take.part.model})
        return Recorded(self._sentence, path)

    async def _play(self, recorded: Recorded) -> None:
        # Not through the TTS's node, so the watch has to be told.
        sound = self._heard(recorded.frames())
        await self.session.say(recorded.sentence, audio=sound, allow_interruptions=False)
