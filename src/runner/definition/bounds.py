"""How large a template's values may be, and those of Jinja's filters that would make larger ones.

A filter or a method that makes a text of its input's size is not here: what is made is weighed.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import Environment, filters, pass_environment, pass_eval_context
from jinja2.exceptions import SecurityError
from jinja2.nodes import EvalContext

#: The most characters and members of any value, a template's own text among them.
LIMIT = 100_000

_PLACES = 16


def check(weight: int) -> int:
    """Return the weight of a value that may be made.

    Raises:
        SecurityError: it is too large.
    """
    if weight > LIMIT:
        raise SecurityError(f"a text or a list grows past {LIMIT} characters or members")
    return weight


def weight(value: object) -> int:
    """Count the characters and members of a text or a collection, and of all that are in it."""
    left, found = [value], 0
    while left:
        one = left.pop()
        if isinstance(one, str | list | tuple | dict):
            found = check(found + len(one))
        if isinstance(one, dict):
            left += [*one, *one.values()]
        elif isinstance(one, list | tuple):
            left += one
    return found


def join(between: str, parts: Iterable[object]) -> str:
    """Join as `str.join`, and make a text of whatever is none."""
    texts, size = [], -len(between)
    for text in map(str, parts):
        size = check(size + len(between) + len(text))
        texts.append(text)
    return str(between).join(texts)


def replace(text: str, old: object, new: object, count: int = -1) -> str:
    """Replace as `str.replace`."""
    text, old, new = str(text), str(old), str(new)
    check(len(text) + text.count(old) * max(0, len(new) - len(old)))
    return text.replace(old, new, count)


@pass_environment
def _join(environment: Any, value: Iterable[Any], d: str = "", attribute: Any = None) -> Any:
    if attribute is not None:
        value = map(filters.make_attrgetter(environment, attribute), value)
    # Weighed here as well, since `map` may call this for very many values.
    return environment.made(join(str(d), value))


@pass_environment
def _replace(environment: Any, s: Any, old: Any, new: Any, count: int | None = None) -> Any:
    return environment.made(replace(s, old, new, -1 if count is None else count))


def _round(value: float, precision: int = 0, method: Any = "common") -> float:
    if abs(precision) > _PLACES:
        raise SecurityError(f"'round' takes a precision of at most {_PLACES}")
    return filters.do_round(value, precision, method)


@pass_environment
def _sum(
    environment: Environment, iterable: Iterable[Any], attribute: Any = None, start: float = 0
) -> Any:
    if not isinstance(start, int | float):
        raise SecurityError("'sum' adds numbers")
    return filters.sync_do_sum(environment, iterable, attribute, start)


@pass_eval_context
def _tojson(context: EvalContext, value: Any, indent: int | None = None) -> str:
    if indent is not None and not 0 <= indent <= _PLACES:
        raise SecurityError(f"'tojson' takes an indent of at most {_PLACES}")
    return filters.do_tojson(context, value, indent)


#: In place of Jinja's own.
FILTERS: Mapping[str, Callable[..., Any]] = {
    "join": _join,
    "replace": _replace,
    "round": _round,
    "sum": _sum,
    "tojson": _tojson,
}
#: In place of a text's own.
METHODS: Mapping[str, Callable[..., str]] = {"join": join, "replace": replace}
