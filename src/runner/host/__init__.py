"""The host process: the worker that LiveKit offers jobs to."""
