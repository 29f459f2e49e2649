"""The one way in: paths of agent files and folders become specs and diagnostics."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
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

#: From how many files on it pays to start further processes.
_MANY = 100

_CLASHES = {
    "duplicate-id": "the id '{word}' is also that of {others}; rename one of the files",
    "claimed": "the rooms '{word}' are also claimed by {others}; give each pattern to one agent",
    "claimed-number": "the number '{word}' is also claimed by {others}; give it to one agent",
    "claimed-default": "the default agent, for all other rooms, is also {others}; keep one",
}


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
    """One agent file as examined; `spec` is None when it could not be read at all.

    `claims` are what no second agent may claim (rule, word), each with a finding without words.
    """

    path: str
    spec: AgentSpec | None
    findings: list[Diagnostic]
    claims: Mapping[tuple[str, str], Diagnostic]


def load(paths: Sequence[Path], *, workers: int = 1) -> Loaded:
    """Read agent files, and every agent file in folders; one bad file hides no other.

    With several `workers` the files of a large folder are shared out among as many processes.

    Raises:
        RunnerError: a path does not exist, or there is no agent file in any of them.
    """
    agents: list[_Agent] = []
    findings: list[Diagnostic] = []
    for folder, files in _by_folder(paths):
        defaults = _read_defaults(folder)
        findings += defaults.findings if defaults else ()
        agents += _read_shared_out(files, folder, defaults, workers)
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


def _read_shared_out(
    files: Sequence[Path], folder: Folder, defaults: Checked | None, workers: int
) -> list[_Agent]:
    if workers == 1 or len(files) < _MANY:
        return _read_agents(files, folder, defaults)
    from concurrent.futures import ProcessPoolExecutor  # 20 ms that few need

    shares = [files[place::workers] for place in range(workers)]
    with ProcessPoolExecutor(workers) as pool:
        read = pool.map(_read_agents, shares, repeat(folder), repeat(defaults))
        return [agent for share in read for agent in share]


def _read_agents(files: Sequence[Path], folder: Folder, defaults: Checked | None) -> list[_Agent]:
    templates = TemplateCheck(folder.text)
    return [_read_agent(file, folder, defaults, templates) for file in files]


def _read_agent(
    file: Path, folder: Folder, defaults: Checked | None, templates: TemplateCheck
) -> _Agent:
    try:
        document = Document(read_text(file))
    except ReadError as error:
        return _Agent(str(file), None, [error.finding], {})
    under = defaults.root if defaults else {}
    own = check_document(document, complete="prompt" not in under)
    if document.root is None and own.findings:
        return _Agent(str(file), None, list(own.findings), {})
    draft = Draft(
        id=file.stem,
        own=document,
        defaults=defaults.document if defaults else None,
        root=merge(under, own.root),
        folder=folder,
    )
    spec, findings = examine(draft, templates)
    findings = [*(defaults.findings if defaults else ()), *own.findings, *findings]
    return _Agent(str(file), spec, findings, _claims(draft, spec))


def _claims(draft: Draft, spec: AgentSpec) -> dict[tuple[str, str], Diagnostic]:
    claims = {("duplicate-id", spec.id): draft.at_file("duplicate-id", "")}
    for pattern in spec.answers.rooms:
        claims["claimed", pattern] = draft.at_file("claimed", "")
    for key, pattern in draft.items("answers", "rooms"):
        claims["claimed", pattern] = draft.at_value(key, "claimed", "")
    for key, number in draft.items("answers", "numbers"):
        claims["claimed-number", number] = draft.at_value(key, "claimed", "")
    if spec.answers.default:
        claims["claimed-default", ""] = draft.at_value(("answers", "default"), "claimed", "")
    return claims


def _compare(agents: Sequence[_Agent]) -> None:
    """Add to each agent the findings about what another one claims as well."""
    claimants: defaultdict[tuple[str, str], list[_Agent]] = defaultdict(list)
    for agent in agents:
        for claim in agent.claims:
            claimants[claim].append(agent)
    for (rule, word), members in claimants.items():
        same_id = len({member.spec.id for member in members if member.spec}) == 1
        if len(members) == 1 or (same_id and rule != "duplicate-id"):
            continue
        for agent in members:
            others = " and ".join(member.path for member in members if member is not agent)
            message = _CLASHES[rule].format(word=word, others=others)
            agent.findings.append(replace(agent.claims[rule, word], message=message))
