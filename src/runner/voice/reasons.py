"""Why a backend was left: a few fixed words for what a provider's client raises."""

from collections.abc import Iterator
from enum import StrEnum
from socket import gaierror
from typing import Any

import aiohttp
from livekit.agents import APIStatusError, APITimeoutError


class Reason(StrEnum):
    """Why a backend cannot carry a call."""

    NO_KEY = "no_key"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    QUOTA = "quota"
    RATE_LIMIT = "rate_limit"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    DIED = "died"
    SILENT = "silent"
    EMPTY = "empty"
    FAILED = "failed"


#: Trying again does not help before somebody has done something about it.
LASTING = frozenset({Reason.NO_KEY, Reason.UNAUTHORIZED, Reason.NOT_FOUND, Reason.QUOTA})

_BY_STATUS = {
    401: Reason.UNAUTHORIZED,
    403: Reason.UNAUTHORIZED,
    404: Reason.NOT_FOUND,
    408: Reason.TIMEOUT,
    429: Reason.RATE_LIMIT,
    504: Reason.TIMEOUT,
}
_BY_CODE = {
    "invalid_api_key": Reason.UNAUTHORIZED,
    "account_deactivated": Reason.UNAUTHORIZED,
    "model_not_found": Reason.NOT_FOUND,
    "insufficient_quota": Reason.QUOTA,
    "credit_balance_exhausted": Reason.QUOTA,
    "billing_hard_limit_reached": Reason.QUOTA,
    "rate_limit_exceeded": Reason.RATE_LIMIT,
}
_BY_TYPE: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Reason], ...] = (
    ((TimeoutError, APITimeoutError), Reason.TIMEOUT),
    ((aiohttp.ClientConnectorError, ConnectionRefusedError, gaierror), Reason.REFUSED),
    ((aiohttp.ServerDisconnectedError, ConnectionError), Reason.DIED),
)


def reason_of(error: BaseException) -> Reason:
    """Find the word for an error; the deepest cause that says something knows best."""
    found = [reason for cause in _causes(error) if (reason := _said_by(cause))]
    if found:
        return found[-1]
    return Reason.DIED if "closed unexpectedly" in str(error) else Reason.FAILED


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _said_by(error: BaseException) -> Reason | None:
    if reason := _BY_CODE.get(_code(getattr(error, "body", None))):
        return reason
    if isinstance(error, APIStatusError):
        return _BY_STATUS.get(error.status_code)
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return _BY_STATUS.get(error.status)
    for kinds, reason in _BY_TYPE:
        if isinstance(error, kinds):
            return reason
    return None


def _code(body: Any) -> str:
    # An object of OpenAI's client, or the JSON of an HTTP answer.
    if isinstance(body, dict):
        inner = body.get("error")
        body = inner if isinstance(inner, dict) else body
        return str(body.get("code"))
    return str(getattr(body, "code", ""))
