"""Clients of OpenAI and of servers like it. An agent file only ever names its key's variable."""

import os
import ssl
from functools import cache

import httpx2
import openai

from runner.catalog.backends import address
from runner.definition.spec import Part

# As LiveKit's own clients: a turn of a conversation takes longer than the 5 s of httpx2.
_KEPT = httpx2.Limits(max_connections=50, max_keepalive_connections=50, keepalive_expiry=120.0)
# Made before the call: it would hold up the event loop for 40 ms a client.
_TLS = ssl.create_default_context()


class MissingKeyError(Exception):
    """A backend cannot be built without the key that the environment `variable` should hold."""

    def __init__(self, variable: str) -> None:
        super().__init__(f"the environment variable {variable} is not set")
        self.variable = variable


def api_key(variable: str | None) -> str:
    """Return the key that `variable` holds; None means a server that wants no key.

    Raises:
        MissingKeyError: the variable is not set, or empty.
    """
    if variable is None:
        # OpenAI's client insists on a key, whatever the server does.
        return "none"
    if not (key := os.environ.get(variable)):
        raise MissingKeyError(variable)
    return key


def client(part: Part) -> openai.AsyncClient:
    """Return the one client, with its open connections, for the server and the key of `part`.

    Raises:
        MissingKeyError: the key is not there.
        ValueError: its `base_url`, or the environment's, is no address.
    """
    return _client(address(part, os.environ), api_key(part.api_key_env))


@cache
def _client(base_url: str, key: str) -> openai.AsyncClient:
    try:
        return openai.AsyncClient(
            api_key=key,
            base_url=base_url,
            # LiveKit tries again itself.
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(verify=_TLS, limits=_KEPT),
        )
    except httpx2.InvalidURL as error:
        raise ValueError("the base_url is no address") from error
