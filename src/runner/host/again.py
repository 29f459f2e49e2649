"""Has a room answered again whose call has crashed: livekit-server itself does not."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

import aiohttp
from livekit import api
from livekit.protocol.agent import Job

from runner.catalog.records import CRASHED, RecordError, Records
from runner.host.access import Access

_log = logging.getLogger(__name__)

_INTERVAL = 0.5
#: LiveKit Cloud offers the room of a job that has failed by itself.
_CLOUD = ".livekit.cloud"
#: A room whose calls crash one after the other is given up: something in it makes them crash.
_TIMES = 2
_AGENT, _RECORDER = api.ParticipantInfo.Kind.AGENT, api.ParticipantInfo.Kind.EGRESS


class Again:
    """Watches calls of this host; `running` returns the ids of the jobs that have a process.

    A call that has ended says so in its record. One that has lost its process without is a crash:
    a caller who is still there, or comes to that room, gets a new job, which greets anew.
    """

    def __init__(
        self, livekit: Access, records: Records, running: Callable[[], Iterable[str]]
    ) -> None:
        self._livekit = livekit
        self._records = records
        self._running = running
        self._times: Counter[str] = Counter()
        self._watching: set[asyncio.Task[None]] = set()

    def watch(self, job: Job) -> None:
        """Watch a job, as LiveKit offered it, which has its process, or has got none."""
        task = asyncio.create_task(self._watch(job))
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    async def _watch(self, job: Job) -> None:
        while True:
            # LiveKit tells nobody.
            await asyncio.sleep(_INTERVAL)
            if job.id not in self._running():
                break
        if await asyncio.to_thread(self._has_crashed, job):
            await self._after_crash(job)
        else:
            self._times.pop(job.room.name, None)

    def _has_crashed(self, job: Job) -> bool:
        try:
            record = self._records.read(self._records.find(job.id))
        except RecordError:
            return True
        return record.ended is None or record.reason == CRASHED

    async def _after_crash(self, job: Job) -> None:
        if (urlsplit(self._livekit.url).hostname or "").endswith(_CLOUD):
            return
        try:
            async with api.LiveKitAPI(
                self._livekit.url, self._livekit.key, self._livekit.secret
            ) as livekit:
                if await _has_caller_alone(livekit, job):
                    _log.error("a call has crashed", extra={"room": job.room.name})
                    await self._ask(livekit, job)
        except (api.TwirpError, aiohttp.ClientError, OSError) as error:
            fields = {"room": job.room.name, "reason": type(error).__name__}
            _log.error("the room is not answered again", extra=fields)

    async def _ask(self, livekit: api.LiveKitAPI, job: Job) -> None:
        room = job.room.name
        self._times[room] += 1
        if self._times[room] > _TIMES:
            _log.error("giving the room up", extra={"room": room})
            self._times.pop(room)
            await livekit.room.delete_room(api.DeleteRoomRequest(room=room))
            return
        _log.info("asking for a new job", extra={"room": room})
        await livekit.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(
                agent_name=job.agent_name,
                room=room,
                metadata=job.metadata,
                attributes=job.attributes,
            )
        )


async def _has_caller_alone(livekit: api.LiveKitAPI, job: Job) -> bool:
    """Wait for a caller in the room; tell whether there is one, and no agent."""
    while (others := await _others(livekit, job)) is not None:
        if any(one.kind == _AGENT for one in others):
            return False
        if any(one.kind != _RECORDER for one in others):
            return True
        await asyncio.sleep(_INTERVAL)
    return False


async def _others(livekit: api.LiveKitAPI, job: Job) -> list[api.ParticipantInfo] | None:
    """Return who is in the room, None if it is gone; the dead agent is shown the door."""
    room, dead = job.room.name, f"agent-{job.id}"
    try:
        listed = await livekit.room.list_participants(api.ListParticipantsRequest(room=room))
    except api.TwirpError as error:
        if error.code == api.TwirpErrorCode.NOT_FOUND:
            return None
        raise
    others = [one for one in listed.participants if one.identity != dead]
    if len(others) < len(listed.participants):
        # LiveKit would keep it for 20 s more.
        await livekit.room.remove_participant(api.RoomParticipantIdentity(room=room, identity=dead))
    return others
