"""Jinja made safe for files that anybody edits: immutable, strict, and bounded in time and size."""

from collections.abc import Callable
from typing import Any

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

#: The largest text a template may become, and the most steps all its `range`s may make together.
LIMIT = 100_000

_GROWING_METHODS = frozenset(
    {"center", "expandtabs", "format", "format_map", "ljust", "rjust", "zfill"}
)
_GROWING_FILTERS = ("batch", "center", "format", "indent", "slice")


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment in which names must exist, nothing can be changed and nothing can explode.

    `read` returns the text of an included file by its path below the agents folder, or None.
    """

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, read: Callable[[str], str | None]) -> None:
        super().__init__(
            loader=jinja2.FunctionLoader(lambda name: _named(name, read(name))),
            undefined=jinja2.StrictUndefined,
        )
        for name in ("lipsum", "cycler", "joiner"):
            del self.globals[name]
        for name in _GROWING_FILTERS:
            del self.filters[name]

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Refuse, besides what Jinja refuses, the methods that make a short text a huge one."""
        if isinstance(obj, str) and attr in _GROWING_METHODS:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Allow arithmetic on numbers of a reasonable size only."""
        if not all(isinstance(side, int | float) and abs(side) < LIMIT for side in (left, right)):
            raise SecurityError(f"'{operator}' takes two numbers below {LIMIT}")
        if operator == "**" and right > 16:
            raise SecurityError("'**' takes an exponent of at most 16")
        return super().call_binop(context, operator, left, right)

    def render(self, text: str, names: dict[str, Any]) -> str:
        """Render `text` with `names`.

        Raises:
            SecurityError: the template does something that is not allowed, or grows past `LIMIT`.
            Exception: whatever else the template's own expressions raise.
        """
        chunks = []
        size = 0
        for chunk in self.from_string(text).generate(names | {"range": _budgeted_range()}):
            size += len(chunk)
            if size > LIMIT:
                raise SecurityError(f"the text grows past {LIMIT} characters")
            chunks.append(chunk)
        return "".join(chunks)


def _budgeted_range() -> Callable[..., range]:
    left = LIMIT

    def bounded(*args: int) -> range:
        nonlocal left
        steps = range(*args)
        left -= len(steps)
        if left < 0:
            raise SecurityError(f"the loops make more than {LIMIT} steps")
        return steps

    return bounded


def _named(name: str, text: str | None) -> tuple[str, str, None] | None:
    return None if text is None else (text, name, None)
