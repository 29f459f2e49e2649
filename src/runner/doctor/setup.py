"""What a call would find on this machine: versions, environment, agents. It asks no server."""

import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import dotenv

from runner.catalog.backends import key_variables, parts
from runner.catalog.store import state_folder
from runner.definition.loader import Loaded, load
from runner.definition.spec import (
    AgentSpec,
    Backend,
    PipelineBackend,
    RealtimeBackend,
)
from runner.errors import RunnerError

PACKAGES = ("livekit-agents", "livekit-plugins-openai")
LIVEKIT_VARIABLES = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")

KeyT = TypeVar("KeyT", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Listed:
    """A backend, and the id of the agent that lists it."""

    agent: str
    backend: Backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Everything that is known before the first question is asked.

    `environment` is the process's own, over what `.env` says. `loaded` is None when the folder
    could not be read at all, and `unreadable` then says why. `state` is the state folder.
    """

    folder: Path
    versions: Mapping[str, str]
    env_file: str
    env_file_error: str
    environment: Mapping[str, str]
    loaded: Loaded | None
    unreadable: str
    state: Path

    @property
    def agents(self) -> Mapping[str, AgentSpec]:
        """The valid agents, by id."""
        return self.loaded.specs if self.loaded else {}

    @property
    def backends(self) -> Mapping[Hashable, list[Listed]]:
        """The listed backends that ask servers, by what makes one try of them enough."""
        return self.together(lambda _, one: identity(one) if parts(one) else None)

    def together(
        self, same: Callable[[AgentSpec, Backend], KeyT | None]
    ) -> Mapping[KeyT, list[Listed]]:
        """Return the listed backends by what they have in common; those with None are left out."""
        found: defaultdict[KeyT, list[Listed]] = defaultdict(list)
        for agent, spec in self.agents.items():
            for backend in spec.backends:
                if (key := same(spec, backend)) is not None:
                    found[key].append(Listed(agent, backend))
        return found

    @property
    def key_variables(self) -> list[str]:
        """The variables that the agents name for the keys of backends and databases."""
        backends = (listed[0].backend for listed in self.backends.values())
        names = {name for backend in backends for name in key_variables(backend)}
        remotes = (spec.remote for spec in self.agents.values() if spec.remote)
        return sorted(names | {remote.api_key_env for remote in remotes if remote.api_key_env})

    @property
    def secrets(self) -> list[str]:
        """The values that may be in no line, the longest first."""
        names = {*LIVEKIT_VARIABLES[1:], "OPENAI_API_KEY", *self.key_variables}
        return sorted(filter(None, map(self.environment.get, names)), key=len, reverse=True)


def read(folder: Path, state: Path | None = None) -> Setup:
    """Read `.env`, the environment and the agents.

    Raises:
        ModuleNotFoundError: a package of the extra [serve] is not installed.
    """
    env_file = dotenv.find_dotenv(usecwd=True)
    settings, env_file_error = _settings(env_file)
    loaded, unreadable = _load(folder)
    environment = settings | os.environ
    return Setup(
        folder=folder,
        versions={package: version(package) for package in PACKAGES},
        env_file=env_file,
        env_file_error=env_file_error,
        environment=environment,
        loaded=loaded,
        unreadable=unreadable,
        state=state_folder(state, environment),
    )


def identity(backend: Backend) -> Hashable:
    """Return what two backends have in common when trying one of them is enough."""
    match backend:
        case RealtimeBackend():
            key = backend.api_key_env
            return (backend.kind, backend.model, backend.base_url, key, backend.voice)
        case PipelineBackend():
            return (backend.kind, backend.stt, backend.llm, backend.tts, backend.voice)
        case _:
            return (backend.kind,)


def _settings(env_file: str) -> tuple[dict[str, str], str]:
    try:
        values = dotenv.dotenv_values(env_file) if env_file else {}
    except (OSError, UnicodeDecodeError) as error:
        return {}, type(error).__name__
    return {name: value for name, value in values.items() if value is not None}, ""


def _load(folder: Path) -> tuple[Loaded | None, str]:
    try:
        return load([folder]), ""
    except RunnerError as error:
        return None, str(error)
