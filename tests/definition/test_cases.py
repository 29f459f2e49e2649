"""Agent files that are right are silent; files that are wrong say what their `.out` says."""

import io
import os
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from runner.cli import main
from runner.definition.rule_ids import SUMMARIES

CASES = Path(__file__).parent.parent / "cases"
GENERATED = {
    "too-large": lambda path: path.write_text("prompt: x\n" + "# padding\n" * 30_000),
    "unreadable": lambda path: path.mkdir(),
    "unreadable-pipe": os.mkfifo,
    "unreadable-link": lambda path: path.symlink_to("nowhere.yaml"),
}


def validate(*arguments: str) -> tuple[int, str]:
    with redirect_stdout(io.StringIO()) as output:
        code = main(["validate", *arguments])
    return code, output.getvalue()


def wrong_cases() -> list[Path]:
    return sorted(
        path
        for path in (CASES / "err").iterdir()
        if path.suffix == ".yaml" or (path.is_dir() and path.name != "shared")
    )


@pytest.mark.parametrize("case", sorted((CASES / "ok").glob("*.yaml")), ids=lambda p: p.stem)
def test_a_good_file_is_silent(case: Path) -> None:
    """A file in `ok` has no finding of any level."""
    code, output = validate(str(case))
    assert (code, output) == (0, "1 agent file: nothing to say\n")


@pytest.mark.parametrize("case", wrong_cases(), ids=lambda path: path.stem)
def test_a_wrong_file_says_what_its_golden_file_says(
    case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in `err` prints its `.out`, letter by letter."""
    monkeypatch.chdir(CASES / "err")
    check(case.with_suffix(".out"), validate(case.name)[1])


@pytest.mark.parametrize("name", GENERATED)
def test_what_cannot_be_committed_is_made_and_says_its_golden_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A huge file, a folder and a dangling link have golden files as well."""
    monkeypatch.chdir(tmp_path)
    agents = tmp_path / "agents"
    agents.mkdir()
    GENERATED[name](agents / f"{name}.yaml")
    check(CASES / "err" / f"{name}.out", validate()[1])


def test_every_rule_has_a_case_and_a_summary() -> None:
    """No rule is without a golden file, and no golden file names a rule that does not exist."""
    shown = set()
    for golden in (CASES / "err").glob("*.out"):
        lines = [line for line in golden.read_text().splitlines() if line.endswith("]")]
        shown |= {line.rsplit("[", 1)[1][:-1] for line in lines if not line.startswith(" ")}
    assert shown == set(SUMMARIES)


def check(golden: Path, output: str) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(output)
    assert output == golden.read_text()
