"""The ways in which a call is ended by us."""

import asyncio
import logging

import aiohttp
from livekit import api, rtc
from livekit.agents import JobContext

_log = logging.getLogger(__name__)


async def hang_up(ctx: JobContext, reason: str) -> None:
    """End the call for everybody in it: the caller hears that it is over."""
    _log.info("hanging up", extra={"reason": reason})
    deleting = ctx.delete_room()
    # Now: a room that is gone ends the job as well, and knows no reason.
    ctx.shutdown(reason)

    async def deleted() -> None:
        await deleting

    ctx.add_shutdown_callback(deleted)
    # The end of the session ends its agent, who may be the one who asks for this.
    await asyncio.shield(deleting)


async def transfer(ctx: JobContext, number: str) -> bool:
    """Pass the phone call on to `number`; tell whether the phone network took it."""
    phone = _phone(ctx.room)
    if phone is None:
        _log.warning("cannot transfer: no caller by phone in the room")
        return False
    try:
        await ctx.transfer_sip_participant(phone, f"tel:{number}")
    except (api.TwirpError, aiohttp.ClientError, OSError) as error:
        reason = error.code if isinstance(error, api.TwirpError) else type(error).__name__
        _log.warning("cannot transfer", extra={"reason": reason})
        return False
    _log.info("transferred")
    return True


def _phone(room: rtc.Room) -> rtc.RemoteParticipant | None:
    for participant in room.remote_participants.values():
        if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP:
            return participant
    return None
