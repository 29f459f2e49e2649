"""Phone numbers in E.164, the one form in which agents and catalogs have them: +4930123456."""

import re

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_PREFIX = re.compile(r"\A(\+|00|)")
_DECORATION = re.compile(r"\(0\)|[\s()./\u2010-\u2015-]")


def e164(written: str) -> str | None:
    """Return a number as people and trunks write it in E.164; None without a country code.

    Spaces, brackets and dashes go, as does the 0 in `+49 (0)30`; 00 or nothing in front of the
    country code is a plus.
    """
    digits = _DECORATION.sub("", written)
    number = _PREFIX.sub("+", digits, count=1)
    return number if _E164.fullmatch(number) else None
