"""`runner doctor`: check everything that a call needs, and say what to do about what is wrong."""

import argparse
import asyncio
from pathlib import Path

from runner.errors import RunnerError

#: Seconds that each try of a backend gets.
LIMIT = 10.0


def doctor(options: argparse.Namespace) -> int:
    """Check the agents of `options.folder` and all that a call to them would use.

    Returns 1 if a call to one of them could not be answered.

    Raises:
        RunnerError: what a call needs is not even installed.
    """
    return asyncio.run(visit(options.folder, state=options.state))


async def visit(folder: Path, *, state: Path | None = None, limit: float = LIMIT) -> int:
    """Print each finding as it is made, then a verdict an agent; return the exit code.

    Raises:
        RunnerError: the extra [serve] is not installed.
    """
    try:
        from runner.doctor.checks import examine
        from runner.doctor.setup import read
        from runner.doctor.verdict import verdicts

        setup = read(folder, state)
    except ModuleNotFoundError as error:
        raise RunnerError(
            f"{error.name} is not installed; pip install 'voice-runner[serve]'"
        ) from error
    lines = []
    async for line in examine(setup, limit):
        print(line, flush=True)
        lines.append(line)
    found = verdicts(setup, lines)
    for verdict in found:
        print(verdict.text, flush=True)
    return 0 if all(verdict.answered for verdict in found) else 1
