"""Imported only by LiveKit's fork server, the process that all job processes are forked from."""

import signal

import runner.voice.warm  # noqa: F401

# A SIGTERM for the whole process group would end it, and with it the host's sight of its calls.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
