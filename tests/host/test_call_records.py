"""What a real call leaves behind."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from rig.records import ended_record
from rig.script import Call, Tone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rig.caller import Caller
    from rig.host import Host
    from rig.openai_service import OpenAIService

    Dial = Callable[..., Awaitable[Caller]]

REALTIME, PIPELINE = 440, 880
QUESTION = "What can you do for me?"


async def test_a_call_leaves_its_record(
    dial: Dial, host: Host, openai_service: OpenAIService
) -> None:
    """Everything about the call is in its record, but no word that was said."""
    openai_service.hears(QUESTION)
    call = Call("check_availability", {"day": "monday"})
    openai_service.realtime.script = {"": Tone("Welcome."), "do for me": call}
    one = await dial("front-desk")
    await one.wait_heard(REALTIME)
    silent = await one.wait_silence(0.3)
    await one.say(QUESTION)
    await one.wait_heard(REALTIME, after=silent + 0.1)
    await one.wait_caption("On monday")
    await one.wait_silence(0.3)
    await one.leave()
    record = await ended_record(host, one.room.name)
    assert record["agent"] == "front-desk"
    assert record["revision"] == one.attributes["runner.revision"]
    assert (record["room"], record["because"]) == (one.room.name, "room pattern front-desk-*")
    assert record["reason"] == "participant_disconnected"
    assert record["began"] < record["answered"] < record["ended"]
    (stay,) = record["backends"]
    assert (stay["name"], stay["kind"]) == ("openai-realtime-1", "openai-realtime")
    assert record["began"] < stay["entered"] < record["answered"]
    (tool,) = record["tools"]
    assert (tool["name"], tool["outcome"]) == ("check_availability", "done")
    assert 0.5 <= tool["seconds"] < 1
    assert [turn["who"] for turn in record["turns"]] == ["agent", "caller", "agent"]
    assert 0.5 < record["turns"][-1]["latencies"]["response_delay"] < 3
    assert {usage["model"] for usage in record["usage"]} >= {"gpt-realtime"}
    text = re.sub(r"T\d\d:\d\d:\d\d", "", json.dumps(record))
    for said in ("Welcome", "do for me", "monday", "9:00", "Harbour"):
        assert said not in text


async def test_a_pipeline_call_has_the_latency_and_the_usage_of_each_part(
    dial: Dial, host: Host, openai_service: OpenAIService
) -> None:
    openai_service.hears(QUESTION)
    openai_service.http.answers({"": "Welcome here.", "do for me": "I can do a lot for you."})
    one = await dial("back-office")
    await one.wait_heard(PIPELINE)
    silent = await one.wait_silence(0.3)
    await one.say(QUESTION)
    await one.wait_heard(PIPELINE, after=silent + 0.1)
    await one.wait_silence(0.3)
    await one.leave()
    record = await ended_record(host, one.room.name)
    greeting, question, answer = record["turns"]
    assert {"llm_node_ttft", "tts_node_ttfb"} <= greeting["latencies"].keys()
    assert {"transcription_delay", "end_of_turn_delay"} <= question["latencies"].keys()
    assert {"e2e_latency", "response_delay", "llm_node_ttft", "tts_node_ttfb"} <= answer[
        "latencies"
    ].keys()
    assert {usage["type"] for usage in record["usage"]} == {"llm_usage", "tts_usage", "stt_usage"}
    assert "Welcome" not in json.dumps(record)
