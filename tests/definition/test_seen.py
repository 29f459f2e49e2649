"""Files as one look sees them, while others write them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from runner.definition.seen import Look

if TYPE_CHECKING:
    from pathlib import Path

#: Looks at a file until somebody has had it open, and often after that.
READER = """
import sys
from runner.definition.seen import Look
seen = [Look().at(sys.argv[1])]
while not (seen[-1].written and len(seen) > 1000):
    seen.append(Look().at(sys.argv[1]))
"""


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
