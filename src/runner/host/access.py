"""Whether LiveKit can be reached and takes the key, asked once before anything is started."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from google.protobuf.message import DecodeError
from livekit import api

from runner.errors import RunnerError

_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Access:
    """Where LiveKit is, and the key to it."""

    url: str
    key: str
    secret: str


def from_environment(environment: Mapping[str, str] = os.environ) -> Access:
    """Read `LIVEKIT_URL`, `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET`.

    Raises:
        RunnerError: some are missing; all of them are named.
    """
    names = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise RunnerError(
            f"{', '.join(missing)} not set; set {'it' if len(missing) == 1 else 'them'}"
            " in the environment or in a .env file"
        )
    return Access(*(environment[name] for name in names))


async def check(access: Access) -> None:
    """Ask LiveKit for no room in particular, with the key.

    Raises:
        RunnerError: it is unreachable, is something else, or refuses the key.
    """
    try:
        async with api.LiveKitAPI(
            access.url,
            access.key,
            access.secret,
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT),
        ) as livekit:
            await livekit.room.list_rooms(api.ListRoomsRequest(names=["-"]))
    except api.TwirpError as error:
        raise RunnerError(_refusal(access, error)) from error
    except DecodeError as error:
        raise RunnerError(
            f"something other than LiveKit answers at {access.url}; check LIVEKIT_URL"
        ) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise RunnerError(
            f"LiveKit cannot be reached at {access.url} ({error or 'no answer'});"
            " check LIVEKIT_URL and that the server is running"
        ) from error


def _refusal(access: Access, error: api.TwirpError) -> str:
    if error.status in (401, 403):
        return (
            f"LiveKit at {access.url} refuses the key; check LIVEKIT_API_KEY and LIVEKIT_API_SECRET"
        )
    return f"no LiveKit answers at {access.url} but HTTP {error.status}; check LIVEKIT_URL"
