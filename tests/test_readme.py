"""Every command and every output in the README is true."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
CONSOLE = [text for language, text in BLOCKS if language == "console"]
SHOWN = [text for text in CONSOLE if not text.startswith("$ make")]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the agent files that the README shows."""
    for language, text in BLOCKS:
        if language == "yaml" and (name := re.match(r"# (agents/\S+\.yaml)\n", text)):
            file = tmp_path / name.group(1)
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
    return tmp_path


def run(command: str, folder: Path) -> str:
    """Run a command as on a machine where nothing is set; return all that it prints."""
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(folder)}
    result = subprocess.run(
        shlex.split(command),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout + result.stderr


@pytest.mark.parametrize("text", SHOWN, ids=lambda text: text.splitlines()[0])
def test_a_command_prints_what_the_readme_shows(text: str, project: Path) -> None:
    """Each console block is what its command prints, letter by letter."""
    prompt, _, output = text.partition("\n")
    if "serve" in prompt:
        (project / "agents" / "broken.yaml").unlink()
    assert run(prompt.removeprefix("$ "), project) == output


def test_the_shown_agent_is_valid(project: Path) -> None:
    """The first agent of the README has no finding."""
    assert run("runner validate agents/front-desk.yaml", project).endswith("nothing to say\n")


def test_the_two_make_commands_are_the_makefile_s(project: Path) -> None:
    """`make serve` and `make test` exist, and the README names no other target."""
    named = {text.split()[2] for text in CONSOLE if text.startswith("$ make")}
    makefile = (ROOT / "Makefile").read_text()
    assert named == {"serve", "test"}
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in named)


def test_make_serve_says_in_one_sentence_what_is_missing(tmp_path: Path) -> None:
    """Without LiveKit the README's command ends with one sentence and no traceback."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHON": sys.executable}
    result = subprocess.run(
        ["/usr/bin/make", "serve"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "runner: LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET not set" in result.stderr
    assert "Traceback" not in result.stderr


def test_every_command_of_the_table_is_there(project: Path) -> None:
    """The table of commands is the command line's own list."""
    listed = set(re.findall(r"^\| `runner (\w+)", README, re.MULTILINE))
    offered = set(re.findall(r"^    (\w+) ", run("runner --help", project), re.MULTILINE))
    assert listed == offered


def test_links_lead_somewhere() -> None:
    """Every relative link of the README is a file of the repository."""
    for target in re.findall(r"\]\(((?!http)[^)#]+)", README):
        assert (ROOT / target).exists(), target
