"""The clock of a backend that owes sound, without any backend."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.voice.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENCE = 0.1


@dataclass(frozen=True)
class Sound:
    duration: float


class Clock:
    """A watch, and when it found the backend silent."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.began = self.loop.time()
        self._found: asyncio.Future[float] = self.loop.create_future()
        self.watch = Watch(PATIENCE, lambda: self._found.set_result(self.loop.time()))

    async def silent_after(self) -> float:
        return await asyncio.wait_for(self._found, 5.0) - self.began

    async def stays_calm(self) -> bool:
        done, _ = await asyncio.wait({self._found}, timeout=2.5 * PATIENCE)
        return not done


async def sounds(*durations: float, ends: bool = True) -> AsyncIterator[Sound]:
    for duration in durations:
        yield Sound(duration)
    if not ends:
        await asyncio.Event().wait()


async def test_nobody_waits_at_first() -> None:
    assert await Clock().stays_calm()


async def test_an_answer_that_does_not_come_is_silence() -> None:
    clock = Clock()
    clock.watch.expect()
    assert PATIENCE <= await clock.silent_after() < 3 * PATIENCE


async def test_a_finished_answer_owes_nothing_more() -> None:
    clock = Clock()
    clock.watch.expect()
    assert [one.duration async for one in clock.watch.listen(sounds(0.01, 0.02))] == [0.01, 0.02]
    assert await clock.stays_calm()


async def test_the_seconds_of_each_answer_are_counted_anew() -> None:
    watch = Clock().watch
    for durations in ((0.01, 0.02), (0.04,)):
        async for _ in watch.listen(sounds(*durations)):
            pass
        assert watch.sounded == sum(durations)


async def test_what_is_still_being_played_is_not_silence() -> None:
    clock = Clock()
    listening = clock.watch.listen(sounds(0.3, ends=False))
    hearing = asyncio.ensure_future(_hear(listening))
    assert 0.3 + PATIENCE <= await clock.silent_after() < 0.3 + 3 * PATIENCE
    assert clock.watch.answering
    hearing.cancel()


async def test_the_last_sound_is_heard_until_it_has_been_played() -> None:
    clock = Clock()
    assert clock.watch.heard_until == 0.0
    began = clock.loop.time()
    await _hear(clock.watch.listen(sounds(0.3, 0.2)))
    assert began + 0.5 <= clock.watch.heard_until < began + 0.6


async def test_sound_that_nobody_takes_yet_stops_the_clock() -> None:
    clock = Clock()
    clock.watch.expect()
    listening = clock.watch.listen(sounds(0.01, ends=False))
    await anext(listening)
    assert await clock.stays_calm()


async def test_the_clock_begins_anew_when_the_last_hold_ends() -> None:
    clock = Clock()
    clock.watch.hold("caller")
    clock.watch.hold("tools")
    clock.watch.expect()
    clock.watch.release("caller")
    assert await clock.stays_calm()
    released = clock.loop.time() - clock.began
    clock.watch.release("tools")
    assert await clock.silent_after() >= released + PATIENCE


async def test_a_closed_watch_never_calls() -> None:
    clock = Clock()
    clock.watch.expect()
    clock.watch.close()
    assert await clock.stays_calm()


async def _hear(listening: AsyncIterator[Sound]) -> None:
    async for _ in listening:
        pass


async def test_sound_counts_from_when_it_is_taken() -> None:
    """What waits for a caller who listens late has not been heard."""
    clock = Clock()
    frames = clock.watch.listen(sounds(0.1, 0.1))
    await anext(frames)
    assert clock.watch.frames == 0
    assert clock.watch.heard_until == 0.0
    await anext(frames)
    assert clock.watch.frames == 1


async def test_a_wait_that_began_earlier_goes_on() -> None:
    """Unless that is so long ago that it was another one."""
    clock = Clock()
    await asyncio.sleep(PATIENCE / 2)
    clock.watch.expect(since=clock.began)
    assert await clock.silent_after() < PATIENCE * 1.4
    clock = Clock()
    await asyncio.sleep(2 * PATIENCE)
    clock.watch.expect(since=clock.began)
    assert await clock.silent_after() >= 3 * PATIENCE


async def test_a_caller_who_cannot_hear_yet_is_no_silence() -> None:
    clock = Clock()
    audible = asyncio.Event()
    frames = clock.watch.listen(sounds(0.1), lambda: asyncio.wait_for(audible.wait(), 5.0))
    first = asyncio.ensure_future(anext(frames))
    assert await clock.stays_calm()
    assert not first.done()
    audible.set()
    await first
