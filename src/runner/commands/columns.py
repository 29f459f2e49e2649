"""How commands lay out what they list."""

from collections.abc import Iterator, Sequence


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a line a row, its cells below those of the row before."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def to_the_second(time: str) -> str:
    """Return a time of ISO 8601 in UTC without its milliseconds."""
    return time.partition(".")[0] + "Z"


def printable(text: str) -> str:
    """Return a text of somebody else's as one line that does nothing to a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
