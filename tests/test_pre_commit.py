"""The pre-commit hook as pre-commit runs it: cloned, installed, on a repository of agents."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GOOD = "prompt: You answer the phone.\n"
BROKEN = "prompt: You answer the phone.\nvoice: corale\n"


def run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one good and one broken agent, both staged."""
    folder = tmp_path / "clinic"
    (folder / "agents").mkdir(parents=True)
    (folder / "agents" / "good.yaml").write_text(GOOD)
    (folder / "agents" / "broken.yaml").write_text(BROKEN)
    run(["git", "init", "--quiet"], folder)
    run(["git", "add", "."], folder)
    return folder


def test_the_hook_finds_the_broken_agent_and_passes_when_it_is_mended(
    repository: Path, tmp_path: Path
) -> None:
    """The hook checks the whole folder, fails with the finding, and passes without it."""
    pre_commit = str(Path(sys.executable).with_name("pre-commit"))
    command = [pre_commit, "try-repo", str(ROOT), "runner-validate", "--files"]
    home = str(tmp_path / "pre-commit")

    broken = run([*command, "agents/good.yaml"], repository, PRE_COMMIT_HOME=home)
    assert broken.returncode == 1, broken.stderr
    assert "agents/broken.yaml:2:8: voice 'corale' is not one that" in broken.stdout
    assert "did you mean 'coral'? [voice]" in broken.stdout

    (repository / "agents" / "broken.yaml").write_text(GOOD)
    mended = run([*command, "agents/good.yaml"], repository, PRE_COMMIT_HOME=home)
    assert mended.returncode == 0, mended.stdout
