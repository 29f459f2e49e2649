"""The names that a room pattern captures, and what makes a pattern unreadable."""

import re

_CAPTURE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class PatternError(ValueError):
    """A room pattern cannot be read; the text says why."""


def captured_names(pattern: str) -> list[str]:
    """Return the `{name}`s of a room pattern, in order.

    Raises:
        PatternError: a brace is alone, encloses no name, or a name is there twice.
    """
    names: list[str] = _CAPTURE.findall(pattern)
    if set(_CAPTURE.sub("", pattern)) & set("{}"):
        raise PatternError("braces in a pattern enclose the name of a variable: {name}")
    if len(names) > len(set(names)):
        raise PatternError("a pattern captures each name once")
    return names
