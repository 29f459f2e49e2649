"""Which agent a job is for: the one that the host chose, or by the number that was called."""

import logging

from livekit import rtc
from livekit.agents import AutoSubscribe, JobContext

from runner.catalog import stamp
from runner.catalog.catalog import ByNumber, NoRoute, Route, fitted
from runner.catalog.store import Store, state_folder
from runner.definition.spec import AgentSpec, spec_from_json
from runner.errors import RunnerError
from runner.voice import record

_log = logging.getLogger(__name__)

#: LiveKit's attribute with our side's number of a phone call; `sip.phoneNumber` is the caller's.
_CALLED = "sip.trunkPhoneNumber"


async def route(ctx: JobContext) -> Route | None:
    """Return the agent that answers a job's room; None if there is none, and the job is over.

    Where the number decides, this joins the room and waits for the caller.

    Raises:
        RunnerError: the job carries no agent, or no snapshot of it can be read.
    """
    stamped = stamp.read(ctx.job.attributes) or stamp.read(ctx.token_claims().attributes or {})
    if stamped is None:
        raise RunnerError("this job names no agent; only jobs from `runner serve` can be answered")
    if isinstance(stamped, ByNumber):
        return await _by_number(ctx, stamped)
    spec = _snapshot(ctx, stamped.agent, stamped.revision)
    return Route(spec, stamped.because, stamped.variables)


async def _by_number(ctx: JobContext, left: ByNumber) -> Route | None:
    await ctx.connect(auto_subscribe=AutoSubscribe.AUDIO_ONLY)
    try:
        caller = await ctx.wait_for_participant()
    except RuntimeError:
        if ctx.room.isconnected():
            raise
        return None
    decided = left.decide(_called(caller))
    room = {"room": left.room}
    if isinstance(decided, NoRoute):
        _log.warning("no agent for this call", extra=room | {"looked_for": decided.looked_for})
        looked_for = f"looked for {decided.looked_for}"
        # Without, the host would take the call for one that crashed.
        await record.unanswered(ctx.job.id, left.room, looked_for, record.NOBODY)
        ctx.shutdown(record.NOBODY)
        return None
    spec = _snapshot(ctx, decided.agent, decided.revision)
    chosen = fitted(spec, decided.because, left.variables)
    fields = room | {"agent": spec.id, "revision": spec.digest}
    if chosen.ignored:
        ignored = "; ".join(chosen.ignored)
        _log.warning("ignored what came with the job", extra=fields | {"ignored": ignored})
    _log.info("agent chosen", extra=fields | {"because": chosen.because})
    # The host could not when it accepted the job. Not later: what the session says of its state at
    # the same moment would be lost, or this.
    await ctx.room.local_participant.set_attributes(stamp.public(chosen))
    return chosen


def _called(caller: rtc.RemoteParticipant) -> str:
    # Anybody else may be allowed to write attributes of his own.
    if caller.kind != rtc.ParticipantKind.PARTICIPANT_KIND_SIP:
        return ""
    return caller.attributes.get(_CALLED, "")


def _snapshot(ctx: JobContext, agent: str, revision: str) -> AgentSpec:
    if snapshot := stamp.carried(ctx.job.attributes).get(agent):
        return spec_from_json(snapshot)
    return Store(state_folder()).get(agent, revision)
