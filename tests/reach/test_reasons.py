"""A failure has one word, wherever it is found."""

from __future__ import annotations

import socket
import ssl
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.agents import APIConnectionError, APIError, APIStatusError, APITimeoutError

from runner.reach import reasons


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


class HandshakeError(Exception):
    """As aiohttp's: its status is an attribute."""

    status = 401


class ReadTimeout(Exception):  # noqa: N818 - the name is what tells
    """As the HTTP client's, which is no TimeoutError."""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (APIStatusError("no", status_code=401), "unauthorized"),
        (APIStatusError("no", status_code=403), "forbidden"),
        (APIStatusError("no", status_code=404), "not_found"),
        (APIStatusError("no", status_code=429), "rate_limit"),
        (APIStatusError("no", status_code=429, body={"code": "insufficient_quota"}), "quota"),
        (APIStatusError("no", status_code=500), "server_error"),
        (APIStatusError("no", status_code=400), "refused"),
        (APIStatusError("closed", status_code=1000), "connection_lost"),
        (APIError("no", body=SimpleNamespace(code="invalid_api_key", type="x")), "unauthorized"),
        (APIError("no", body={"error": {"code": "model_not_found"}}), "not_found"),
        (APIError("no", body={"error": {"type": "insufficient_quota"}}), "quota"),
        (APITimeoutError(), "timeout"),
        (caused(APIConnectionError(), HandshakeError()), "unauthorized"),
        (caused(APIConnectionError(), TimeoutError()), "timeout"),
        (caused(APIConnectionError(), ConnectionRefusedError()), "unreachable"),
        (caused(APIConnectionError(), ReadTimeout()), "timeout"),
        (caused(APIConnectionError(), socket.gaierror()), "no_such_host"),
        (caused(APIConnectionError(), ssl.SSLCertVerificationError()), "certificate"),
        (APIConnectionError(), "connection_lost"),
        (caused(ValueError("x"), APIStatusError("no", status_code=403)), "forbidden"),
    ],
)
def test_an_error_has_a_reason(error: Exception, reason: str) -> None:
    """The status and the code count, however deep they are."""
    assert reasons.of_error(error) == reason


def test_a_circle_of_causes_ends() -> None:
    first: Any = APIConnectionError()
    first.__cause__ = caused(RuntimeError(), first)
    assert reasons.of_error(first) == "connection_lost"
