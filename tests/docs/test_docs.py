"""What the pages say is so: their agents are valid, their commands print what is shown."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.definition.loader import load
from runner.definition.reporters import as_text
from runner.logs import FIELDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
EXAMPLES = sorted(ROOT.glob("examples/*/README.md"))

_FENCE = r"```{}\n(.*?)^```$"
AGENT = re.compile(r"^<!-- agent -->\n" + _FENCE.format("yaml"), re.MULTILINE | re.DOTALL)
RUN = re.compile(
    r"^<!-- run(?: in (\S+))? -->\n" + _FENCE.format("console"), re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)")
#: A line of the log: in a block with its time, or within a sentence.
LOGGED = re.compile(r"^\d{4}-\d\d-\d\dT\S+ [A-Z]+ .*$|`[a-z][a-z :']+ \w+=[^`]*`", re.MULTILINE)
#: What the log adds to the fields, behind them.
ADDED = ("logger", "error")
PRIVATE = re.compile(
    r"/(?:work|home|root|tmp|Users|usr/local)/|\.pyenv|pypi\.org|pythonhosted|npmjs|crates\.io"
    r"|proxy\.golang|artifactory|nexus",
    re.IGNORECASE,
)


def short(page: Path) -> str:
    return str(page.relative_to(ROOT))


def found(pattern: re.Pattern[str]) -> list[object]:
    return [
        pytest.param(*match.groups(), id=f"{page.stem}-{number}")
        for page in PAGES
        for number, match in enumerate(pattern.finditer(page.read_text("utf-8")), start=1)
    ]


@pytest.mark.parametrize("text", found(AGENT))
def test_an_agent_in_the_docs_is_valid(text: str, tmp_path: Path) -> None:
    """A block after `<!-- agent -->` has no error beside the text files of `agents/`."""
    folder = tmp_path / "agents"
    shutil.copytree(ROOT / "agents", folder, ignore=shutil.ignore_patterns("*.yaml"))
    (folder / "shown.yaml").write_text(text, encoding="utf-8")
    loaded = load([folder])
    assert not loaded.has_errors, as_text(loaded)


@pytest.mark.parametrize(("folder", "block"), found(RUN))
def test_a_command_in_the_docs_prints_what_is_shown(folder: str | None, block: str) -> None:
    """A block after `<!-- run in FOLDER -->` is what its commands print there."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    printed = ""
    for command in re.findall(r"^\$ (.*)$", block, re.MULTILINE):
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=ROOT / (folder or "."),
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        printed += f"$ {command}\n{done.stdout}"
    assert printed == block


def test_the_rules_page_is_made_from_the_rules() -> None:
    """docs/checks.md is what docs/make_checks.py makes; run that after a change."""
    page = (DOCS / "checks.md").read_text("utf-8")
    made = subprocess.run(
        [sys.executable, "-c", "import make_checks; print(make_checks.page(), end='')"],
        cwd=DOCS,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    assert made.stdout == page


def test_the_table_of_log_fields_has_every_field_and_no_other() -> None:
    """docs/hosting.md explains each field that a line may carry, once."""
    section = (DOCS / "hosting.md").read_text("utf-8").partition("\n## The log\n")[2]
    table = section[section.index("| field |") :].partition("\n\n")[0]
    cells = [row.split("|")[1] for row in table.splitlines()[2:]]
    explained = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(explained) == sorted([*FIELDS, *ADDED])


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_a_line_of_the_log_has_the_fields_that_the_log_writes(page: Path) -> None:
    """Its fields are known ones, and in the log's order."""
    order = [*FIELDS, *ADDED]
    for line in LOGGED.findall(page.read_text("utf-8")):
        names = re.findall(r" (\w+)=", re.sub(r'"[^"]*"', "", line))
        assert names == sorted(set(names) & set(order), key=order.index), line


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES, ROOT / "README.md"], ids=short)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """A link names a file that is there, and a heading of it."""
    for name, heading in LINK.findall(page.read_text("utf-8")):
        target = page.parent / name if name else page
        assert target.exists(), f"{page.name}: {name}"
        if heading:
            assert heading in headings(target), f"{page.name}: {name}#{heading}"


def headings(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES], ids=short)
def test_no_page_names_a_machine_or_a_registry(page: Path) -> None:
    """The pages are for everybody."""
    assert PRIVATE.findall(page.read_text("utf-8")) == []
