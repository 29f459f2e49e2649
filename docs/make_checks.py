"""Write the rules of checks.md: each with its summary, a file that breaks it, and what is printed.

The page above the marker is written by hand. Run `python docs/make_checks.py` after a change.
"""

import re
from pathlib import Path

from runner.definition.rule_ids import SUMMARIES

PAGE = Path(__file__).with_name("checks.md")
CASES = Path(__file__).parent.parent / "tests" / "cases" / "err"
MARKER = "<!-- The rest of this page is made by docs/make_checks.py"

LONGEST = 24
#: What cannot be shown as it stands.
IN_WORDS = {
    "encoding": "A file that was saved as Latin-1, with a `Café` in it:",
    "too-large": "A file of 300 KB:",
    "unreadable": "A folder with the name of an agent file:",
    "unreadable-pipe": "A named pipe:",
    "unreadable-link": "A link to a file that is not there:",
}


def page() -> str:
    """Return the whole page: its beginning as it stands, and the rules as they are."""
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKER)
    marker = MARKER + rest.partition("\n")[0]
    rules = {rule: _outputs(rule) for rule in sorted(SUMMARIES)}
    rows = [f"| [{rule}](#{rule}) | {_levels(rule, outputs)} |" for rule, outputs in rules.items()]
    table = "\n".join(["| rule | level |", "| --- | --- |", *rows])
    sections = [_section(rule, outputs) for rule, outputs in rules.items()]
    return f"{head}{marker}\n\n# The rules\n\n{table}\n\n" + "\n".join(sections)


def _section(rule: str, outputs: list[Path]) -> str:
    head = f"## {rule}\n\n{SUMMARIES[rule]} Level: {_levels(rule, outputs)}.\n"
    return "\n".join([head, *(f"{_input(output)}\n{_fenced(output)}" for output in outputs)])


def _outputs(rule: str) -> list[Path]:
    """Return the golden files of a rule's own cases, the plainest first."""
    named = {path: path.stem.replace(" ", "-") for path in sorted(CASES.glob("*.out"))}
    own = (path for path, name in named.items() if _rule_of(name) == rule)
    return sorted(own, key=lambda path: len(path.stem))


def _rule_of(case: str) -> str:
    rules = (rule for rule in SUMMARIES if case == rule or case.startswith(f"{rule}-"))
    return max(rules, key=len, default="")


def _levels(rule: str, outputs: list[Path]) -> str:
    text = "\n".join(path.read_text(encoding="utf-8") for path in outputs)
    found = re.findall(rf"^\S.*?:\d+:\d+: (?:(warning|note): )?.*\[{rule}\]$", text, re.MULTILINE)
    return " or ".join(sorted({level or "error" for level in found}))


def _input(output: Path) -> str:
    if output.stem in IN_WORDS:
        return f"{IN_WORDS[output.stem]}\n"
    case = output.with_suffix("")
    files = sorted(case.rglob("*.*")) if case.is_dir() else [output.with_suffix(".yaml")]
    shown = ((file.relative_to(CASES).as_posix(), file) for file in files if file.is_file())
    return "\n".join(f"`{name}`:\n\n{_fenced(file)}" for name, file in shown)


def _fenced(file: Path) -> str:
    lines = file.read_text(encoding="utf-8").rstrip().split("\n")
    if file.suffix == ".out":
        return "\n".join(["```text", *lines, "```", ""])
    cut = [*lines[:LONGEST], *["# ..."] * (len(lines) > LONGEST)]
    return "\n".join(["```yaml", *cut, "```", ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
