"""Which tool a sentence asks for in a rehearsal, and with which arguments."""

from typing import Any

import pytest

from runner.definition.spec import ToolStub
from runner.voice.rehearsal.grammar import wish


def stub(name: str, description: str = "", **properties: Any) -> ToolStub:
    wanted = [name for name, schema in properties.items() if not schema.pop("optional", False)]
    parameters = {"type": "object", "properties": properties, "required": wanted}
    return ToolStub(name=name, description=description, parameters=parameters, returns="")


DAYS = {"type": "string", "enum": ["monday", "tuesday"]}
TOOLS = [
    stub("check_availability", "Look up free appointments on a day.", day=DAYS),
    stub("track_parcel", "Look up where it is.", number={"pattern": "^[0-9]{8}$"}),
    stub("book_table", "Reserve seats.", guests={"type": "integer"}, window={"type": "boolean"}),
    stub("seat_party", "Seat them.", guests={"type": "integer", "minimum": 2, "maximum": 12}),
    stub("plan_visit", "Plan it.", what={"enum": ["check-up", "check-up and cleaning"]}),
    stub("find_street", "Find it.", postcode={"pattern": "^[A-Z0-9]+ [0-9][A-Z]+$"}),
    stub("pay_bill", "Pay it.", code={"type": "string", "pattern": "[0-9]{4}"}),
    stub(
        "send_letter",
        "Send it.",
        copies={"type": "array", "items": {"type": "string", "minLength": 2}, "maxItems": 2},
        address={"type": "object", "properties": {"city": {"type": "string"}}},
        signed_by={"type": "string", "maxLength": 12},
    ),
    stub("take_note", "Keep it.", caller_name={"type": "string"}),
    stub(
        "order_pizza",
        "Order it.",
        toppings={"type": "array", "items": {"enum": ["ham", "olives"]}},
        price={"type": "number", "optional": True},
    ),
]


@pytest.mark.parametrize(
    ("text", "tool", "arguments", "missing"),
    [
        ("Check availability on Monday!", "check_availability", {"day": "monday"}, ()),
        ("availability, please", "check_availability", {}, ("day",)),
        ("free appointments tuesday?", "check_availability", {"day": "tuesday"}, ()),
        ("checking availabilities", "check_availability", {}, ("day",)),
        ("track parcel 12345678.", "track_parcel", {"number": "12345678"}, ()),
        ("book a table for 4 without a window", "book_table", {"guests": 4, "window": False}, ()),
        ("book the table for 2, yes", "book_table", {"guests": 2, "window": True}, ()),
        ("take a note, my name is Ada Lovelace", "take_note", {"caller_name": "Ada Lovelace"}, ()),
        ("order a pizza with ham and olives", "order_pizza", {"toppings": ["ham", "olives"]}, ()),
        ("seat a party of 99", "seat_party", {}, ("guests",)),
        ("seat a party of 1, no, 3", "seat_party", {"guests": 3}, ()),
        ("plan a visit for a check-up", "plan_visit", {"what": "check-up"}, ()),
        (
            "plan a visit for a check-up and cleaning",
            "plan_visit",
            {"what": "check-up and cleaning"},
            (),
        ),
        ("find the street of SW1A 1AA, please", "find_street", {"postcode": "SW1A 1AA"}, ()),
        ("pay the bill with the code 1234 please", "pay_bill", {"code": "1234"}, ()),
        (
            "send a letter with copies: Ada and Charles",
            "send_letter",
            {"copies": ["Ada", "Charles"]},
            ("address", "signed_by"),
        ),
        (
            "send letter, copies: Ada, Ben and Cy",
            "send_letter",
            {},
            ("copies", "address", "signed_by"),
        ),
        (
            "order pizza, ham, for 9.50",
            "order_pizza",
            {"toppings": ["ham"], "price": 9.5},
            (),
        ),
    ],
)
def test_a_sentence_finds_its_tool_and_the_values(
    text: str, tool: str, arguments: dict[str, Any], missing: tuple[str, ...]
) -> None:
    """A tool's name or what it is for picks it; its schema picks the values."""
    found = wish(text, TOOLS)
    assert found is not None
    assert (found.tool.name, found.arguments, found.missing) == (tool, arguments, missing)


@pytest.mark.parametrize("text", ["", "Tell me a joke.", "look up", "on a day"])
def test_a_sentence_that_names_no_tool_finds_none(text: str) -> None:
    """Words that every sentence has are no name."""
    assert wish(text, TOOLS) is None


def test_what_was_missing_may_be_said_later() -> None:
    """The next sentence fills in what the one before left open."""
    first = wish("check availability", TOOLS)
    assert first is not None
    second = wish("tuesday", TOOLS, first)
    assert second is not None
    assert (second.arguments, second.missing) == ({"day": "tuesday"}, ())


def test_another_tool_ends_what_was_left_open() -> None:
    """Somebody who changes the subject is followed."""
    first = wish("check availability", TOOLS)
    second = wish("track parcel 12345678", TOOLS, first)
    assert second is not None
    assert second.tool.name == "track_parcel"


def test_all_of_an_answer_may_be_what_was_asked_for() -> None:
    """Free text, lists of it and what has to be typed as JSON need no name in front of them."""
    found = wish("send a letter", TOOLS)
    for answer, missing in [
        ("Ada, Ben and Cy", ("copies", "address", "signed_by")),
        ("Ada and Ben.", ("address", "signed_by")),
        ("to Leeds", ("address", "signed_by")),
        ('{"city": "Leeds"}', ("signed_by",)),
        ("somebody with a long name", ("signed_by",)),
        ("me", ()),
    ]:
        found = wish(answer, TOOLS, found)
        assert found is not None
        assert found.missing == missing
    assert found is not None
    expected = {"copies": ["Ada", "Ben"], "address": {"city": "Leeds"}, "signed_by": "me"}
    assert found.arguments == expected
