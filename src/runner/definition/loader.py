"""The one way in: paths of agent files and folders become specs and diagnostics."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.definition.diagnostics import Diagnostic
from runner.definition.draft import Checked, Draft, check_document, merge
from runner.definition.examine import examine
from runner.definition.folder import DEFAULTS, Folder, folder_of
from runner.definition.source import Document
from runner.definition.spec import AgentSpec
from runner.definition.templates import TemplateCheck
from runner.definition.text import ReadError, read_text
from runner.errors import RunnerError


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read: the agents without an error, by id, and every finding, in order.

    `files` counts the agent files that were looked at.
    """

    specs: Mapping[str, AgentSpec]
    diagnostics: tuple[Diagnostic, ...]
    files: int

    @property
    def has_errors(self) -> bool:
        """Whether any finding is an error; a warning or a note is none."""
        return _has_errors(self.diagnostics)


@dataclass(frozen=True, slots=True)
class _Agent:
    """One agent file as examined; `spec` is None when it could not be read at all."""

    draft: Draft | None
    spec: AgentSpec | None
    findings: list[Diagnostic]


def load(paths: Sequence[Path]) -> Loaded:
    """Read agent files, and every agent file in folders; one bad file hides no other.

    Raises:
        RunnerError: a path does not exist, or there is no agent file in any of them.
    """
    agents: list[_Agent] = []
    findings: list[Diagnostic] = []
    for folder, files in _by_folder(paths):
        defaults = _read_defaults(folder)
        findings += defaults.findings if defaults else ()
        templates = TemplateCheck(folder.text)
        agents += [_read_agent(file, folder, defaults, templates) for file in files]
    if not agents:
        where = ", ".join(map(str, paths))
        raise RunnerError(f"there is no agent in {where}: an agent is a file such as hello.yaml")
    _compare(agents)
    for agent in agents:
        findings += agent.findings
    specs = {a.spec.id: a.spec for a in agents if a.spec and not _has_errors(a.findings)}
    return Loaded(dict(sorted(specs.items())), tuple(sorted(set(findings))), len(agents))


def _has_errors(findings: Sequence[Diagnostic]) -> bool:
    return any(finding.level == "error" for finding in findings)


def _by_folder(paths: Sequence[Path]) -> Iterator[tuple[Folder, list[Path]]]:
    """Yield every agents folder that the paths name, each once, with the files to read in it."""
    files: defaultdict[Path, dict[Path, None]] = defaultdict(dict)
    for path in paths:
        if path.is_dir():
            files[path] |= dict.fromkeys(Folder(path).agent_files())
        elif path.exists() or path.is_symlink():
            files[folder_of(path)][path] = None
        else:
            raise RunnerError(f"there is no file or folder '{path}'; name the agents folder")
    for folder, members in files.items():
        yield Folder(folder), list(members)


def _read_defaults(folder: Folder) -> Checked | None:
    path = folder.path / DEFAULTS
    if not path.exists():
        return None
    try:
        return check_document(Document(read_text(path)), complete=False)
    except ReadError as error:
        return Checked(Document(error.file), {}, (error.finding,))


def _read_agent(
    file: Path, folder: Folder, defaults: Checked | None, templates: TemplateCheck
) -> _Agent:
    try:
        document = Document(read_text(file))
    except ReadError as error:
        return _Agent(None, None, [error.finding])
    under = defaults.root if defaults else {}
    own = check_document(document, complete="prompt" not in under)
    if own.document.root is None and own.findings:
        return _Agent(None, None, list(own.findings))
    draft = Draft(
        id=file.stem,
        own=document,
        defaults=defaults.document if defaults else None,
        root=merge(under, own.root),
        folder=folder,
    )
    spec, findings = examine(draft, templates)
    return _Agent(draft, spec, [*(defaults.findings if defaults else ()), *own.findings, *findings])


def _compare(agents: Sequence[_Agent]) -> None:
    """Add the findings about agents that cannot stand beside each other, to each of them."""
    by_id: defaultdict[str, list[_Agent]] = defaultdict(list)
    by_pattern: defaultdict[str, list[_Agent]] = defaultdict(list)
    by_default: defaultdict[str, list[_Agent]] = defaultdict(list)
    for agent in agents:
        if agent.spec is not None:
            by_id[agent.spec.id].append(agent)
            for pattern in dict.fromkeys(agent.spec.answers.rooms):
                by_pattern[pattern].append(agent)
            if agent.spec.answers.default:
                by_default["default"].append(agent)
    _clash(by_id, "duplicate-id", "the id '{}' is also that of {}; rename one of the files")
    unique = {k: v for k, v in by_pattern.items() if len({a.spec.id for a in v if a.spec}) > 1}
    _clash(
        unique, "claimed", "the rooms '{}' are also claimed by {}; give each pattern to one agent"
    )
    _clash(by_default, "claimed", "the {} agent, for all other rooms, is also {}; keep one of them")


def _clash(groups: Mapping[str, list[_Agent]], rule: str, message: str) -> None:
    for word, members in groups.items():
        for agent in members if len(members) > 1 else ():
            others = [a.draft.own.path for a in members if a is not agent and a.draft]
            text = message.format(word, " and ".join(others))
            agent.findings.append(_place_of_claim(agent, rule, word, text))


def _place_of_claim(agent: _Agent, rule: str, word: str, message: str) -> Diagnostic:
    assert agent.draft is not None
    for key, pattern in agent.draft.items("answers", "rooms"):
        if rule == "claimed" and pattern == word:
            return agent.draft.at_value(key, rule, message)
    if rule == "claimed" and word == "default":
        return agent.draft.at_value(("answers", "default"), rule, message)
    return agent.draft.at_file(rule, message)
