"""Serve a folder of agents as on a fresh machine: see the page, and hear an agent greet."""

import asyncio
import re
import sys
import tempfile
from pathlib import Path

import aiohttp

WORKLETS = ("/page/speaker-worklet.js", "/page/microphone-worklet.js")


async def main(folder: str) -> None:
    """Start `runner serve agents/` in `folder` where nothing at all is set, use it, and stop it."""
    command = (Path(sys.executable).with_name("runner"), "serve", "agents/")
    with tempfile.TemporaryDirectory() as home:
        studio = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env={"HOME": home}, stdout=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(60):
                await use(await printed_address(studio))
            studio.terminate()
            assert await asyncio.wait_for(studio.wait(), 20) == 0, "it did not end well"
        finally:
            if studio.returncode is None:
                studio.kill()
                await studio.wait()


async def printed_address(studio: asyncio.subprocess.Process) -> str:
    """Return where the studio says that it is."""
    assert studio.stdout is not None
    line = (await studio.stdout.readline()).decode()
    found = re.fullmatch(r"the studio is at (http://127\.0\.0\.1:\d+)/\n", line)
    assert found, f"it printed {line!r}"
    return found[1]


async def use(address: str) -> None:
    """Load the page with all that it names, and call an agent."""
    async with aiohttp.ClientSession(address, raise_for_status=True) as http:
        async with http.get("/") as answer:
            named = re.findall(r'(?:src|href)="(/page/[^"]+)"', await answer.text())
        assert named, "the page names no files"
        for path in (*named, *WORKLETS):
            async with http.get(path) as answer:
                assert await answer.read(), f"{path} is empty"
        async with http.ws_connect("/call?agent=front-desk", origin=address) as call:
            await hear(call)


async def hear(call: aiohttp.ClientWebSocketResponse) -> None:
    """Wait for a sound of the agent; a backend that is left says sorry only."""
    async for message in call:
        if message.type is aiohttp.WSMsgType.TEXT:
            event = message.json()
            assert event["type"] not in ("left", "ended"), event
        elif any(message.data):
            return
    raise AssertionError("the studio closed the call")


asyncio.run(main(sys.argv[1]))
