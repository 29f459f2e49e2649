"""What ends a call."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from livekit import api, rtc

from runner.voice.ending import transfer


class Phone:
    """A caller by phone."""

    kind = rtc.ParticipantKind.PARTICIPANT_KIND_SIP


class Job:
    """A job in whose room one calls by phone, on a network that refuses with `error`."""

    def __init__(self, error: Exception) -> None:
        self.room = self
        self.remote_participants = {"phone": Phone()}
        self._error = error

    async def transfer_sip_participant(self, _: object, number: str) -> None:
        """Refuse."""
        assert number == "tel:+442079460000"
        raise self._error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError(), "TimeoutError"),
        (aiohttp.ClientConnectionError(), "ClientConnectionError"),
        (api.TwirpError("unavailable", "no trunk", status=503), "unavailable"),
    ],
)
async def test_a_transfer_that_fails_is_told(
    error: Exception, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever asked for it goes on with something else."""
    job: Any = Job(error)
    assert not await transfer(job, "+442079460000")
    assert [vars(record)["reason"] for record in caplog.records] == [reason]
