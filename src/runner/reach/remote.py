"""Fields of an agent from its database, over HTTP, when a call starts. It never costs the call."""

import asyncio
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from runner.catalog.breaker import UNAUTHORIZED
from runner.catalog.remote import LastAnswers
from runner.definition import prompt
from runner.definition.prompt import Names, RenderError, RoomNames, template_names
from runner.definition.remote import Accepted, accept, amend, together
from runner.definition.spec import AgentSpec, Remote
from runner.definition.text import MAX_BYTES
from runner.reach import reasons

_log = logging.getLogger(__name__)

BAD_ADDRESS, NO_KEY, REDIRECTED = "bad_address", "no_key", "redirected"
TOO_LARGE, NOT_JSON, MISSING = "too_large", "not_json", "missing"

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: How often the same server may send us on, as some do for a slash at the end.
_HOPS = 3


class RemoteError(Exception):
    """An answer that cannot be used; `reason` says why, in a word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Answer:
    """The values of an answer that are good and fit together, by the agent's keys.

    `reasons` say why there are not more; `url` is what was asked, empty if no URL could be made.
    """

    url: str
    values: Mapping[str, Any]
    reasons: tuple[str, ...] = ()


async def fetched(
    spec: AgentSpec,
    variables: Mapping[str, Any],
    room: str,
    state: Path,
    environment: Mapping[str, str] = os.environ,
) -> AgentSpec:
    """Return the agent with the fields that its database has; its digest stays the file's.

    What the database does not have, or not in time, is as it was in its last good answer, else as
    in the file. Nothing is raised, and one line of the log tells.
    """
    if spec.remote is None:
        return spec
    began = time.monotonic()
    names = template_names(spec, variables=variables, room=RoomNames(room))
    answer = await ask(spec, spec.remote, names, environment)
    # In a thread: a slow disk must not be heard.
    older = await asyncio.to_thread(_last_good, spec, spec.remote, answer, LastAnswers(state))
    _tell(answer, older, time.monotonic() - began)
    return amend(spec, {**answer.values, **older.values})


async def ask(
    spec: AgentSpec, remote: Remote, names: Names, environment: Mapping[str, str]
) -> Answer:
    """Ask the agent's database once, within its timeout; hold the answer against the rules."""
    try:
        url = prompt.url(spec, remote.url, names)
    except RenderError:
        return Answer("", {}, (BAD_ADDRESS,))
    try:
        async with asyncio.timeout(remote.timeout):
            body = _parsed(await _get(url, _headers(remote, environment)))
            # In a thread: a prompt may be a template that takes seconds to compile.
            return await asyncio.to_thread(_checked, spec, url, remote.fields, body)
    except RemoteError as error:
        return Answer(url, {}, (error.reason,))
    except aiohttp.ClientResponseError:
        # It is not even HTTP.
        return Answer(url, {}, (NOT_JSON,))
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Answer(url, {}, (reasons.of_error(error),))


def _checked(
    spec: AgentSpec, url: str, fields: Mapping[str, str], body: Mapping[str, Any]
) -> Answer:
    found = {key: _at(body, path) for key, path in fields.items()}
    accepted = accept(spec, {key: value for key, value in found.items() if value is not None})
    fit = together(spec, accepted.values, {})
    missing = {key: MISSING for key, value in found.items() if value is None}
    wrong = {**missing, **accepted.refused, **fit.refused}
    return Answer(url, fit.values, _reasons(wrong))


def _reasons(refused: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{key}: {why}" for key, why in refused.items())


def _last_good(spec: AgentSpec, remote: Remote, answer: Answer, kept: LastAnswers) -> Accepted:
    """Keep what is good of an answer; take of what was good before the rest."""
    if not answer.url:
        return Accepted({}, {})
    before = kept.get(answer.url, remote.fields)
    kept.put(answer.url, remote.fields, answer.values)
    left = [key for key in remote.fields if key in before and key not in answer.values]
    # The file may have changed since.
    accepted = accept(spec, {key: before[key] for key in left})
    return together(spec, accepted.values, answer.values)


def _tell(answer: Answer, older: Accepted, seconds: float) -> None:
    sources = {"fields": answer.values, "last_good": older.values}
    told = {name: ", ".join(values) for name, values in sources.items() if values}
    fields = told | {"seconds": round(seconds, 3)}
    if reason := "; ".join(dict.fromkeys([*answer.reasons, *_reasons(older.refused)])):
        _log.warning("remote fields are not all good", extra={**fields, "reason": reason})
    else:
        _log.info("remote fields fetched", extra=fields)


def _headers(remote: Remote, environment: Mapping[str, str]) -> dict[str, str]:
    # Compressed, a small answer could become a huge one.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    if remote.api_key_env is None:
        return headers
    if not (key := environment.get(remote.api_key_env)):
        raise RemoteError(NO_KEY)
    if not key.isascii() or not key.isprintable():
        raise RemoteError(UNAUTHORIZED)
    return headers | {"Authorization": f"Bearer {key}"}


async def _get(url: str, headers: Mapping[str, str]) -> bytes:
    """Return the body of a good answer; follow redirects as long as they stay at the server."""
    here = URL(url, encoded=True)
    async with aiohttp.ClientSession(trust_env=True, auto_decompress=False) as http:
        for _ in range(_HOPS):
            async with http.get(here, headers=headers, allow_redirects=False) as answer:
                if answer.status not in _REDIRECTS:
                    return await _body(answer)
                there = here.join(URL(answer.headers.get("Location", "")))
            if there.origin() != here.origin():
                break
            here = there
    raise RemoteError(REDIRECTED)


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    if not 200 <= answer.status < 300:
        raise RemoteError(reasons.of_answer(answer.status, {}))
    body = b""
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > MAX_BYTES:
            raise RemoteError(TOO_LARGE)
    return body


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise RemoteError(NOT_JSON) from error
    if not isinstance(value, dict):
        raise RemoteError(NOT_JSON)
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _at(value: Any, path: str) -> Any:
    """Return what the dotted path leads to; None if it leads nowhere."""
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
