"""Room patterns: `*` matches anything, `{name}` a part of the room's name without `/`."""

import re
from functools import cache, lru_cache

_WILDCARD = re.compile(r"(?P<star>\*+)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")


class PatternError(ValueError):
    """A room pattern cannot be read; the text says why."""


def captured_names(pattern: str) -> list[str]:
    """Return the `{name}`s of a room pattern, in order.

    Raises:
        PatternError: a brace is alone, encloses no name, or a name is there twice.
    """
    names = [found["name"] for found in _WILDCARD.finditer(pattern) if found["name"]]
    if set(_WILDCARD.sub("", pattern)) & set("{}"):
        raise PatternError("braces in a pattern enclose the name of a variable: {name}")
    if len(names) > len(set(names)):
        raise PatternError("a pattern captures each name once")
    return names


def rooms_of(pattern: str) -> str:
    """Return what all patterns that match the same rooms have in common: all but their names."""
    return _WILDCARD.sub(lambda found: "*" if found["star"] else "{}", pattern)


def literal_length(pattern: str) -> int:
    """Count the characters of `pattern` that a room's name must have as they are."""
    return len(_WILDCARD.sub("", pattern))


def capture(pattern: str, room: str) -> dict[str, str] | None:
    """Match a whole room name; return the part that each `{name}` stands for, or None.

    Not a regular expression: the caller chooses the room's name, and several wildcards would let
    one backtrack for minutes. This takes at most pieces x length squared steps.
    """
    wildcards, literals = _parts(pattern)
    if not (room.startswith(literals[0]) and room.endswith(literals[-1])):
        return None

    @cache
    def fit(index: int, start: int) -> tuple[str, ...] | None:
        """Match what follows the literal `index` at `start`; return its wildcards' texts."""
        if not room.startswith(literals[index], start):
            return None
        start += len(literals[index])
        if index == len(wildcards):
            return () if start == len(room) else None
        for end in _ends(wildcards[index], start):
            if (rest := fit(index + 1, end)) is not None:
                return (room[start:end], *rest)
        return None

    def _ends(name: str | None, start: int) -> range:
        if name is None:
            return range(start, len(room) + 1)
        slash = room.find("/", start)
        return range(start + 1, (len(room) if slash < 0 else slash) + 1)

    texts = fit(0, 0)
    if texts is None:
        return None
    return {name: text for name, text in zip(wildcards, texts, strict=True) if name}


# Every room is held against every pattern of a folder.
@lru_cache(maxsize=16_384)
def _parts(pattern: str) -> tuple[list[str | None], list[str]]:
    """Return the wildcards, each its name (None: `*`), and the literals around them."""
    names = [found["name"] for found in _WILDCARD.finditer(pattern)]
    return names, _WILDCARD.sub("\0", pattern).split("\0")
