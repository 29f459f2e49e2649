"""What the next backend must know: what was said and heard, and what is still to be answered."""

import asyncio
import re
import time
from itertools import accumulate

from livekit.agents import (
    AgentSession,
    ConversationItemAddedEvent,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
    llm,
)
from livekit.agents.tokenize import basic
from livekit.agents.voice.transcription.synchronizer import STANDARD_SPEECH_RATE

from runner.voice.backends.agent import Opening
from runner.voice.recall import Recall

# Seconds of speech that go by before anything says that the caller speaks.
_UNNOTICED = 0.7


class Handover:
    """Follows one call's conversation, for the moment when another backend takes it up.

    `cut_off` says that the caller is owed the end of a thought.
    `heard_until` is when the last sound of the backends that were left ended, `quiet_since` when
    the caller stopped speaking as far as anything told, None if that is to come; both by the loop's
    time.
    """

    def __init__(self, session: AgentSession[None]) -> None:
        self.heard = self.cut_off = False
        self.heard_until = 0.0
        self.quiet_since: float | None = 0.0
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._unheard: set[str] = set()
        self._transcripts: list[str] = []
        self._speaks_since: float | None = None
        self._recall: Recall | None = None
        session.on("user_state_changed", self._on_user_state)
        session.on("user_input_transcribed", self._on_transcript)
        session.on("conversation_item_added", self._on_item)

    def started(self) -> None:
        """Keep what the caller says, now that the session has its sound."""
        if source := self._session.input.audio:
            self._recall = Recall(source)
            self._session.input.audio = self._recall

    def keep(self) -> None:
        """Keep all that the caller says from now on, until it is replayed."""
        if self._recall is not None:
            self._recall.keep()

    def answered(self) -> None:
        """Take note that the caller heard an answer, or the part before they spoke themselves."""
        self.heard = True
        self.understood()

    def understood(self) -> None:
        """Take note that what the caller has said until now was heard, words or not."""
        if self._session.user_state != "speaking":
            self._speaks_since = None

    def forget(self, messages: set[str]) -> None:
        """Leave out what was generated and never heard."""
        self._unheard |= messages

    def unnoticed(self, began: float, ended: float | None) -> None:
        """Take note of words of the caller that the server never told of."""
        if self._speaks_since is None:
            self._speaks_since = began
        self.quiet_since = ended

    def stalled(self, seconds: float) -> None:
        """Take note that the last answer stopped when it had sounded for so many seconds."""
        for last in self._session.history.items[-1:]:
            if last.type == "message" and last.role == "assistant":
                # LiveKit goes on counting words as spoken while nothing is heard.
                spoken = _spoken_within(seconds, last.text_content or "")
                last.content = [spoken] if spoken else []

    def history(self) -> llm.ChatContext:
        """Return the whole conversation, with the caller's words that got no further."""
        history = self._session.history.copy(
            exclude_instructions=True,
            exclude_handoff=True,
            exclude_config_update=True,
            exclude_empty_message=True,
        )
        history.items = [item for item in history.items if item.id not in self._unheard]
        if self._transcripts:
            history.add_message(role="user", content=" ".join(self._transcripts))
        return history

    def opening(self, history: llm.ChatContext) -> Opening:
        """Say what a backend that takes over begins with."""
        if not self.heard:
            return Opening.GREET
        if self._speaks_since is not None and self._session.user_state == "speaking":
            # It hears the caller's words itself, and answers them.
            return Opening.LISTEN
        if unanswered(history):
            return Opening.ANSWER
        return Opening.GO_ON if self.cut_off else Opening.LISTEN

    def replay(self, unheard: float, failed: float) -> bool:
        """Let the new backend hear the caller's words that nobody understood.

        At least those since the one before `failed`, or since it may have been deaf (`unheard`);
        tell whether somebody has noticed any.
        """
        began = self._speaks_since
        # While an agent spoke there may be nothing but its echo.
        since = min(failed, max(unheard, self.heard_until))
        if self._recall is not None:
            self._recall.rewind(since if began is None else min(since, began))
        return began is not None

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        if event.new_state == "speaking":
            self._speaks_since = self._loop.time() - _UNNOTICED
            self.quiet_since = None
        elif event.old_state == "speaking":
            # LiveKit's VAD says so later than it was.
            self.quiet_since = self._loop.time() - max(0.0, time.time() - event.created_at)

    def _on_transcript(self, event: UserInputTranscribedEvent) -> None:
        if event.is_final:
            self.understood()
            self._transcripts += [event.transcript] if event.transcript.strip() else []

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        if event.item.type == "message" and event.item.role == "user":
            self.understood()
            self._transcripts.clear()


def _spoken_within(seconds: float, text: str) -> str:
    """Return the words of `text` that are spoken by then, as LiveKit reckons."""
    words = re.findall(r"\S+\s*", text)
    syllables = accumulate(len(basic.hyphenate_word(word)) for word in words)
    most = STANDARD_SPEECH_RATE * seconds
    return "".join(word for word, sum_ in zip(words, syllables, strict=True) if sum_ <= most)


def unanswered(history: llm.ChatContext) -> bool:
    """Tell whether the caller, or a tool, spoke last."""
    for item in reversed(history.items):
        if item.type == "function_call_output":
            return True
        if item.type == "message":
            return item.role == "user"
    return False
