"""One address that stands in for api.openai.com: Realtime, chat, transcriptions, speech."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from aiohttp import web

from .openai_http import OpenAIHTTP
from .openai_realtime import RealtimeSimulator

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

TEST_KEY = "sk-test"


class OpenAIService:
    """Serves `base_url` from a thread of its own, so that other processes reach it."""

    def __init__(self, folder: Path) -> None:
        self.realtime = RealtimeSimulator()
        self.http = OpenAIHTTP(folder)
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        """The value for `OPENAI_BASE_URL`."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def environment(self) -> dict[str, str]:
        """What an agent needs in its environment to use this service."""
        return {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": TEST_KEY}

    def check_key(self) -> None:
        """Refuse every key but `sk-test` from now on."""
        self.realtime.check_key = self.http.check_key = TEST_KEY

    def hears(self, *texts: str) -> None:
        """Set what the callers' utterances to come mean, on either kind of backend."""
        self.realtime.hears = texts
        self.http.hears(*texts)

    def reset(self) -> None:
        """Return to the defaults, break what is still connected, forget what happened."""
        asyncio.run_coroutine_threadsafe(self.realtime.drop_all(), self._loop).result(5)
        self.realtime.reset()
        self.http.reset()

    def start(self) -> Self:
        """Start serving on a free port."""
        self.http.start()
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(10)
        return self

    def stop(self) -> None:
        """Stop serving and break what is connected."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
        self.http.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def _serve(self) -> None:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_get("/v1/realtime", self.realtime.serve)
        app.router.add_route("*", "/{path:.*}", self.http.serve)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        await self.realtime.drop_all()
        if self._runner is not None:
            await self._runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
