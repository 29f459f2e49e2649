"""The pre-commit hook as pre-commit runs it on a repository of agents: cloned, or begun by init."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GOOD = "prompt: You answer the phone.\n"
BIN = Path(sys.executable).parent
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
    command = [str(BIN / "pre-commit"), "try-repo", str(ROOT), "runner-validate", "--files"]
    home = str(tmp_path / "pre-commit")

    broken = run([*command, "agents/good.yaml"], repository, PRE_COMMIT_HOME=home)
    assert broken.returncode == 1, broken.stderr
    assert "agents/broken.yaml:2:8: voice 'corale' is not one that" in broken.stdout
    assert "did you mean 'coral'? [voice]" in broken.stdout

    (repository / "agents" / "broken.yaml").write_text(GOOD)
    mended = run([*command, "agents/good.yaml"], repository, PRE_COMMIT_HOME=home)
    assert mended.returncode == 0, mended.stdout


def test_the_hook_that_init_writes_does_so_too(tmp_path: Path) -> None:
    """What was begun passes; a broken agent beside it fails with the finding, a mended one not."""
    folder = tmp_path / "clinic"
    environment = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PRE_COMMIT_HOME": str(tmp_path / "pre-commit"),
    }
    run(["runner", "init", str(folder)], tmp_path, **environment)
    run(["git", "init", "--quiet"], folder)
    for agent, code in [(None, 0), (BROKEN, 1), (GOOD, 0)]:
        if agent:
            (folder / "agents" / "desk.yaml").write_text(agent)
        run(["git", "add", "."], folder)
        done = run(["pre-commit", "run"], folder, **environment)
        assert done.returncode == code, done.stdout + done.stderr
        assert "validate voice agents" in done.stdout
        assert ("agents/desk.yaml:2:8: voice 'corale'" in done.stdout) is bool(code)
