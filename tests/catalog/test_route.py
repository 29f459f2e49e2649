"""Which agent answers a room: the tables in `tests/cases/route/`, a folder of agents each."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.catalog import stamp
from runner.catalog.catalog import (
    ByNumber,
    Candidate,
    Catalog,
    NoRoute,
    RoomRequest,
    Route,
    fitted,
)
from runner.definition.loader import load
from runner.definition.spec import spec_from_json

ROUTES = Path(__file__).parents[1] / "cases" / "route"
KNOWN = ("room", "dispatch_metadata", "dispatch_agent", "room_metadata", "number")


def catalog(table: Path) -> Catalog:
    loaded = load([table.with_suffix("")])
    return Catalog(loaded.specs, loaded.files)


def rows() -> list[Any]:
    return [
        pytest.param(table, row, id=f"{table.stem}-{number}")
        for table in sorted(ROUTES.glob("*.yaml"))
        for number, row in enumerate(yaml.safe_load(table.read_text()), start=1)
    ]


def request_of(row: dict[str, Any]) -> RoomRequest:
    return RoomRequest(**{"number": ""} | {key: row[key] for key in KNOWN if key in row})


def expected(row: dict[str, Any]) -> dict[str, Any]:
    wanted = {key: value for key, value in row.items() if key not in KNOWN}
    return {"variables": {}, "ignored": [], **wanted} if "agent" in wanted else wanted


def outcome(route: Route | ByNumber | NoRoute) -> dict[str, Any]:
    match route:
        case Route():
            return {
                "agent": route.spec.id,
                "because": route.because,
                "variables": dict(route.variables),
                "ignored": list(route.ignored),
            }
        case NoRoute():
            return {"looked_for": route.looked_for}
        case ByNumber():
            return {"waits": True}


@pytest.mark.parametrize(("table", "row"), rows())
def test_a_call_goes_where_the_table_says(table: Path, row: dict[str, Any]) -> None:
    """Who answers, why, with which variables, and what is left aside; or what was looked for."""
    assert outcome(catalog(table).route(request_of(row))) == expected(row)


@pytest.mark.parametrize(("table", "row"), [row for row in rows() if row.values[1].get("number")])
def test_a_number_that_is_known_later_leads_to_the_same_agent(
    table: Path, row: dict[str, Any]
) -> None:
    """What the host leaves open, the job decides as if the number had been known."""
    agents = catalog(table)
    route = agents.route(replace(request_of(row), number=None))
    if isinstance(route, ByNumber):
        assert outcome(decided_later(agents, route, row["number"])) == expected(row)
    elif isinstance(route, Route):
        assert route.spec.id == row["agent"]
    else:
        assert "agent" not in row


def decided_later(agents: Catalog, route: ByNumber, number: str) -> Route | NoRoute:
    left = stamp.read(stamp.attributes(route))
    assert isinstance(left, ByNumber)
    decided = left.decide(number)
    if isinstance(decided, NoRoute):
        return decided
    spec = agents.specs[decided.agent]
    assert decided.revision == spec.digest
    return fitted(spec, decided.because, left.variables)


def test_what_waits_for_a_number_is_for_the_job_alone() -> None:
    """Nothing of it is shown in the room, and nothing that a dispatch brings takes its place."""
    left = catalog(ROUTES / "phones.yaml").route(
        RoomRequest(room="call-1", room_metadata='{"variables": {"a": "é"}}')
    )
    assert isinstance(left, ByNumber)
    assert stamp.public(left) == {}
    forged = {stamp.AGENT: "sales", stamp.REVISION: "0" * 12}
    assert stamp.read(forged | stamp.attributes(left)) == left
    assert stamp.carried({"runner.carried": '{"sales": ""}'} | stamp.attributes(left)) == {}


def test_a_stamp_is_not_undone_by_a_dispatch() -> None:
    """Attributes of the job that somebody else set are overwritten."""
    route = catalog(ROUTES / "alone.yaml").route(RoomRequest(room="x"))
    assert isinstance(route, Route)
    read = stamp.read({"runner.by_number": "{}"} | stamp.attributes(route))
    assert isinstance(read, stamp.Stamp)
    assert read.agent == "front-desk"
    forged = {"runner.carried": '{"front-desk": ""}'} | stamp.attributes(route)
    assert stamp.carried(forged) == {}


@pytest.mark.parametrize("table", ["alone", "phones"])
def test_a_stamp_may_carry_the_agents_themselves(table: str) -> None:
    agents = catalog(ROUTES / f"{table}.yaml")
    route = agents.route(RoomRequest(room="x"))
    assert not isinstance(route, NoRoute)
    attributes = stamp.attributes(route, {id_: one.to_json() for id_, one in agents.specs.items()})
    assert stamp.read(attributes) == stamp.read(stamp.attributes(route))
    carried = stamp.carried(attributes)
    assert {id_: spec_from_json(text) for id_, text in carried.items()} == agents.specs


def test_all_who_may_answer_a_number_are_known() -> None:
    """Those who claim one, and the one who answers all others; nobody who answers by name alone."""
    left = ByNumber(
        "call-1",
        {"+4930123456": ("sales", "0" * 12), "+4930123457": ("sales", "0" * 12)},
        Candidate("rest", "1" * 12, "default"),
    )
    assert left.agents == {"sales", "rest"}
    assert replace(left, otherwise=None).agents == {"sales"}


def test_thousands_of_numbers_are_a_small_stamp() -> None:
    """Each agent stands in it once, each number once: below 200 KB for 5,000 numbers."""
    numbers = {f"+4930{n:07}": (f"agent-{n % 1000}", "0123456789ab") for n in range(5_000)}
    left = ByNumber("call-1", numbers, None)
    text = json.dumps(stamp.attributes(left))
    assert len(text) < 200_000
    assert stamp.read(stamp.attributes(left)) == left
