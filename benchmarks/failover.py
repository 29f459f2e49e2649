"""For how long a caller hears nothing when a backend fails, and what is kept of the call.

Every fault of `faults.py` meets `runner serve`, with a fallback, and the hand-written session, a
plain `AgentSession` as LiveKit's documentation shows it, which has none. Silence is what the
caller's ear measures: from joining to the greeting, from the end of the question to the fallback's
answer, or from the last sound of a broken answer to the next. The hand-written session is heard
again only with a whole answer.

`runner serve` is called `--rounds` times with each fault, and its median is held against a bar; if
it is missed, there are two calls more, and the median of all counts. A call that loses anything of
the conversation misses for good. The hand-written session is not called again once a fault has
silenced it.

The bars of the faults stand on the fallback's own times: those of the same agent with nothing but
the fallback in its list, called in turn with the faults. They are the wait from joining to the
greeting (for faults at the start), from the end of speech to the answer (for answers that do not
begin), and, the shortest, from asking its language model for the greeting to the greeting's first
sound (for answers that break off, and for silence).

Healthy calls come first, `--healthy` times in turn: an agent on `runner serve` between two calls of
the same agent as a hand-written session, and one whose first backend calls pass over (its breaker
is open) between two of the fallback alone. Neither may take longer than those around it, median
against median; what could as well be chance is not longer. So the ratio may be at most the one that
two halves of the calls around it have, in 95 of 100 ways of halving them.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from fnmatch import fnmatch
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from bench import Bench
from calls import Outcome, ring
from faults import ANSWER, FIRST_AUDIO, GREETING, NEVER, QUESTION, START, Bar, Case, cases
from programs import OURS, PEER, cell, spread
from rig.openai_realtime import Fault

HEALTHY = Case(START, "join -> greeting", Bar(GREETING))
CONTROL = Case(START, "fallback alone", Bar(GREETING), agent="fallback")
ALONE = Case(QUESTION, "fallback alone", Bar(GREETING), agent="fallback")
REFUSED = Case(START, "refused", Bar(GREETING), Fault("401"))
OPEN = Case(START, "breaker open", Bar(GREETING), Fault("401"), passed_over=True)
EACH = 6  # so many faults, and the fallback alone once more
AGAIN = 2  # calls of a fault that has missed its bar
HALVINGS = 2000

Row = dict[str, Any]
Heard = dict[tuple[str, Case], list[Outcome]]


async def _measure(rounds: int, healthy: int, pattern: str) -> AsyncIterator[Row]:
    """Measure on servers of our own; yield the rows as they are known."""
    wanted = [one for one in cases() if _matches(f"{one.when}: {one.name}", pattern)]
    with tempfile.TemporaryDirectory() as name:
        async with Bench.open(Path(name)) as bench:
            if _matches("healthy", pattern):
                for row in await _healthy(bench, healthy):
                    yield row
            for _, group in groupby(wanted, key=lambda case: (case.pipeline, case.moment == START)):
                for row in await _group(bench, rounds, list(group)):
                    yield row


def _matches(name: str, pattern: str) -> bool:
    return fnmatch(name, f"*{pattern}*")


async def _healthy(bench: Bench, rounds: int) -> list[Row]:
    """Call in turn what has nothing to fail over; the first calls do not count."""
    await ring(bench, OURS, REFUSED)
    bench.learn()
    plain, alone = (PEER, HEALTHY), (OURS, CONTROL)
    turns = [plain, (OURS, HEALTHY), plain, alone, (OURS, OPEN), alone]
    await _in_turn(bench, turns, {})
    heard: Heard = {}
    for _ in range(rounds):
        await _in_turn(bench, turns, heard)
    return [
        {"when": "healthy", "fault": CONTROL.name, OURS: _total(heard[alone])},
        _no_longer(HEALTHY, heard[OURS, HEALTHY], heard[plain], heard[plain]),
        _no_longer(OPEN, heard[OURS, OPEN], [], heard[alone]),
    ]


def _no_longer(
    case: Case, mine: Sequence[Outcome], theirs: Sequence[Outcome], around: Sequence[Outcome]
) -> Row:
    times = [NEVER if one.silence is None else one.silence for one in around]
    bar = Bar(GREETING, factor=max(1.0, _chance(times)))
    return _row(case, mine, theirs, bar, statistics.median(times))


def _chance(times: Sequence[float]) -> float:
    """Return how much larger one half's median is than the other's, in 95 of 100 halvings."""
    draw, half = random.Random(0), len(times) // 2
    ratios = []
    for _ in range(HALVINGS):
        mixed = draw.sample(times, len(times))
        ratios.append(statistics.median(mixed[:half]) / statistics.median(mixed[half:]))
    return statistics.quantiles(ratios, n=100)[94]


async def _group(bench: Bench, rounds: int, group: list[Case]) -> list[Row]:
    """Let both programs meet some faults in turn, and the fallback alone be called among them."""
    heard: Heard = {}
    for _ in range(rounds):
        for place, case in enumerate(group):
            silenced = any(one.silence is None for one in heard.get((PEER, case), ()))
            turns = [] if silenced else [(PEER, case)]
            turns += [(OURS, ALONE)] if place % EACH == 0 else []
            await _in_turn(bench, [*turns, (OURS, case)], heard)
    missed = [case for case, row in zip(group, _rows(heard, group), strict=True) if not row["met"]]
    for _ in range(AGAIN if missed else 0):
        await _in_turn(bench, [(OURS, ALONE), *((OURS, case) for case in missed)], heard)
    own = _own_times(heard[OURS, ALONE])
    return [*_own_rows("the fallback alone, beside the faults below", own), *_rows(heard, group)]


def _rows(heard: Heard, group: list[Case]) -> list[Row]:
    own = _own_times(heard[OURS, ALONE])
    medians = {name: statistics.median(times) for name, times in own.items()}
    return [
        _row(one, heard[OURS, one], heard[PEER, one], one.bar, medians[one.bar.own])
        for one in group
    ]


async def _in_turn(bench: Bench, turns: Sequence[tuple[str, Case]], heard: Heard) -> None:
    for program, case in turns:
        heard.setdefault((program, case), []).append(await ring(bench, program, case))


def _own_times(alone: Sequence[Outcome]) -> dict[str, list[float]]:
    times = {
        GREETING: [one.greeting for one in alone],
        ANSWER: [one.silence for one in alone],
        FIRST_AUDIO: [one.first_audio for one in alone],
    }
    return {name: [time for time in some if time is not None] for name, some in times.items()}


def _own_rows(when: str, own: dict[str, list[float]]) -> Iterator[Row]:
    for name, times in own.items():
        yield {"when": when, "fault": name, OURS: {"silence": spread(times)}}


def _row(
    case: Case, mine: Sequence[Outcome], theirs: Sequence[Outcome], bar: Bar, own: float
) -> Row:
    """Hold our calls against a bar: in none of them anything lost, and the median not above it."""
    total = _total(mine)
    row: Row = {"when": _when(case), "fault": case.name, OURS: total}
    row[PEER] = _total(theirs) if theirs else None
    row |= {"limit": bar.limit(own), "against": "", "met": False}
    if total["silence"] is not None:
        silence = total["silence"]["median"]
        row["against"] = bar.against(silence, own)
        row["met"] = silence <= row["limit"] and all(one.kept for one in mine)
    return row


def _when(case: Case) -> str:
    return "healthy" if case in (HEALTHY, OPEN) else case.when


def _total(calls: Sequence[Outcome]) -> Row:
    """Put one program's calls together; a single one without an end has no median."""
    silences = [one.silence for one in calls if one.silence is not None]
    whole = len(silences) == len(calls)
    what = " / ".join(dict.fromkeys(one.what for one in calls))
    return {"silence": spread(silences) if whole else None, "what": what, "calls": len(calls)}


def _print(row: Row) -> None:
    cells = [_cells(row.get(program)) for program in (OURS, PEER)]
    bar = (row["against"], "met" if row["met"] else "MISSED") if "met" in row else ("", "")
    _line(f"  {row['fault']}", *cells[0], *cells[1], *bar)


def _cells(total: Row | None) -> tuple[str, str]:
    if total is None:
        return "", ""
    silence = cell(total["silence"]) if total["silence"] else f"never (> {NEVER:.0f} s)"
    return silence, total.get("what", "")


def _line(*columns: str) -> None:
    print("{:<22}{:>18}  {:<20}{:>18}  {:<24}  {:<20} {}".format(*columns).rstrip(), flush=True)


async def _run(rounds: int, healthy: int, pattern: str) -> list[Row]:
    _line("silence, s", OURS, "heard, kept", PEER, "heard, kept", "is, of what may be", "bar")
    rows: list[Row] = []
    async for row in _measure(rounds, healthy, pattern):
        if not rows or rows[-1]["when"] != row["when"]:
            print(row["when"])
        _print(row)
        rows.append(row)
    return rows


def main() -> None:
    """Print the table and, behind it, the same as JSON; exit with 1 if a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1, help="calls with each fault")
    parser.add_argument("--healthy", type=int, default=8, help="rounds of healthy calls")
    part = "a part: 'healthy', 'realtime, at the start', 'tts cut'"
    parser.add_argument("--only", default="*", metavar="PATTERN", help=part)
    options = parser.parse_args()
    try:
        rows = asyncio.run(_run(options.rounds, options.healthy, options.only))
    except (pytest.skip.Exception, pytest.fail.Exception) as missing:
        sys.exit(str(missing))
    print(json.dumps(rows))
    missed = [row["fault"] for row in rows if not row.get("met", True)]
    print(f"{sum('met' in row for row in rows)} bars, {len(missed)} missed")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
