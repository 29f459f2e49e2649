"""Files as one look sees them, while others write them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.definition.seen import Look

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

#: Looks at a file until somebody has had it open, and often after that.
READER = """
import sys
from runner.definition.seen import Look
seen = [Look().at(sys.argv[1])]
while not (seen[-1].written and len(seen) > 1000):
    seen.append(Look().at(sys.argv[1]))
"""


def test_a_file_that_has_not_changed_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    # Older than any clock's tick.
    path = os.__file__
    seen = Look().at(path)
    assert seen.settled
    monkeypatch.delattr("builtins.open")
    assert Look({path: seen}).at(path) is seen


def test_two_writes_in_one_tick_of_the_clock_are_two(tmp_path: Path) -> None:
    """Of a file that was just written only the content tells."""
    path = tmp_path / "agent.yaml"
    path.write_text("prompt: Hello.\n")
    first = Look().at(str(path))
    path.write_text("prompt: Howdy.\n")
    second = Look().at(str(path))
    alike = replace(first, stat=second.stat)
    assert Look({str(path): alike}).at(str(path)).content == second.content != first.content


def test_a_file_is_written_as_long_as_anybody_has_it_open_for_that(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text("prompt: Hello.\n")
    with path.open("rb"):
        assert not Look().at(str(path)).written
    with path.open("a"):
        assert Look().at(str(path)).written
        assert Look().at(str(path)) == Look().at(str(path))
    assert not Look().at(str(path)).written


def test_a_writer_that_comes_while_a_file_is_read_ends_nobody(tmp_path: Path) -> None:
    """The system tells a reader of a waiting writer by a signal that ends most programs."""
    path = tmp_path / "agent.yaml"
    path.write_text("prompt: Hello.\n")
    with subprocess.Popen([sys.executable, "-c", READER, str(path)]) as reader:
        while reader.poll() is None:
            path.open("r+").close()
    assert reader.returncode == 0
