"""The checks, in their order; each yields its lines as they are found."""

import platform
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import aiohttp
from livekit import api

from runner import __version__
from runner.catalog.backends import key_variables
from runner.catalog.breaker import Breakers
from runner.catalog.records import utc
from runner.definition.prompt import RoomNames, template_names
from runner.definition.spec import Backend
from runner.doctor import spoken
from runner.doctor.line import Line
from runner.doctor.setup import LIVEKIT_VARIABLES, Listed, Setup
from runner.errors import RunnerError
from runner.host import access
from runner.reach import remote
from runner.reach.service import Service
from runner.reach.tries import FAILED, OK, TRIES, WARNING, try_speech
from runner.reach.trouble import masked, shown

#: The versions that voice-runner is made for: from the first up to, but without, the second.
SUPPORTED = ((1, 8, 9), (1, 9))

#: What LiveKit says of a token that it refuses, and what that means.
_REFUSALS: Sequence[tuple[str, str]] = (
    ("invalid API key", "does not know the key; check LIVEKIT_API_KEY"),
    ("signature", "knows the key, but not with this LIVEKIT_API_SECRET; check that"),
    ("not valid yet", "finds the key to be from the future; set this machine's clock"),
    ("expired", "finds the key to be from the past; set this machine's clock"),
)
_SET_IT = "set it in the environment or in a .env file"


async def examine(setup: Setup, limit: float) -> AsyncIterator[Line]:
    """Yield every line of every check; each try of a backend gets `limit` seconds."""
    for check in CHECKS:
        async for line in check(setup, limit):
            yield line


async def _versions(setup: Setup, _: float) -> AsyncIterator[Line]:
    yield Line(OK, "version", f"Python {platform.python_version()}")
    yield Line(OK, "version", f"voice-runner {__version__}")
    first, beyond = SUPPORTED
    for package, version in setup.versions.items():
        numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
        if first <= numbers < beyond:
            yield Line(OK, "version", f"{package} {version}")
        else:
            bounds = f">={_dotted(first)},<{_dotted(beyond)}"
            text = f"{package} {version} is untried; pip install '{package}{bounds}'"
            yield Line(WARNING, "version", text)


async def _environment(setup: Setup, _: float) -> AsyncIterator[Line]:
    if setup.env_file_error:
        text = f"{setup.env_file} cannot be read ({setup.env_file_error}); make it a text file"
        yield Line(FAILED, "setting", text)
    elif setup.env_file:
        yield Line(OK, "setting", f"{setup.env_file} is read")
    else:
        yield Line(OK, "setting", "no .env file here or above; only the environment counts")
    for name in LIVEKIT_VARIABLES:
        yield _setting(setup, name, FAILED)
    for name in setup.key_variables:
        yield _setting(setup, name, WARNING)
    if setup.environment.get("OPENAI_BASE_URL"):
        yield Line(OK, "setting", "OPENAI_BASE_URL is set, for backends without a base_url")


async def _agents(setup: Setup, _: float) -> AsyncIterator[Line]:
    if setup.loaded is None:
        yield Line(FAILED, "agents", setup.unreadable)
        return
    if setup.agents:
        yield Line(OK, "agents", f"{len(setup.agents)} valid in {setup.folder}")
    errors = (finding for finding in setup.loaded.diagnostics if finding.level == "error")
    for path in dict.fromkeys(error.path for error in errors):
        text = f"{path} is not valid; run runner validate {setup.folder}"
        yield Line(FAILED, "agents", text)


async def _livekit(setup: Setup, limit: float) -> AsyncIterator[Line]:
    try:
        livekit = access.from_environment(setup.environment)
    except RunnerError as error:
        yield Line(FAILED, "LiveKit", str(error))
        return
    try:
        await access.check(livekit)
    except RunnerError as error:
        meaning = await _meaning_of_refusal(livekit, limit) if _is_refusal(error) else None
        text = meaning or masked(str(error), setup.secrets)
        yield Line(FAILED, "LiveKit", text)
    else:
        yield Line(OK, "LiveKit", f"{shown(livekit.url)} accepts the key")


async def _backends(setup: Setup, limit: float) -> AsyncIterator[Line]:
    async with _service(setup, limit) as service:
        for same, listed in setup.backends.items():
            backend, subject = listed[0].backend, _subject(listed)
            if missing := _missing_keys(setup, backend):
                text = f"{subject}: {' and '.join(missing)} not set; {_SET_IT}"
                yield Line(FAILED, "backend", text, same)
                continue
            async for outcome in TRIES[backend.kind](backend, service):
                yield Line(outcome.level, "backend", f"{subject}: {outcome.text}", same)


async def _greetings(setup: Setup, limit: float) -> AsyncIterator[Line]:
    async with _service(setup, limit) as service:
        for speech, listed in spoken.greetings(setup).items():
            # The same key as the model's, whose absence is told already.
            if not _missing_keys(setup, listed[0].backend):
                outcome = await try_speech(*speech, service)
                text = f"{_subject(listed)}, its greeting: {outcome.text}"
                yield Line(outcome.level, "backend", text, speech)


async def _announcements(setup: Setup, _: float) -> AsyncIterator[Line]:
    for wanted, listed in spoken.announcements(setup).items():
        outcome = spoken.recording(setup, wanted)
        yield Line(outcome.level, "backend", f"{_subject(listed)}: {outcome.text}")


async def _breakers(setup: Setup, _: float) -> AsyncIterator[Line]:
    breakers = Breakers(setup.state, setup.environment)
    for same, listed in setup.backends.items():
        backend = listed[0].backend
        if opened := breakers.opened(backend):
            text = f"calls pass it over since {utc(opened.since)} ({opened.reason})"
            then = "until a running host finds it well"
            yield Line(WARNING, "breaker", f"{_subject(listed)}: {text}, {then}", same)


async def _remotes(setup: Setup, _: float) -> AsyncIterator[Line]:
    for spec in setup.agents.values():
        if spec.remote is None:
            continue
        names = template_names(spec, room=RoomNames(spec.id))
        answer = await remote.ask(spec, spec.remote, names, setup.environment)
        text = f"{spec.id}: {shown(answer.url)} has {', '.join(answer.values) or 'nothing'}"
        if not answer.reasons:
            yield Line(OK, "remote", text)
            continue
        text += f"; not good: {', '.join(answer.reasons)}"
        then = "calls take the rest from its last good answer, else from the file"
        yield Line(WARNING, "remote", f"{text}; {then}")


CHECKS: Sequence[Callable[[Setup, float], AsyncIterator[Line]]] = (
    _versions,
    _environment,
    _agents,
    _livekit,
    _remotes,
    _backends,
    _greetings,
    _announcements,
    _breakers,
)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _setting(setup: Setup, name: str, level: str) -> Line:
    if setup.environment.get(name):
        return Line(OK, "setting", f"{name} is set")
    return Line(level, "setting", f"{name} is not set; {_SET_IT}")


def _subject(listed: Sequence[Listed]) -> str:
    """Name the backend, and the agents that list it."""
    first, *others = dict.fromkeys(entry.agent for entry in listed)
    agents = f"{first} and {len(others)} more" if others else first
    return f"{listed[0].backend.name} of {agents}"


def _missing_keys(setup: Setup, backend: Backend) -> list[str]:
    return [name for name in key_variables(backend) if not setup.environment.get(name)]


@asynccontextmanager
async def _service(setup: Setup, limit: float) -> AsyncIterator[Service]:
    async with aiohttp.ClientSession(trust_env=True) as http:
        yield Service(http, setup.environment, setup.secrets, limit)


def _is_refusal(error: RunnerError) -> bool:
    return isinstance(error.__cause__, api.TwirpError) and error.__cause__.status in (401, 403)


async def _meaning_of_refusal(livekit: access.Access, limit: float) -> str | None:
    """Ask once more for the words of a refusal, which LiveKit's client throws away."""
    token = api.AccessToken(livekit.key, livekit.secret).with_grants(api.VideoGrants())
    address = livekit.url.replace("ws", "http", 1) if livekit.url.startswith("ws") else livekit.url
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=limit)) as http,
            http.post(
                f"{address.rstrip('/')}/twirp/livekit.RoomService/ListRooms",
                json={},
                headers={"Authorization": f"Bearer {token.to_jwt()}"},
            ) as answer,
        ):
            words = await answer.text()
    except (aiohttp.ClientError, OSError, UnicodeDecodeError):
        return None
    meanings = (meaning for part, meaning in _REFUSALS if part in words)
    meaning = next(meanings, None)
    return meaning and f"{shown(livekit.url)} {meaning}"
