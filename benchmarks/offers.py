"""LiveKit's side of job offers, and nothing else of it: to ask what a host would answer now."""

import asyncio
from typing import Self

from aiohttp import WSMsgType, web
from livekit import api
from livekit.protocol import agent, models


class Offers:
    """A server that a host registers with, which never starts the jobs that the host accepts."""

    def __init__(self) -> None:
        app = web.Application()
        app.router.add_post("/twirp/livekit.RoomService/ListRooms", self._no_rooms)
        app.router.add_get("/agent", self._worker)
        self._runner = web.AppRunner(app, access_log=None)
        self._answers: dict[str, asyncio.Future[str]] = {}
        self._socket: web.WebSocketResponse | None = None
        self._number = 0

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._socket:
            await self._socket.close()
        await self._runner.cleanup()

    @property
    def environment(self) -> dict[str, str]:
        """What a host needs in its environment to register here."""
        url = f"ws://127.0.0.1:{self._runner.addresses[0][1]}"
        return {"LIVEKIT_URL": url, "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s" * 32}

    async def revision(self, room: str) -> str:
        """Offer the job of a new room; return the revision with which the host accepts it."""
        assert self._socket
        self._number += 1
        job = agent.Job(id=f"AJ_{self._number}", room=models.Room(name=room))
        answer = self._answers[job.id] = asyncio.get_running_loop().create_future()
        await self._send(agent.ServerMessage(availability=agent.AvailabilityRequest(job=job)))
        revision: str = await answer
        return revision

    async def _no_rooms(self, _: web.Request) -> web.Response:
        body = api.ListRoomsResponse().SerializeToString()
        return web.Response(body=body, content_type="application/protobuf")

    async def _worker(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._socket = socket
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                await self._take(agent.WorkerMessage.FromString(message.data))
        return socket

    async def _take(self, message: agent.WorkerMessage) -> None:
        if message.HasField("register"):
            registered = agent.RegisterWorkerResponse(worker_id="AW_1")
            await self._send(agent.ServerMessage(register=registered))
        if message.HasField("availability"):
            answer = message.availability
            attributes = answer.participant_attributes
            self._answers.pop(answer.job_id).set_result(attributes["runner.revision"])

    async def _send(self, message: agent.ServerMessage) -> None:
        assert self._socket
        await self._socket.send_bytes(message.SerializeToString())
