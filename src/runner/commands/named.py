"""The agent that a command was told to use: by its file, or by its id in `agents/`."""

from pathlib import Path

from runner.definition.diagnostics import near_miss
from runner.errors import RunnerError


def file_of(agent: str) -> Path:
    """Return the file of an agent.

    Raises:
        RunnerError: no agent in `agents/` has this id.
    """
    if Path(agent).suffix in (".yaml", ".yml"):
        return Path(agent)
    found = sorted(Path("agents").rglob(f"{agent}.y*ml"))
    if not found:
        ids = [path.stem for path in Path("agents").rglob("*.y*ml")]
        close = near_miss(agent, ids)
        hint = f"; did you mean '{close}'?" if close else ""
        raise RunnerError(f"there is no agent '{agent}' in agents/{hint}")
    return found[0]
