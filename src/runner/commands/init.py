"""`runner init`: begin a folder of agents."""

import argparse
import shlex
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from runner.definition.schema import schema_text
from runner.errors import RunnerError

_CLEAN = 0

_ENVIRONMENT = """\
# Copy this file to .env, which stays out of git, and fill in what you have.

# Agents are rehearsed without a key, and speak with one.
OPENAI_API_KEY=

# `runner serve` answers calls on this LiveKit server; without it, in a page on this machine.
# LIVEKIT_URL=wss://....livekit.cloud
# LIVEKIT_API_KEY=
# LIVEKIT_API_SECRET=
"""

_PRE_COMMIT = """\
repos:
  - repo: local
    hooks:
      - id: runner-validate
        name: validate voice agents
        entry: runner validate agents
        language: system
        files: ^agents/
        pass_filenames: false
"""

_EDITOR = """\
{
  "yaml.schemas": {
    "./schema/agent.schema.json": [
      "agents/*.yaml", "agents/**/*.yaml", "agents/*.yml", "agents/**/*.yml"
    ]
  }
}
"""

_EXTENSIONS = """\
{
  "recommendations": ["redhat.vscode-yaml"]
}
"""


def init(options: argparse.Namespace) -> int:
    """Write what a new folder of agents needs; what is there already stays as it is.

    Options: `folder` (Path), `template` (which agent to begin with; empty to list them).

    Raises:
        RunnerError: there is no such template, or a file cannot be written.
    """
    if not options.template:
        _list()
        return _CLEAN
    for name, text in _files(options.template):
        file = options.folder / name
        print(f"{_write(file, text)}  {name}{_lack(file)}")
    place = "" if options.folder == Path() else f"cd {shlex.quote(str(options.folder))} && "
    print(f"\nNext: {place}runner serve agents/")
    return _CLEAN


def _list() -> None:
    for agent in _agents():
        print(f"{_stem(agent):<12}  {_description(agent)}")


def _files(template: str) -> Iterator[tuple[str, str]]:
    agent = next((agent for agent in _agents() if _stem(agent) == template), None)
    if agent is None:
        known = ", ".join(_stem(agent) for agent in _agents())
        raise RunnerError(f"there is no template {template!r}; there are {known}")
    text = agent.read_text(encoding="utf-8")
    yield f"agents/{agent.name}", text
    for name, needed in _needed():
        if name in text:
            yield f"agents/{name}", needed.read_text(encoding="utf-8")
    yield "schema/agent.schema.json", schema_text()
    yield ".vscode/settings.json", _EDITOR
    yield ".vscode/extensions.json", _EXTENSIONS
    yield ".pre-commit-config.yaml", _PRE_COMMIT
    yield ".env.example", _ENVIRONMENT
    yield ".gitignore", ".env\n"


def _write(file: Path, text: str) -> str:
    """Write `text` unless there is a file; tell which was the case."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        return "kept "
    except OSError as error:
        raise RunnerError(
            f"cannot write {file}: {error.strerror}; choose another folder"
        ) from error
    return "wrote"


def _lack(file: Path) -> str:
    """Say what a .gitignore that was kept must be given: keys are to stay out of git."""
    if file.name != ".gitignore" or not file.is_file():
        return ""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    patterns = [line.strip().removeprefix("**").removeprefix("/") for line in lines]
    named = any(fnmatchcase(".env", pattern) for pattern in patterns)
    return "" if named else "; add .env to it, or keys may get into git"


def _agents() -> list[Traversable]:
    files = (resources.files("runner") / "templates").iterdir()
    return sorted((file for file in files if file.name.endswith(".yaml")), key=_stem)


def _needed() -> Iterator[tuple[str, Traversable]]:
    """Yield the files that templates include, by the names that they include them by."""
    for folder in (resources.files("runner") / "templates").iterdir():
        if folder.is_dir():
            yield from ((f"{folder.name}/{file.name}", file) for file in folder.iterdir())


def _stem(agent: Traversable) -> str:
    return agent.name.removesuffix(".yaml")


def _description(agent: Traversable) -> str:
    key = "description: "
    lines = agent.read_text(encoding="utf-8").splitlines()
    return next(line.removeprefix(key) for line in lines if line.startswith(key))
