"""One call between a page and an agent, from the button to the end.

Imported only once the page is served: what a call needs takes seconds to import.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import WSCloseCode
from livekit.agents.utils import http_context

from runner import logs
from runner.definition.spec import AgentSpec
from runner.host.studio.line import PageLine
from runner.host.studio.spectator import Spectator
from runner.host.studio.wire import STOPPED, Message, ProtocolError, Wire
from runner.voice import rehearsal
from runner.voice.call import Call, begin

_log = logging.getLogger(__name__)

#: What stands in a record, and in `runner calls`, for how the agent was chosen.
BECAUSE = "studio"
#: How often an agent's file is looked at for a newer revision, in seconds.
_LOOK = 0.25
#: The longest text that may be typed at once, in characters.
_LONGEST_TEXT = 2000

_LEFT = "participant_disconnected"
_BROKE = "the call broke"


async def hold(
    wire: Wire, spec: AgentSpec, newest: Callable[[], str | None], stopped: asyncio.Event
) -> None:
    """Hold one call with `spec`, until either side hangs up or the studio has `stopped`.

    `newest` returns the revision that a call would get now.
    """
    fields = logs.of_call()
    async with http_context.open():
        spectator = Spectator(wire)
        # The one place where a call is chosen to be rehearsed.
        rehearses = bool(rehearsal.missing_keys(spec))
        line = PageLine(wire, spectator, fields)
        wire.tell("started", call=line.id, agent=spec.id, revision=spec.digest, rehearsal=rehearses)
        played = rehearsal.rehearsed(spec) if rehearses else spec
        try:
            call = await begin(line, played, {}, BECAUSE, [spectator])
            await _until_over(
                wire,
                line,
                _run(call, line),
                _listen(wire, call, line),
                _tell_edits(wire, spec, newest),
                _stop(line, stopped),
            )
        except Exception:  # the studio's other calls go on, and this one's page is told
            _log.exception("the call broke")
            line.close(_BROKE)
            await wire.end(_BROKE)
        finally:
            # Only a call that was cancelled is not over yet.
            line.close(STOPPED)
            await line.finish()
            await wire.end(STOPPED)


async def _until_over(wire: Wire, line: PageLine, *work: Coroutine[Any, Any, None]) -> None:
    """Do all of `work` until the call is over; whatever breaks in it breaks the call."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
        await wire.end(await line.over())
        for task in tasks:
            task.cancel()


async def _run(call: Call, line: PageLine) -> None:
    await call.run()
    line.begin()


async def _listen(wire: Wire, call: Call, line: PageLine) -> None:
    """Do what the page asks for; nothing here may wait for the page."""
    try:
        async for message in wire.messages():
            _take(message, call, line)
    except ProtocolError as error:
        await wire.close(WSCloseCode.UNSUPPORTED_DATA, str(error))
    line.close(_LEFT)


def _take(message: Message, call: Call, line: PageLine) -> None:
    if isinstance(message, bytes):
        line.microphone.push(message)
        return
    match message["type"]:
        case "played":
            line.loudspeaker.played(message)
        case "text":
            line.type(_text(message.get("text")))
        case "break":
            call.break_backend()
        case "hang_up":
            line.close(_LEFT)
        case _:
            raise ProtocolError("no such event")


def _text(given: object) -> str:
    if not isinstance(given, str) or not 0 < len(given) <= _LONGEST_TEXT:
        raise ProtocolError(f"a text has 1 to {_LONGEST_TEXT} characters")
    return given


async def _stop(line: PageLine, stopped: asyncio.Event) -> None:
    await stopped.wait()
    line.close(STOPPED)


async def _tell_edits(wire: Wire, spec: AgentSpec, newest: Callable[[], str | None]) -> None:
    told = spec.digest
    while True:
        revision = newest()
        if revision is not None and revision != told:
            told = revision
            wire.tell("edited", revision=revision)
        await asyncio.sleep(_LOOK)
