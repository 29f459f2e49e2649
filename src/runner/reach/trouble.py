"""What a service's refusals mean, in words, each with what to do about it."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from runner.catalog.breaker import REFUSED
from runner.reach import reasons

_LONGEST_QUOTE = 200
_BILLING = "add credit to the account, or raise its budget"

#: By the error code of an OpenAI answer or event: what is wrong, what to do.
BY_CODE: Mapping[str, tuple[str, str]] = {
    "invalid_api_key": ("the key is not accepted (invalid_api_key)", "put a valid key into {key}"),
    "account_deactivated": ("the account is deactivated", "use the key of another in {key}"),
    "model_not_found": (
        "there is no such model, or the account may not use it (model_not_found)",
        "correct the model's name, or ask for access to it",
    ),
    "insufficient_quota": ("the account has no credit left (insufficient_quota)", _BILLING),
    "credit_balance_exhausted": ("the account has no credit left", _BILLING),
    "billing_hard_limit_reached": ("the account's budget is used up", _BILLING),
    "rate_limit_exceeded": (
        "too many requests at the moment (429, rate limit)",
        "wait a minute and run this again; if it stays, raise the account's rate limit",
    ),
}

#: By HTTP status, where no code above says more.
BY_STATUS: Mapping[int, tuple[str, str]] = {
    401: ("the key is not accepted (401)", "put a valid key into {key}"),
    403: (
        "the key has no access to this (403)",
        "see the account's limits and the key's permissions: the Realtime API needs access on"
        " the account",
    ),
    404: ("no such address or model (404)", "check the model's name and base_url"),
    429: (
        "too many requests, or no credit left (429)",
        "see the account's limits and billing, or wait a minute",
    ),
}
_SERVER = ("the service has trouble of its own ({status})", "run this again later")
_OTHER = ("it refused ({status})", "check this backend's model, voice and base_url")

#: By what kept an answer from arriving; the first that fits.
BY_ERROR: Sequence[tuple[type[Exception], str, str]] = (
    (TimeoutError, "no answer within {limit:g} s", "check the network, and run this again"),
    (
        aiohttp.ClientConnectorDNSError,
        "there is no host of this name",
        "check the network and base_url",
    ),
    (aiohttp.ClientSSLError, "its certificate is not trusted", "check base_url and the clock"),
    (
        aiohttp.ClientConnectorError,
        "nothing answers at this address",
        "check base_url and that the server is running",
    ),
    (aiohttp.InvalidURL, "this is no address", "correct base_url"),
    (
        ValueError,
        "the address brings a user and password that would replace the key",
        "take them out of base_url, or of ~/.netrc",
    ),
    (Exception, "the connection broke off", "run this again; if it stays, check base_url"),
)


class TryError(Exception):
    """A try that failed: what is wrong; what to do about it; the `reason` in a word."""

    def __init__(self, wrong: str, advice: str, reason: str = REFUSED) -> None:
        super().__init__(f"{wrong}; {advice}")
        self.reason = reason


def refused(status: int, error: Mapping[str, Any], *, key: str | None, quote: str) -> TryError:
    """Return what an answer of `status` with the `error` object of its body means.

    `key` is the variable that holds the key; `quote` the server's own words, already cleaned.
    """
    known = BY_CODE.get(str(error.get("code"))) or BY_CODE.get(str(error.get("type")))
    wrong, advice = known or BY_STATUS.get(status) or (_SERVER if status >= 500 else _OTHER)
    said = f', saying "{quote}"' if quote and not known else ""
    where = key or "a variable and name that in api_key_env"
    return TryError(
        wrong.format(status=status or "an error event") + said,
        advice.format(key=where),
        reasons.of_answer(status, error),
    )


def unanswered(error: Exception, limit: float) -> TryError:
    """Return what kept an answer from arriving."""
    wrong, advice = next((w, a) for kind, w, a in BY_ERROR if isinstance(error, kind))
    return TryError(wrong.format(limit=limit), advice, reasons.of_error(error))


def error_of(body: str | bytes) -> Mapping[str, Any]:
    """Return the error object of an answer; empty when it has none."""
    error = json_object(body).get("error")
    return error if isinstance(error, dict) else {}


def json_object(body: str | bytes) -> Mapping[str, Any]:
    """Return the JSON object that `body` is; empty when it is something else."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def masked(text: str, secrets: Sequence[str]) -> str:
    """Return text that is not ours without the secrets, passwords and keys that it may hold."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return re.sub(r"\bsk-[\w*.-]+|(?<=//)[^/@\s]*(?=@)", "***", text)


def quoted(text: str, secrets: Sequence[str]) -> str:
    """Return a server's words masked, in one line, and cut when they are long."""
    line = " ".join(masked(text, secrets).split())
    line = "".join(character for character in line if character.isprintable())
    return line if len(line) <= _LONGEST_QUOTE else line[:_LONGEST_QUOTE] + "..."


def shown(address: str) -> str:
    """Return an address without the user, the password and the query that it may hold."""
    return re.sub(r"(?<=//)[^/@\s]*@", "", address).partition("?")[0]
