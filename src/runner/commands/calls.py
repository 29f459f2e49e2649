"""`runner calls`: list the calls that were recorded, and show one."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.commands.columns import columns, printable, to_the_second
from runner.errors import RunnerError

if TYPE_CHECKING:
    from runner.catalog.records import CallRecord, Records, Stay, ToolRun, Turn

_HEADS = ("call", "began", "agent", "room", "backends", "seconds", "turns", "ended")


def calls(options: argparse.Namespace) -> int:
    """Print one line a call, or all of the call whose id is, or begins with, `options.id`.

    Options: `id` (str or None), `state` (Path or None), `format` (text or json).

    Raises:
        RunnerError: there is no such call.
    """
    records = _records(options.state)
    paths = [records.find(options.id)] if options.id else records.paths()
    shown = list(_read(records, paths))
    if options.format == "json":
        as_json = [_as_json(record, ending) for record, ending in shown]
        print(json.dumps(as_json[0] if options.id and as_json else as_json, indent=2))
    elif options.id:
        print("\n".join(line for record, ending in shown for line in _story(record, ending)))
    else:
        print("\n".join(_table(shown)))
    return 0


def _records(state: Path | None) -> "Records":
    try:
        from runner.catalog.records import Records
        from runner.catalog.store import state_folder
    except ModuleNotFoundError as error:
        raise RunnerError(
            f"{error.name} is not installed; pip install 'voice-runner[serve]'"
        ) from error
    return Records(state_folder(state))


def _read(records: "Records", paths: Iterable[Path]) -> Iterator[tuple["CallRecord", str]]:
    for path in paths:
        try:
            record = records.read(path)
        except RunnerError as error:
            print(f"runner: {error}", file=sys.stderr)
        else:
            yield record, records.ending(path, record)


def _as_json(record: "CallRecord", ending: str) -> dict[str, Any]:
    return asdict(record) | {"ending": ending}


def _table(shown: Sequence[tuple["CallRecord", str]]) -> Iterator[str]:
    if not shown:
        yield "no calls are recorded"
        return
    yield from columns([_HEADS, *(_row(record, ending) for record, ending in shown)])


def _row(record: "CallRecord", ending: str) -> tuple[str, ...]:
    return (
        record.id,
        to_the_second(record.began),
        record.agent or "none",
        printable(record.room),
        " > ".join(stay.name for stay in record.backends if stay.entered) or "none",
        _after(record, record.ended) if record.ended else "",
        str(len(record.turns)),
        ending,
    )


def _story(record: "CallRecord", ending: str) -> Iterator[str]:
    yield f"call {record.id}"
    for name, value in _facts(record, ending).items():
        yield f"  {name:<9} {value}"
    sections: Mapping[str, list[str]] = {
        "backends, by seconds into the call": [_stay(record, stay) for stay in record.backends],
        "tools": [_tool(record, run) for run in record.tools],
        "turns": [_turn(record, turn) for turn in record.turns],
        "usage": [_named(usage) for usage in record.usage],
    }
    for title, lines in sections.items():
        if lines:
            yield f"{title}:"
            yield from (f"  {line}" for line in lines)


def _facts(record: "CallRecord", ending: str) -> dict[str, str]:
    answered = f"after {_after(record, record.answered)} s" if record.answered else "never"
    ended = f" after {_after(record, record.ended)} s" if record.ended else ""
    remote = {"remote": ", ".join(record.remote)} if record.remote else {}
    return {
        "agent": f"{record.agent}, revision {record.revision}" if record.agent else "none",
        **remote,
        "room": printable(record.room),
        "because": printable(record.because),
        "began": record.began,
        "answered": answered,
        "ended": ending + ended,
    }


def _stay(record: "CallRecord", stay: "Stay") -> str:
    text = f"{stay.name} ({stay.kind}):"
    text += f" entered {_after(record, stay.entered)}" if stay.entered else " never entered"
    if stay.gap is not None:
        text += f", after {stay.gap:.2f} s of silence"
    if stay.left:
        text += f", left {_after(record, stay.left)}: {printable(stay.reason or '')}"
    return text


def _tool(record: "CallRecord", run: "ToolRun") -> str:
    took = f" after {run.seconds:.2f} s" if run.seconds is not None else ""
    return f"{_after(record, run.began):>8}  {run.name}: {run.outcome}{took}"


def _turn(record: "CallRecord", turn: "Turn") -> str:
    latencies = _named(turn.latencies)
    marks = ", interrupted" if turn.interrupted else ""
    said = f": {printable(turn.text)}" if turn.text else ""
    return f"{_after(record, turn.at):>8}  {turn.who:<6}  {latencies}{marks}{said}".rstrip()


def _named(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _after(record: "CallRecord", time: str | None) -> str:
    from runner.catalog.records import seconds_between

    return f"{seconds_between(record.began, time or record.began):.2f}"
