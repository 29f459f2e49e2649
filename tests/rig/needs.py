"""What the rig needs from outside the virtual environment, and what is said when it is missing."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
from pathlib import Path

import pytest

AIMOCK_VERSION = "1.43.0"
AXE_VERSION = "4.14.1"
LIVEKIT_VERSION = "1.13.5"

_ports = iter(random.sample(range(20_000, 32_000), 2_000))


def cache_folder() -> Path:
    """Where `setup.sh` puts what it builds."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "voice-runner"


def needed(found: Path | str | None, what: str) -> str:
    """Return the path that was found; else skip the test, or fail it where `CI=true`."""
    if found is not None and Path(found).exists():
        return str(found)
    sentence = f"{what} is missing: `make test` gets it (tests/rig/setup.sh)."
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


def livekit_server() -> str:
    """Return the path of livekit-server."""
    built = cache_folder() / f"livekit-server-{LIVEKIT_VERSION}"
    return needed(built if built.exists() else shutil.which("livekit-server"), "livekit-server")


def aimock() -> str:
    """Return the path of aimock's command, a script for node."""
    needed(shutil.which("node"), "node")
    package = cache_folder() / "node_modules" / "@copilotkit" / "aimock"
    return needed(package / "dist" / "cli.js", f"aimock {AIMOCK_VERSION}")


def espeak() -> str:
    """Return the path of espeak-ng."""
    return needed(shutil.which("espeak-ng"), "espeak-ng")


def rsync() -> str:
    """Return the path of rsync."""
    return needed(shutil.which("rsync"), "rsync")


def chromium() -> str:
    """Return the path of Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = (path for name in names if (path := shutil.which(name)))
    return needed(next(found, None), "Chromium")


def axe() -> str:
    """Return the path of axe-core, a script that finds what keeps people with disabilities out."""
    package = cache_folder() / "node_modules" / "axe-core"
    return needed(package / "axe.min.js", f"axe-core {AXE_VERSION}")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a loopback port nobody listens on now; it is never returned again.

    It is below those that a system gives to connections, which could take it before its server.
    """
    for port in _ports:
        with socket.socket(socket.AF_INET, kind) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("all ports are taken")
