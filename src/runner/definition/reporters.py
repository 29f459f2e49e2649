"""Findings as people, programs and CI want them: text with a caret, JSON, GitHub, SARIF."""

import json
from collections.abc import Callable

from runner import __version__
from runner.definition.diagnostics import Diagnostic
from runner.definition.loader import Loaded
from runner.definition.rule_ids import SUMMARIES

_WIDTH = 160
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def as_text(loaded: Loaded) -> str:
    """Return each finding with its line and a caret, then one line that counts them."""
    return "\n".join([*map(with_caret, loaded.diagnostics), _summary(loaded)])


def as_json(loaded: Loaded) -> str:
    """Return a JSON list with one object a finding."""
    return json.dumps([finding.as_json() for finding in loaded.diagnostics], indent=2)


def as_github(loaded: Loaded) -> str:
    """Return a GitHub workflow command a finding: an annotation in the pull request."""
    return "\n".join(_annotation(finding) for finding in loaded.diagnostics)


def as_sarif(loaded: Loaded) -> str:
    """Return a SARIF 2.1.0 log."""
    rules = sorted({finding.rule for finding in loaded.diagnostics})
    driver = {
        "name": "runner validate",
        "version": __version__,
        "rules": [{"id": rule, "shortDescription": {"text": SUMMARIES[rule]}} for rule in rules],
    }
    run = {"tool": {"driver": driver}, "results": [_result(f) for f in loaded.diagnostics]}
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, indent=2)


REPORTERS: dict[str, Callable[[Loaded], str]] = {
    "text": as_text,
    "json": as_json,
    "github": as_github,
    "sarif": as_sarif,
}


def with_caret(finding: Diagnostic) -> str:
    """Return one finding with its line and a caret, as `as_text` does."""
    head = [finding.headline]
    return "\n".join(head + _quoted(finding) if finding.excerpt.strip() else head)


def _quoted(finding: Diagnostic) -> list[str]:
    """Show the source line, cut around the place when it is long, and mark the place below it."""
    cut = max(0, finding.column - _WIDTH // 2) if len(finding.excerpt) > _WIDTH else 0
    shown = finding.excerpt[cut : cut + _WIDTH]
    start = finding.column - 1 - cut
    length = max(1, min(finding.end - finding.column, len(shown) - start))
    number = str(finding.line)
    blank = "".join("\t" if character == "\t" else " " for character in shown[:start])
    return [
        f"   {number} | {shown}".rstrip(),
        f"   {' ' * len(number)} | {blank}^{'~' * (length - 1)}",
    ]


def _summary(loaded: Loaded) -> str:
    counts = []
    for level in ("error", "warning", "note"):
        if number := sum(finding.level == level for finding in loaded.diagnostics):
            counts.append(_count(number, level))
    return f"{_count(loaded.files, 'agent file')}: {', '.join(counts) or 'nothing to say'}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _annotation(finding: Diagnostic) -> str:
    level = "notice" if finding.level == "note" else finding.level
    place = (
        f"file={_property(finding.path)},line={finding.line},"
        f"col={finding.column},endColumn={finding.end},title={finding.rule}"
    )
    return f"::{level} {place}::{_escape(finding.sentence)}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


def _result(finding: Diagnostic) -> dict[str, object]:
    region = {
        "startLine": finding.line,
        "startColumn": finding.column,
        "endColumn": finding.end,
    }
    location = {"artifactLocation": {"uri": finding.path}, "region": region}
    return {
        "ruleId": finding.rule,
        "level": finding.level,
        "message": {"text": finding.sentence},
        "locations": [{"physicalLocation": location}],
    }
