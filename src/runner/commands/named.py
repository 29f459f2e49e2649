"""The agent that a command was told to use: by its file, or by its id in `agents/`."""

from pathlib import Path

from runner.definition.diagnostics import near_miss
from runner.definition.folder import Folder
from runner.errors import RunnerError


def file_of(agent: str) -> Path:
    """Return the file of an agent.

    Raises:
        RunnerError: no agent in `agents/` has this id.
    """
    if Path(agent).suffix in (".yaml", ".yml"):
        return Path(agent)
    files = [Path(file) for file in Folder(Path("agents")).agent_files()]
    found = next((file for file in files if file.stem == agent), None)
    if found is None:
        close = near_miss(agent, [file.stem for file in files])
        hint = f"; did you mean '{close}'?" if close else ""
        raise RunnerError(f"there is no agent '{agent}' in agents/{hint}")
    return found
