"""Tells when a caller has waited too long for a backend. It knows neither sessions nor models."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeVar


class Frame(Protocol):
    """A piece of sound; `duration` in seconds."""

    @property
    def duration(self) -> float:
        """How long it sounds."""


FrameT = TypeVar("FrameT", bound=Frame)
WordT = TypeVar("WordT")
PieceT = TypeVar("PieceT")


class Watch:
    """One backend's clock: `on_silent` is called once it has owed sound for `patience` seconds.

    It owes sound when it is expected to begin (`expect`), and inside an answer that has not ended.
    The clock stands still while anything holds it: a caller who speaks, a tool that runs. It does
    not count what is still being played, nor the wait for a caller who has not subscribed.
    `frames` are all that were taken to be heard, `sounded` the seconds of the last answer.
    """

    def __init__(self, patience: float, on_silent: Callable[[], None]) -> None:
        self._patience = patience
        self._on_silent = on_silent
        self._loop = asyncio.get_running_loop()
        self._expected = False
        self._answering = False
        self._waiting = False
        self._holds: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._first: asyncio.Future[float] = self._loop.create_future()
        self.frames = 0
        self.sounded = 0.0
        self.plays_until = self._loop.time()

    @property
    def answering(self) -> bool:
        """Whether an answer is under way that has not ended."""
        return self._answering

    @property
    def heard_until(self) -> float:
        """The loop's time at which its last sound ends; 0 if nothing was heard."""
        return self.plays_until if self.frames else 0.0

    async def first_sound(self) -> float:
        """Wait for the backend's first sound; return the loop's time of it."""
        return await asyncio.shield(self._first)

    def expect(self, since: float | None = None) -> None:
        """Let the backend owe an answer from now on, or `since` a time of the loop's.

        One that is longer ago than its patience belongs to something else.
        """
        self._expected = True
        recent = since is not None and since + self._patience > self._loop.time()
        self._turn(since if recent else None)

    def settle(self) -> None:
        """Expect no answer any more."""
        self._expected = False
        self._turn()

    def hold(self, by: str) -> None:
        """Stop the clock; `by` says who does."""
        self._holds.add(by)
        self._turn()

    def release(self, by: str) -> None:
        """Let the clock run again, from the beginning, once nobody else holds it."""
        self._holds.discard(by)
        self._turn()

    def close(self) -> None:
        """Never call again."""
        self._closed = True
        self._turn()

    def listen(
        self, frames: AsyncIterator[FrameT], audible: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[FrameT]:
        """Pass an answer's sound on once it is `audible`; note when it will have been played."""
        return self._pass(frames, lambda frame: frame.duration, audible)

    def read(self, words: AsyncIterator[WordT]) -> AsyncIterator[WordT]:
        """Pass an answer's words on, where they are all that there is of it."""
        return self._pass(words, lambda _: 0.0)

    async def _pass(
        self,
        pieces: AsyncIterator[PieceT],
        seconds: Callable[[PieceT], float],
        audible: Callable[[], Awaitable[None]] | None = None,
    ) -> AsyncIterator[PieceT]:
        self._answering = True
        self.sounded = 0.0
        self._wait(True)
        try:
            async for piece in pieces:
                self._note_first()
                self._expected = False
                self._wait(False)
                if audible is not None:
                    await audible()
                yield piece
                self.frames += 1
                self.plays_until = max(self._loop.time(), self.plays_until) + seconds(piece)
                self.sounded += seconds(piece)
                self._wait(True)
        finally:
            self._answering = False
            self._wait(False)

    def _note_first(self) -> None:
        if not self._first.done():
            self._first.set_result(self._loop.time())

    def _wait(self, waiting: bool) -> None:
        self._waiting = waiting
        self._turn()

    def _turn(self, since: float | None = None) -> None:
        owes = (self._expected or self._waiting) and not self._holds and not self._closed
        if not owes and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        elif owes and self._timer is None:
            begins = max(self._loop.time() if since is None else since, self.plays_until)
            self._timer = self._loop.call_at(begins + self._patience, self._silent)

    def _silent(self) -> None:
        self._closed = True
        self._on_silent()
