"""The one way in: paths of agent files and folders become specs and diagnostics."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import repeat
from operator import attrgetter
from pathlib import Path

from runner.definition.diagnostics import START, Diagnostic
from runner.definition.draft import Checked, Draft, check_document, merge
from runner.definition.examine import examine
from runner.definition.folder import DEFAULTS, Folder, folder_of
from runner.definition.patterns import rooms_of
from runner.definition.seen import Look, Seen
from runner.definition.source import Document
from runner.definition.spec import AgentSpec
from runner.definition.templates import TemplateCheck
from runner.definition.text import ReadError, TextFile, read_text
from runner.errors import RunnerError

#: A rule, and the word that only one agent may claim by it.
Claim = tuple[str, str]

#: From how many files on it pays to start further processes.
_MANY = 100

#: As diagnostics compare, but a hundred times faster over thousands of them.
_order = attrgetter("path", "line", "column", "end", "rule", "message")

_CLASHES = {
    "duplicate-id": "the id '{word}' is also that of {others}; rename one of the files",
    "claimed": "the rooms '{word}' are also claimed by {others}; give each pattern to one agent",
    "claimed-number": "the number '{word}' is also claimed by {others}; give it to one agent",
    "claimed-default": "the default agent, for all other rooms, is also {others}; keep one",
}


@dataclass(frozen=True, slots=True)
class AgentFile:
    """One agent file as examined; `spec` is None when it could not be read at all.

    `claims` are what no second agent may claim (rule, word), each with a finding that has only the
    word as it was written; `clashes` are the findings that came of them. `read` holds the files
    that all of it rests on, by path, each with the hash of its content.
    """

    path: str
    id: str
    spec: AgentSpec | None
    findings: tuple[Diagnostic, ...]
    claims: Mapping[Claim, Diagnostic]
    read: Mapping[str, bytes]
    clashes: tuple[Diagnostic, ...] = ()

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Every finding about the agent, those about the defaults and the others among them."""
        return (*self.findings, *self.clashes)

    @property
    def valid(self) -> AgentSpec | None:
        """The agent, if there is no error in it."""
        faulty = _has_errors(self.findings) or _has_errors(self.clashes)
        return None if faulty else self.spec


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read: the agents without an error, by id, and every finding, in order.

    `agents` are all agent files that were looked at, by path; `seen` all files that they rest on.
    """

    specs: Mapping[str, AgentSpec]
    diagnostics: tuple[Diagnostic, ...]
    agents: Mapping[str, AgentFile]
    seen: Mapping[str, Seen]

    @property
    def files(self) -> int:
        """How many agent files were looked at."""
        return len(self.agents)

    @property
    def has_errors(self) -> bool:
        """Whether any finding is an error; a warning or a note is none."""
        return _has_errors(self.diagnostics)


def load(paths: Sequence[Path], *, workers: int = 1, before: Loaded | None = None) -> Loaded:
    """Read agent files, and every agent file in folders; one bad file hides no other.

    Of what was loaded `before` only agents with a file that has changed since are read again.
    With several `workers` the files of a large folder are shared out among as many processes.

    Raises:
        RunnerError: a path does not exist, or there is, and was, no agent file in any of them.
    """
    look = Look(before.seen if before else None)
    folders = [(Folder(path, look), files) for path, files in _by_folder(paths).items()]
    known = _still_known(before, look) if before else {}
    if before and list(known) == list(before.agents) == [f for _, files in folders for f in files]:
        return replace(before, seen=look.seen)
    agents: list[AgentFile] = []
    findings: list[Diagnostic] = []
    for folder, files in folders:
        defaults = _read_defaults(folder)
        findings += defaults.findings if defaults else ()
        agents += _read_changed(files, folder, defaults, workers, known)
    if not agents and not before:
        where = ", ".join(map(str, paths))
        raise RunnerError(f"there is no agent in {where}: an agent is a file such as hello.yaml")
    return _loaded(_compare(agents), findings, look.seen)


def keeping(old: Loaded, loaded: Loaded, files: Set[str]) -> Loaded:
    """Return `loaded`, but every agent that rests on one of `files` as it was in `old`.

    One that was not there is left out; one that is gone is there.
    """
    agents = {path: one for path, one in loaded.agents.items() if files.isdisjoint(one.read)}
    waiting = (loaded.agents.keys() | files) - agents.keys()
    agents |= {path: one for path, one in old.agents.items() if path in waiting}
    seen = {**loaded.seen, **{path: seen for path, seen in old.seen.items() if path in files}}
    return _loaded(_compare([agents[path] for path in sorted(agents)]), (), seen)


def _still_known(before: Loaded, look: Look) -> dict[str, AgentFile]:
    """Return the agents that rest on no file that has changed."""
    now = {path: look.at(path).content for path in before.seen}
    known = before.agents.items()
    return {path: agent for path, agent in known if agent.read.items() <= now.items()}


def _loaded(
    agents: Sequence[AgentFile], findings: Iterable[Diagnostic], seen: Mapping[str, Seen]
) -> Loaded:
    specs = {spec.id: spec for agent in agents if (spec := agent.valid)}
    every = set(findings).union(*(agent.diagnostics for agent in agents))
    read: set[str] = set().union(*(agent.read for agent in agents))
    return Loaded(
        specs=dict(sorted(specs.items())),
        diagnostics=tuple(sorted(every, key=_order)),
        agents={agent.path: agent for agent in agents},
        seen={path: how for path, how in seen.items() if path in read},
    )


def _has_errors(findings: Iterable[Diagnostic]) -> bool:
    return any(finding.level == "error" for finding in findings)


def _by_folder(paths: Sequence[Path]) -> Mapping[Path, list[str]]:
    """Return every agents folder that the paths name, each once, with the files to read in it."""
    files: defaultdict[Path, dict[str, None]] = defaultdict(dict)
    for path in paths:
        if path.is_dir():
            files[path] |= dict.fromkeys(Folder(path).agent_files())
        elif path.exists() or path.is_symlink():
            files[folder_of(path)][str(path)] = None
        else:
            raise RunnerError(f"there is no file or folder '{path}'; name the agents folder")
    return {folder: list(members) for folder, members in files.items()}


def _read_defaults(folder: Folder) -> Checked | None:
    path = folder.path / DEFAULTS
    if not folder.look.at(str(path)).stat and not path.exists():
        return None
    try:
        return check_document(Document(read_text(path, folder.look.read)), complete=False)
    except ReadError as error:
        return Checked(Document(error.file), {}, (error.finding,))


def _read_changed(
    files: Sequence[str],
    folder: Folder,
    defaults: Checked | None,
    workers: int,
    known: Mapping[str, AgentFile],
) -> list[AgentFile]:
    """Return each file's agent in order: the one that is known, else as it is read now."""
    changed = [file for file in files if file not in known]
    read = {agent.path: agent for agent in _read_shared_out(changed, folder, defaults, workers)}
    return [read[file] if file in read else known[file] for file in files]


def _read_shared_out(
    files: Sequence[str], folder: Folder, defaults: Checked | None, workers: int
) -> list[AgentFile]:
    if workers == 1 or len(files) < _MANY:
        return _read_agents(files, folder, defaults)
    from concurrent.futures import ProcessPoolExecutor  # 20 ms that few need

    shares = [files[place::workers] for place in range(workers)]
    with ProcessPoolExecutor(workers) as pool:
        read = pool.map(_read_agents, shares, repeat(folder), repeat(defaults))
        return [agent for share in read for agent in share]


def _read_agents(files: Sequence[str], folder: Folder, defaults: Checked | None) -> list[AgentFile]:
    templates = TemplateCheck(folder.text)
    return [_read_agent(file, folder, defaults, templates) for file in files]


def _read_agent(
    file: str, folder: Folder, defaults: Checked | None, templates: TemplateCheck
) -> AgentFile:
    with folder.noting() as noted:
        spec, findings, claims = _examine(Path(file), folder, defaults, templates)
    paths = (file, str(folder.path / DEFAULTS), *sorted(noted))
    read = {path: folder.look.at(path).content for path in paths}
    return AgentFile(file, Path(file).stem, spec, tuple(findings), claims, read)


def _examine(
    file: Path, folder: Folder, defaults: Checked | None, templates: TemplateCheck
) -> tuple[AgentSpec | None, list[Diagnostic], dict[Claim, Diagnostic]]:
    try:
        document = Document(read_text(file, folder.look.read))
    except ReadError as error:
        return None, [error.finding], _claims_of_unread(file, error.file)
    under = defaults.root if defaults else {}
    own = check_document(document, complete="prompt" not in under)
    if document.root is None and own.findings:
        return None, list(own.findings), _claims_of_unread(file, document)
    draft = Draft(
        id=file.stem,
        own=document,
        defaults=defaults.document if defaults else None,
        root=merge(under, own.root),
        folder=folder,
    )
    spec, findings = examine(draft, templates)
    findings = [*(defaults.findings if defaults else ()), *own.findings, *findings]
    return spec, findings, _claims(draft, spec)


def _claims_of_unread(file: Path, text: TextFile) -> dict[Claim, Diagnostic]:
    return {("duplicate-id", file.stem): text.finding(START, "duplicate-id", file.stem)}


def _claims(draft: Draft, spec: AgentSpec) -> dict[Claim, Diagnostic]:
    claims = {("duplicate-id", spec.id): draft.at_file("duplicate-id", spec.id)}
    for pattern in spec.answers.rooms:
        claims["claimed", rooms_of(pattern)] = draft.at_file("claimed", pattern)
    for key, pattern in draft.items("answers", "rooms"):
        claims["claimed", rooms_of(pattern)] = draft.at_value(key, "claimed", pattern)
    for key, number in draft.items("answers", "numbers"):
        claims["claimed-number", number] = draft.at_value(key, "claimed", number)
    if spec.answers.default:
        claims["claimed-default", ""] = draft.at_value(("answers", "default"), "claimed", "")
    return claims


def _compare(agents: Sequence[AgentFile]) -> list[AgentFile]:
    """Return the agents with the findings about what another one claims as well."""
    clashes: defaultdict[str, list[Diagnostic]] = defaultdict(list)
    for (rule, word), members in _contested(agents).items():
        if rule != "duplicate-id" and len({member.id for member in members}) == 1:
            continue
        for agent in members:
            others = " and ".join(member.path for member in members if member is not agent)
            claim = agent.claims[rule, word]
            message = _CLASHES[rule].format(word=claim.message, others=others)
            clashes[agent.path].append(replace(claim, message=message))
    return [_clashing(agent, tuple(clashes.get(agent.path, ()))) for agent in agents]


def _contested(agents: Sequence[AgentFile]) -> Mapping[Claim, list[AgentFile]]:
    """Return what several agents claim, each with its claimants."""
    claimed: set[Claim] = set()
    contested: set[Claim] = set()
    for agent in agents:
        contested |= claimed.intersection(agent.claims)
        claimed.update(agent.claims)
    claimants: defaultdict[Claim, list[AgentFile]] = defaultdict(list)
    for agent in agents if contested else ():
        for claim in contested.intersection(agent.claims):
            claimants[claim].append(agent)
    return claimants


def _clashing(agent: AgentFile, clashes: tuple[Diagnostic, ...]) -> AgentFile:
    return agent if agent.clashes == clashes else replace(agent, clashes=clashes)
