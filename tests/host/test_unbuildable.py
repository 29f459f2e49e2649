"""A backend that cannot even be built, in an environment of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from host.test_faults import heard_of_the_last
from rig.host import Host
from rig.records import record_of
from rig.talk import SECOND, SECOND_MODEL, rehearse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rig.caller import Caller
    from rig.livekit_server import LiveKitServer
    from rig.openai_service import OpenAIService

AGENT = """
prompt: You answer the phone.
backends:
  - openai-realtime
  - {{kind: openai-realtime, name: own, model: {model}, base_url: "{base_url}"}}
"""


@pytest.fixture
def host(
    host_environment: dict[str, str],
    openai_service: OpenAIService,
    hosts: Callable[[Host], Host],
    tmp_path: Path,
) -> Host:
    """Serve the agent `desk` where `OPENAI_BASE_URL` is no address."""
    folder = tmp_path / "agents"
    folder.mkdir()
    text = AGENT.format(model=SECOND_MODEL, base_url=openai_service.base_url)
    (folder / "desk.yaml").write_text(text)
    environment = host_environment | {"OPENAI_BASE_URL": "http://localhost:port/v1"}
    return hosts(Host.serve(folder, environment=environment, home=tmp_path / "home"))


async def test_an_address_that_is_none_costs_its_backend_and_not_the_call(
    host: Host,
    livekit_server: LiveKitServer,
    caller: Callable[[], Caller],
    openai_service: OpenAIService,
) -> None:
    """The second backend greets; log and record say why the first did not."""
    rehearse(openai_service)
    await host.ready()
    one = caller()
    await one.join(livekit_server.url, livekit_server.token("desk-1", one.identity))
    greeting = await one.wait_heard(SECOND)
    assert greeting.start < 2.0
    line = await host.wait_log("backend cannot be built", room="desk-1")
    assert (line["backend"], line["reason"]) == ("openai-realtime-1", "unbuildable")
    record = await record_of(host, "desk-1", heard_of_the_last)
    stays = [(stay.name, stay.reason) for stay in record.backends]
    assert stays == [("openai-realtime-1", "unbuildable"), ("own", None)]
    assert record.backends[0].entered is None
