"""A real livekit-server on free loopback ports."""

from __future__ import annotations

import datetime as dt
import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from livekit import api

from . import needs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

API_KEY = "rigkey"
API_SECRET = "a-value-for-tests-only-not-a-secret-0000"


class LiveKitServer:
    """One livekit-server; its keys and ports stay the same over a restart."""

    def __init__(self, folder: Path) -> None:
        self.api_key = API_KEY
        self.api_secret = API_SECRET
        self.port = needs.free_port()
        self.log = folder / "livekit-server.log"
        self._binary = needs.livekit_server()
        self._settings = folder / "livekit-server.yaml"
        self._child: subprocess.Popen[bytes] | None = None
        rtc = {
            "tcp_port": needs.free_port(),
            "udp_port": needs.free_port(socket.SOCK_DGRAM),
            "node_ip": "127.0.0.1",
            "use_external_ip": False,
            "enable_loopback_candidate": True,
        }
        self._settings.write_text(
            json.dumps(
                {
                    "port": self.port,
                    "bind_addresses": ["127.0.0.1"],
                    "keys": {self.api_key: self.api_secret},
                    "rtc": rtc,
                    "logging": {"level": "info"},
                }
            )
        )

    @property
    def url(self) -> str:
        """The WebSocket address for workers and participants."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a worker needs in its environment to register here."""
        return {
            "LIVEKIT_URL": self.url,
            "LIVEKIT_API_KEY": self.api_key,
            "LIVEKIT_API_SECRET": self.api_secret,
        }

    def start(self, timeout: float = 20.0) -> Self:
        """Start the server and wait until it answers HTTP."""
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [self._binary, "--config", str(self._settings)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + timeout
        while not self._answers():
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                msg = f"livekit-server did not start: {self.log.read_text()[-2000:]}"
                raise RuntimeError(msg)
            time.sleep(0.05)
        return self

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> None:
        """Stop the server; after 5 s by force."""
        child, self._child = self._child, None
        if child is None:
            return
        child.send_signal(sig)
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def kill(self) -> None:
        """End the server as a crash would."""
        self.stop(signal.SIGKILL)

    def token(
        self,
        room: str,
        identity: str,
        *,
        name: str = "",
        attributes: Mapping[str, str] | None = None,
        metadata: str = "",
        room_config: api.RoomConfiguration | None = None,
        agent: str | None = None,
        agent_metadata: str = "",
        kind: api.AccessToken.ParticipantKind = "standard",
    ) -> str:
        """Return a token to join `room`; `agent` asks for the dispatch of that agent name.

        The `kind` sip is a caller by phone, as LiveKit's SIP service brings one in.
        """
        if agent is not None:
            dispatch = api.RoomAgentDispatch(agent_name=agent, metadata=agent_metadata)
            room_config = api.RoomConfiguration(agents=[dispatch])
        token = (
            api.AccessToken(self.api_key, self.api_secret)
            .with_identity(identity)
            .with_kind(kind)
            .with_name(name or identity)
            .with_metadata(metadata)
            .with_attributes(dict(attributes or {}))
            .with_ttl(dt.timedelta(hours=1))
            .with_grants(api.VideoGrants(room_join=True, room=room))
        )
        if room_config is not None:
            token = token.with_room_config(room_config)
        return str(token.to_jwt())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}", timeout=1):
                return True
        except (urllib.error.URLError, OSError):
            return False
