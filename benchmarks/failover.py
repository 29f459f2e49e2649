"""For how long a caller hears nothing when a backend fails, and what is kept of the call.

Every fault of `faults.py` meets `runner serve`, with a fallback, and the hand-written session,
which has none. Silence is what the caller's ear measures: from joining to the greeting, from the
end of the question to the fallback's answer, or from the last sound of a broken answer to the next.
The hand-written session is heard again only with a whole answer.

`runner serve` is called `--rounds` times with each fault, and its median is held against a bar. The
hand-written session is not called again once a fault has silenced it.

The bars stand on the fallback's own times: those of the same agent with nothing but the fallback in
its list, called in turn with other healthy calls in the same run. They are the wait from joining to
the greeting (for faults at the start), from the end of speech to the answer (for answers that do
not begin), and, the shortest, from asking its language model for the greeting to the greeting's
first sound (for answers that break off, and for silence).
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from fnmatch import fnmatch
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from calls import Bench, Outcome, ring
from faults import ANSWER, FIRST_AUDIO, GREETING, NEVER, QUESTION, START, Bar, Case, cases
from programs import OURS, PEER, cell, spread
from rig.openai_realtime import Fault

HEALTHY = Case(START, "join -> greeting", Bar(GREETING))
ALONE = Case(QUESTION, "fallback alone", Bar(GREETING), agent="fallback")
REFUSED = Case(START, "refused", Bar(GREETING), Fault("401"))
OPEN = Case(START, "breaker open", Bar(GREETING), Fault("401"), passed_over=True)
HEALTHY_ROUNDS = 3  # times `--rounds`: their bars are the narrowest
EACH = 4  # so many faults, and the fallback alone once more

Row = dict[str, Any]
Heard = dict[tuple[str, Case], list[Outcome]]


async def _measure(rounds: int, pattern: str) -> AsyncIterator[Row]:
    """Measure on servers of our own; yield the rows as they are known."""
    wanted = [one for one in cases() if fnmatch(f"{one.when}: {one.name}", f"*{pattern}*")]
    with tempfile.TemporaryDirectory() as name:
        async with Bench.open(Path(name)) as bench:
            for row in await _healthy(bench, HEALTHY_ROUNDS * rounds):
                yield row
            for _, group in groupby(wanted, key=lambda case: (case.pipeline, case.moment == START)):
                for row in await _group(bench, rounds, list(group)):
                    yield row


async def _healthy(bench: Bench, rounds: int) -> list[Row]:
    """Call in turn what has nothing to fail over; the first calls do not count."""
    await ring(bench, OURS, REFUSED)
    bench.learn()
    turns = [(PEER, HEALTHY), (OURS, HEALTHY), (OURS, ALONE), (OURS, OPEN)]
    await _in_turn(bench, turns, {})
    heard: Heard = {}
    for _ in range(rounds):
        await _in_turn(bench, turns, heard)
    own, theirs = _own_times(heard), heard[PEER, HEALTHY]
    # No delay that could be told from the noise of the calls that it is compared with.
    quarter, middle, three_quarters = statistics.quantiles(own[GREETING], n=4)
    limit = statistics.median(one.silence or NEVER for one in theirs)
    return [
        *_own_rows("the fallback alone", own),
        _row("healthy calls", HEALTHY.name, heard[OURS, HEALTHY], theirs, limit),
        _row("healthy calls", OPEN.name, heard[OURS, OPEN], [], middle + three_quarters - quarter),
    ]


async def _group(bench: Bench, rounds: int, group: list[Case]) -> list[Row]:
    """Let both programs meet some faults in turn, and the fallback alone be called among them."""
    heard: Heard = {}
    for _ in range(rounds):
        for place, case in enumerate(group):
            silenced = any(one.silence is None for one in heard.get((PEER, case), ()))
            turns = [] if silenced else [(PEER, case)]
            turns += [(OURS, ALONE)] if place % EACH == 0 else []
            await _in_turn(bench, [*turns, (OURS, case)], heard)
    own = _own_times(heard)
    medians = {name: statistics.median(times) for name, times in own.items()}
    return [
        *_own_rows("the fallback alone, beside the faults below", own),
        *(
            _row(one.when, one.name, heard[OURS, one], heard[PEER, one], one.bar.limit(medians))
            for one in group
        ),
    ]


async def _in_turn(bench: Bench, turns: Sequence[tuple[str, Case]], heard: Heard) -> None:
    for program, case in turns:
        heard.setdefault((program, case), []).append(await ring(bench, program, case))


def _own_times(heard: Heard) -> dict[str, list[float]]:
    alone = heard[OURS, ALONE]
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
    when: str, fault: str, mine: Sequence[Outcome], theirs: Sequence[Outcome], limit: float
) -> Row:
    """Hold our calls against a bar: in none of them anything lost, and the median not above it."""
    total = _total(mine)
    fast = total["silence"] is not None and total["silence"]["median"] <= limit
    passed = fast and all(one.kept for one in mine)
    both = {OURS: total, PEER: _total(theirs) if theirs else None}
    return {"when": when, "fault": fault, **both, "bar": limit, "pass": passed}


def _total(calls: Sequence[Outcome]) -> Row:
    """Put one program's calls together; a single one without an end has no median."""
    silences = [one.silence for one in calls if one.silence is not None]
    whole = len(silences) == len(calls)
    what = " / ".join(dict.fromkeys(one.what for one in calls))
    return {"silence": spread(silences) if whole else None, "what": what, "calls": len(calls)}


def _print(row: Row) -> None:
    cells = [_cells(row.get(program)) for program in (OURS, PEER)]
    bar = f"{row['bar']:.2f} {'pass' if row['pass'] else 'MISS'}" if "bar" in row else ""
    _line(f"  {row['fault']}", *cells[0], *cells[1], bar)


def _cells(total: Row | None) -> tuple[str, str]:
    if total is None:
        return "", ""
    silence = cell(total["silence"]) if total["silence"] else f"never (> {NEVER:.0f} s)"
    return silence, total.get("what", "")


def _line(*columns: str) -> None:
    print("{:<22}{:>18}  {:<20}{:>18}  {:<24} {:<10}".format(*columns).rstrip(), flush=True)


async def _run(rounds: int, pattern: str) -> list[Row]:
    _line("silence, s", OURS, "heard, kept", PEER, "heard, kept", "bar, s")
    rows: list[Row] = []
    async for row in _measure(rounds, pattern):
        if not rows or rows[-1]["when"] != row["when"]:
            print(row["when"])
        _print(row)
        rows.append(row)
    return rows


def main() -> None:
    """Print the table and, behind it, the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="calls with each fault")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="of the faults: '*start*'")
    options = parser.parse_args()
    try:
        rows = asyncio.run(_run(options.rounds, options.only))
    except (pytest.skip.Exception, pytest.fail.Exception) as missing:
        sys.exit(str(missing))
    bars = [row["pass"] for row in rows if "bar" in row]
    print(f"{len(bars)} bars, {bars.count(False)} missed")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
