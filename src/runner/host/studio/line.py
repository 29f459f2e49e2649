"""A page in place of a room: the line of a call that comes from the studio."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable

from livekit.agents import Agent, AgentSession
from livekit.agents.voice.room_io import TextInputEvent, TextInputOptions
from livekit.agents.voice.transcription import TranscriptSynchronizer

from runner.definition.prompt import CallerNames
from runner.host.studio.sound import Captions, Loudspeaker, Microphone
from runner.host.studio.spectator import Spectator
from runner.host.studio.wire import Wire
from runner.voice.rehearsal.model import RehearsalModel

_log = logging.getLogger(__name__)

#: What templates see as `caller.identity`.
_CALLER = "studio"


class PageLine:
    """The line to one page; `fields` are those of the call's log lines.

    The caller is there from the beginning. The line is over when either side has hung up.
    """

    def __init__(self, wire: Wire, spectator: Spectator, fields: dict[str, str]) -> None:
        number = secrets.token_hex(6)
        self.id = f"ST_{number}"
        self.room = f"studio-{number}"
        self.microphone = Microphone()
        self.loudspeaker = Loudspeaker(wire)
        self._wire = wire
        self._spectator = spectator
        self._fields = fields
        self._session: AgentSession[None] | None = None
        self._synchronizer: TranscriptSynchronizer | None = None
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._ended: Callable[[str], Awaitable[None]] | None = None
        self._begun = asyncio.Event()
        self._typing: set[asyncio.Task[None]] = set()

    async def start(self, session: AgentSession[None], agent: Agent) -> None:
        """Start `session` with the page's microphone and loudspeaker."""
        self._session = session
        self._spectator.attach(session)
        self._connect(session)
        if isinstance(agent.llm, RehearsalModel):
            agent.llm.on("told", self._spectator.told)
        await session.start(agent, record=False)

    async def audible(self) -> None:
        """Return at once: the caller listens from the beginning."""

    async def caller(self) -> CallerNames | None:
        """Return the person at the page, who has pressed the button."""
        return None if self._over.done() else CallerNames(_CALLER)

    def begin(self) -> None:
        """Take note that the agent has begun: what was typed before waits for that."""
        self._begun.set()

    def type(self, text: str) -> None:
        """Let the agent read `text`, as it reads the chat of a room."""
        self._spectator.typed(text)
        task = asyncio.create_task(self._read(text))
        self._typing.add(task)
        task.add_done_callback(self._typing.discard)

    async def hang_up(self, reason: str) -> None:
        """End the call."""
        _log.info("hanging up", extra={"reason": reason})
        self.close(reason)

    async def transfer(self, number: str) -> bool:
        """Say where a caller by phone would be transferred to; a page cannot be."""
        self._wire.tell("note", text=f"A caller by phone is transferred to {number} now.")
        return False

    def close(self, reason: str) -> None:
        """Let the call be over; the first reason counts."""
        if not self._over.done():
            self._over.set_result(reason)

    def on_end(self, ended: Callable[[str], Awaitable[None]]) -> None:
        """Call `ended` when the call has ended, and wait for it."""
        self._ended = ended

    def introduce(self, name: str) -> None:
        """Leave the name as the page has it, from the agent's file."""

    def stamp(self, fields: dict[str, str]) -> None:
        """Put these fields into every log line of the call."""
        self._fields.clear()
        self._fields.update(fields)

    async def over(self) -> str:
        """Wait until the call is over; return why."""
        return await asyncio.shield(self._over)

    async def finish(self) -> None:
        """Take down what the call has needed, once it is over."""
        self.microphone.close()
        self.loudspeaker.release()
        for task in self._typing:
            task.cancel()
        try:
            if self._session is not None:
                await self._session.aclose()
            if self._synchronizer is not None:
                await self._synchronizer.aclose()
        finally:
            if self._ended is not None:
                await self._ended(await self.over())

    def _connect(self, session: AgentSession[None]) -> None:
        self._synchronizer = TranscriptSynchronizer(
            next_in_chain_audio=self.loudspeaker,
            next_in_chain_text=Captions(self._wire, lambda: self.loudspeaker.was_cut),
        )
        session.input.audio = self.microphone
        session.output.audio = self._synchronizer.audio_output
        session.output.transcription = self._synchronizer.text_output

    async def _read(self, text: str) -> None:
        await self._begun.wait()
        if self._session is None or self._over.done():
            return
        # LiveKit refuses a text that would interrupt what must not be.
        speech = self._session.current_speech
        if speech is not None and not speech.allow_interruptions:
            await speech.wait_for_playout()
        began = time.time()
        reading = TextInputOptions().text_input_cb(self._session, TextInputEvent(text=text))
        if reading is not None:
            await reading
        self._spectator.asked(began)
