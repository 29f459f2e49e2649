"""Which agent answers a room, and what a call may bring."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from catalog.specs import a_spec

from runner.catalog import stamp
from runner.catalog.catalog import Catalog, NoRoute, RoomRequest, Route
from runner.catalog.metadata import LIMIT
from runner.catalog.variables import TEXT_LIMIT, accept
from runner.definition import patterns
from runner.definition.spec import Answers

CATALOG = Catalog(
    {
        spec.id: spec
        for spec in (
            a_spec("front-desk"),
            a_spec("night", answers=Answers(rooms=("night-*", "front-desk-night-*"))),
            a_spec("branch", answers=Answers(rooms=("branch-{city}-{number}",))),
            a_spec("rest", answers=Answers(rooms=(), default=True)),
        )
    },
    files=4,
)


def by_json(agent: str, **variables: Any) -> str:
    return json.dumps({"agent": agent, "variables": variables})


def test_variables_of_the_dispatch_win_over_the_room_and_the_pattern() -> None:
    route = CATALOG.route(
        RoomRequest(
            room="branch-york-3",
            room_metadata=json.dumps({"variables": {"city": "leeds", "caller_name": "Ada"}}),
            dispatch_metadata=json.dumps({"variables": {"caller_name": "Bob"}}),
        )
    )
    assert isinstance(route, Route)
    assert route.variables == {"city": "leeds", "number": 3, "caller_name": "Bob"}


@pytest.mark.parametrize(
    "foreign",
    [
        "hello", "{", "[]", "3", '"night"', "null", '{"agent": {"id": 3}}', '{"variables": "x"}',
        "[" * 60_000, "9" * 5_000, "x" * (LIMIT + 1), "x" * 1_000_000, '{"a":' * 10_000,
    ],
)  # fmt: skip
def test_foreign_metadata_is_ignored_with_a_reason(foreign: str) -> None:
    route = CATALOG.route(RoomRequest(room="night-1", room_metadata=foreign))
    assert isinstance(route, Route)
    assert (route.spec.id, route.variables) == ("night", {})
    assert route.ignored[0].startswith("room metadata: ")


def test_a_name_that_no_agent_has_is_quoted_in_short() -> None:
    """Whoever dispatches a job may write what he likes."""
    turned_down = CATALOG.route(RoomRequest(room="x", dispatch_metadata=by_json("nobody" * 50)))
    assert isinstance(turned_down, NoRoute)
    assert turned_down.looked_for.startswith("'nobody")
    assert len(turned_down.looked_for) < 100


@pytest.mark.parametrize(
    ("default", "given", "value"),
    [
        ("there", "Ada", "Ada"),
        ("there", 7, "7"),
        ("there", "{{ 7 * 7 }}", "{{ 7 * 7 }}"),
        ("there", "A\x00d\x1b[31ma\x7f\n\t\ud800", "Ad[31ma\n\t"),
        ("there", "x" * TEXT_LIMIT, "x" * TEXT_LIMIT),
        (1, 2.5, 2.5),
        (1, "12", 12),
        (1, "1.5", 1.5),
        (False, True, True),
        (["a"], ["b", 2, True, "c\x00"], ["b", 2, True, "c"]),
        ([], [], []),
    ],
)
def test_a_value_that_fits_is_taken(default: Any, given: Any, value: Any) -> None:
    assert accept({"name": default}, {"name": given}).values == {"name": value}


@pytest.mark.parametrize(
    ("default", "given", "reason"),
    [
        ("there", "x" * (TEXT_LIMIT + 1), "longer than 10000 characters"),
        ("there", True, "not a text"),
        ("there", {"a": 1}, "not a text"),
        ("there", None, "not a text"),
        (1, "twelve", "not a number"),
        (1, True, "not a number"),
        (1, float("inf"), "not a number"),
        (1, "nan", "not a number"),
        (1, "9" * 5_000, "not a number"),
        (False, "yes", "neither true nor false"),
        (False, 1, "neither true nor false"),
        (["a"], "b", "not a list"),
        (["a"], [["b"]], "a list of something else than texts, numbers, true and false"),
        (["a"], ["b", None], "a list of something else than texts, numbers, true and false"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(default: Any, given: Any, reason: str) -> None:
    accepted = accept({"name": default}, {"name": given})
    assert accepted.values == {}
    assert accepted.refused == (f"name: {reason}",)


def test_undeclared_names_are_counted_not_quoted() -> None:
    accepted = accept({"name": "x"}, {"other": 1, "agent": 2, "name": "y"})
    assert accepted.values == {"name": "y"}
    assert accepted.refused == ("2 that the agent does not declare",)


@pytest.mark.parametrize(
    ("pattern", "room", "captured"),
    [
        ("front-desk", "front-desk", {}),
        ("front-desk", "front-desk-1", None),
        ("*", "", {}),
        ("a*", "a", {}),
        ("*a", "bca", {}),
        ("a*c*e", "abcde", {}),
        ("a*c*e", "abcd", None),
        ("{x}", "", None),
        ("{x}", "a/b", None),
        ("{x}/{y}", "a/b", {"x": "a", "y": "b"}),
        ("{x}-x", "p-x-x", {"x": "p-x"}),
        ("*a{x}", "a/ab", {"x": "b"}),
        ("a.c", "abc", None),
        ("[ab]?", "[ab]?", {}),
        ("session_{id}_*", "session_7_x_y", {"id": "7"}),
    ],
)
def test_patterns(pattern: str, room: str, captured: dict[str, str] | None) -> None:
    assert patterns.capture(pattern, room) == captured


def test_no_room_name_makes_a_pattern_slow() -> None:
    began = time.perf_counter()
    assert patterns.capture("{a}-{b}-{c}-{d}-{e}-*-*-*x", "-" * 512) is None
    assert time.perf_counter() - began < 1


def test_a_stamp_survives_the_way_to_the_job() -> None:
    route = CATALOG.route(
        RoomRequest(room="branch-york-3", dispatch_metadata=by_json("", caller_name='"é{{ x }}'))
    )
    assert isinstance(route, Route)
    read = stamp.read(stamp.attributes(route))
    assert read == stamp.Stamp(route.spec.id, route.spec.digest, route.variables, route.because)
    assert "variables" not in json.dumps(stamp.public(route))
    assert stamp.read({}) is None
