"""What the package imports is what it says that it needs."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[1]


def imported() -> set[str]:
    """Return the top-level names of all imports that are neither our own nor Python's."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - {"runner"} - sys.stdlib_module_names


def test_every_import_is_declared() -> None:
    """Otherwise a release of a library that no longer needs it would break ours."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = chain(project["dependencies"], project["optional-dependencies"]["serve"])
    declared = {re.split("[^a-z0-9-]", line)[0] for line in lines}
    known = packages_distributions()
    names = {name: {one.lower() for one in known.get(name, ())} for name in imported()}
    assert {name for name, its in names.items() if not its & declared} == set()
