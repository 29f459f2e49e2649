"""Every command and every output in the README is true."""

import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
CONSOLE = [text for language, text in BLOCKS if language == "console"]
SHOWN = [text for text in CONSOLE if not text.startswith(("$ make", "$ runner serve"))]
SERVED = [text for text in CONSOLE if text.startswith("$ runner serve")]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the agent files that the README shows."""
    for language, text in BLOCKS:
        if language == "yaml" and (name := re.match(r"# (agents/\S+\.yaml)\n", text)):
            file = tmp_path / name.group(1)
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
    return tmp_path


def nothing_set(home: Path) -> dict[str, str]:
    """The environment of a machine where nothing is set."""
    return {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(home)}


def run(command: str, folder: Path) -> str:
    """Run a command as on a machine where nothing is set; return all that it prints."""
    result = subprocess.run(
        shlex.split(command),
        cwd=folder,
        env=nothing_set(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout + result.stderr


@pytest.mark.parametrize("text", SHOWN, ids=lambda text: text.splitlines()[0])
def test_a_command_prints_what_the_readme_shows(text: str, project: Path) -> None:
    """Each console block is what its command prints, letter by letter."""
    prompt, _, output = text.partition("\n")
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


def test_the_first_screen_says_what_to_install() -> None:
    """Before the first heading stands how to get what serves, by its name and extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (name, extra), *others = re.findall(r"pip install '([\w-]+)\[(\w+)]'", README.split("\n## ")[0])
    assert (name, others) == (project["name"], [])
    assert extra in project["optional-dependencies"]


def serving(command: str, folder: Path, environment: dict[str, str], lines: int) -> list[str]:
    """Start what serves, and end it once it has printed so many lines; return them."""
    process = subprocess.Popen(
        shlex.split(command),
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        printed = [process.stdout.readline() for _ in range(lines)]
        os.killpg(process.pid, signal.SIGTERM)
    return printed


@pytest.mark.parametrize("text", SERVED)
def test_serving_prints_what_the_readme_shows(text: str, project: Path) -> None:
    """Where nothing is set the studio is served; another port than the usual one may be free."""
    (project / "agents" / "broken.yaml").unlink()
    command, *shown = text.splitlines(keepends=True)
    printed = serving(command.removeprefix("$ "), project, nothing_set(project), len(shown))
    assert [re.sub(r":80\d\d/", ":8090/", line) for line in printed] == shown


def test_make_serve_serves_the_studio(tmp_path: Path) -> None:
    """The README's first command ends in an address."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHON": sys.executable}
    (printed,) = serving("/usr/bin/make serve", ROOT, environment, 1)
    assert printed.startswith("the studio is at http://127.0.0.1:")


def test_every_command_of_the_table_is_there(project: Path) -> None:
    """The table of commands is the command line's own list."""
    listed = set(re.findall(r"^\| `runner (\w+)", README, re.MULTILINE))
    offered = set(re.findall(r"^    (\w+) ", run("runner --help", project), re.MULTILINE))
    assert listed == offered


def test_links_lead_somewhere() -> None:
    """Every relative link of the README is a file of the repository."""
    for target in re.findall(r"\]\(((?!http)[^)#]+)", README):
        assert (ROOT / target).exists(), target
