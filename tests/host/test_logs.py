"""A log record is one line, with known fields only."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from runner.logs import JSONFormatter, TextFormatter

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def written() -> Callable[..., str]:
    """Log one record through a formatter and return what was written."""

    def write(formatter: logging.Formatter, name: str, message: str, **arguments: Any) -> str:
        out = io.StringIO()
        handler = logging.StreamHandler(out)
        handler.setFormatter(formatter)
        logger = logging.Logger(name)
        logger.addHandler(handler)
        logger.warning(message, **arguments)
        return out.getvalue()

    return write


def test_json_has_the_time_the_level_the_message_and_the_fields(
    written: Callable[..., str],
) -> None:
    fields = {"agent": "front-desk", "room": "a\nb", "user_input": "my secret", "seconds": 1.5}
    line = json.loads(written(JSONFormatter(), "runner.voice.call", "call ended", extra=fields))
    time = line.pop("time")
    assert time.endswith("+00:00")
    assert line == {
        "level": "WARNING",
        "message": "call ended",
        "agent": "front-desk",
        "room": "a\nb",
        "seconds": 1.5,
    }


def test_text_quotes_what_could_forge_a_line(written: Callable[..., str]) -> None:
    forged = 'x\n2026 INFO call ended reason="none"\x1b[31m'
    text = written(TextFormatter(), "runner", "participant joined", extra={"participant": forged})
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert text.rstrip().endswith(f"WARNING participant joined participant={json.dumps(forged)}")


def test_an_exception_is_one_line_with_its_place(written: Callable[..., str]) -> None:
    try:
        raise ValueError("no such\nthing")
    except ValueError as error:
        text = written(TextFormatter(), "livekit.agents", "it\nfailed", exc_info=error)
    assert text.count("\n") == 1
    assert "it failed logger=livekit.agents error=" in text
    assert "(test_logs.py:" in text


@pytest.mark.parametrize("formatter", [TextFormatter, JSONFormatter])
def test_a_key_in_somebody_s_error_is_not_written(
    written: Callable[..., str], monkeypatch: pytest.MonkeyPatch, formatter: Any
) -> None:
    """Servers tell which key they refuse."""
    monkeypatch.setenv("MY_API_KEY", "abcdefgh-1234")
    monkeypatch.setenv("SHORT_KEY", "key")
    error = "failed: 401 - Incorrect key: {}, key sk-proj-12345678 too"
    try:
        raise ValueError(error.format("abcdefgh-1234"))
    except ValueError as raised:
        arguments = {"exc_info": raised, "extra": {"reason": "sk-aaaa-bbbb-cccc"}}
        line = written(formatter(), "livekit.agents", error.format("abcdefgh-1234"), **arguments)
    assert line.count("Incorrect key: $MY_API_KEY, key sk-... too") == 2
    assert "abcdefgh" not in line
    assert "aaaa" not in line
