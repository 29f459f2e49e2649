"""What runs in a job process. The host only refers to it and never imports what it imports."""

import signal

from livekit.agents import JobContext, JobProcess

#: Imported once, in the process that all job processes are forked from.
PRELOAD = ["runner.host.forkserver"]


def set_up(_: JobProcess) -> None:
    """Make an idle job process ready for its call."""
    # The host drains; a terminal's or a service manager's signal to the whole process group must
    # not end the calls. LiveKit's own guard does not work under its fork server.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Already there, but on systems without a fork server.
    import runner.voice.warm  # noqa: F401


async def answer(ctx: JobContext) -> None:
    """Serve one call."""
    from runner.voice.call import answer

    await answer(ctx)
