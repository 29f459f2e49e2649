"""The one exception that ends the program with a sentence instead of a traceback."""


class RunnerError(Exception):
    """The program cannot go on: one sentence that says why, and what to do about it."""
