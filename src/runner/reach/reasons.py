"""Why a backend failed, in a word: the same for calls, probes, the log and the record."""

import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp

from runner.catalog.breaker import FORBIDDEN, NOT_FOUND, QUOTA, REFUSED, UNAUTHORIZED

RATE_LIMIT, SERVER_ERROR, TIMEOUT = "rate_limit", "server_error", "timeout"

#: By the error code, or type, of an OpenAI answer or event.
_BY_CODE: Mapping[str, str] = {
    "invalid_api_key": UNAUTHORIZED,
    "account_deactivated": UNAUTHORIZED,
    "model_not_found": NOT_FOUND,
    "insufficient_quota": QUOTA,
    "credit_balance_exhausted": QUOTA,
    "billing_hard_limit_reached": QUOTA,
    "rate_limit_exceeded": RATE_LIMIT,
    "server_error": SERVER_ERROR,
}
_BY_STATUS: Mapping[int, str] = {
    401: UNAUTHORIZED, 403: FORBIDDEN, 404: NOT_FOUND, 408: TIMEOUT, 429: RATE_LIMIT,
}  # fmt: skip
#: By what kept an answer from arriving; the first that fits.
_BY_ERROR: Mapping[type[BaseException], str] = {
    TimeoutError: TIMEOUT,
    aiohttp.ClientConnectorDNSError: "no_such_host",
    socket.gaierror: "no_such_host",
    aiohttp.ClientSSLError: "certificate",
    ssl.SSLError: "certificate",
    aiohttp.ClientConnectorError: "unreachable",
    ConnectionRefusedError: "unreachable",
    aiohttp.InvalidURL: "bad_address",
    ValueError: "bad_address",
}
CONNECTION_LOST = "connection_lost"


def of_answer(status: int, error: Mapping[str, Any]) -> str:
    """Return why an answer of `status`, with the `error` object of its body, refuses."""
    known = _BY_CODE.get(str(error.get("code"))) or _BY_CODE.get(str(error.get("type")))
    return known or _BY_STATUS.get(status) or (SERVER_ERROR if status >= 500 else REFUSED)


def of_error(error: BaseException) -> str:
    """Return why there was no answer: what the error, or one that caused it, tells.

    LiveKit and OpenAI's client hide an HTTP status and an error's code in different attributes.
    """
    for link in _causes(error):
        status = _status_of(link)
        body = _object_of(getattr(link, "body", None))
        if status or body:
            return of_answer(status, body)
    for link in _causes(error):
        for kind, reason in _BY_ERROR.items():
            if isinstance(link, kind) or ("Timeout" in type(link).__name__ and reason == TIMEOUT):
                return reason
    return CONNECTION_LOST


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen:
        yield link
        seen.append(link)
        link = link.__cause__ or link.__context__


def _status_of(error: BaseException) -> int:
    """Return an HTTP status that says no; a WebSocket's close code is none."""
    for name in ("status_code", "status"):
        status = getattr(error, name, None)
        if isinstance(status, int) and 400 <= status < 600:
            return status
    return 0


def _object_of(body: object) -> Mapping[str, Any]:
    if isinstance(body, Mapping):
        inner = body.get("error")
        return inner if isinstance(inner, Mapping) else body
    found = {name: getattr(body, name, None) for name in ("code", "type")}
    return found if any(found.values()) else {}
