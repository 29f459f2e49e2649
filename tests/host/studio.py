"""A studio as a process of its own, and pages that call its agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.host import Host

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


async def address_of(host: Host, within: float = 30.0) -> str:
    """Return where the studio of a host is, once it is there."""
    line = await host.wait_log("studio ready", within=within)
    return str(line["url"])


def a_studio(folder: Path, *options: str, environment: Mapping[str, str], home: Path) -> Host:
    """Return a host without LiveKit, at a free port, not started yet."""
    return Host.serve(folder, "--port", "0", *options, environment=environment, home=home)


async def printed_address(host: Host) -> str:
    """Return the address that a host prints, with its token."""
    return (await host.wait_printed(r"^the studio is at (\S+)\n"))[1]
