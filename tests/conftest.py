"""The test rig as fixtures: livekit-server, a simulated OpenAI, callers, hosts."""

from __future__ import annotations

import gc
import itertools
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from rig.caller import Caller
    from rig.host import Host
    from rig.livekit_server import LiveKitServer
    from rig.openai_service import OpenAIService


# How long one example takes says more of the machine than of the code.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "livekit: needs livekit-server (tests/rig/setup.sh)")
    config.addinivalue_line("markers", "chromium: needs Chromium (tests/rig/setup.sh)")
    config.addinivalue_line("markers", "slow: long or rare; -m 'not slow' leaves it out")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "livekit_server" in fixtures:
            item.add_marker(pytest.mark.livekit)
        if "chromium" in fixtures:
            item.add_marker(pytest.mark.chromium)


@pytest.fixture(scope="module", autouse=True)
def nothing_old_to_collect() -> None:
    """Take what is there already out of garbage collection.

    To go through a thousand tests again would stop the callers of a test for up to a second, who
    would then hear a torn voice.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def livekit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    """Run a livekit-server, one for all tests."""
    from rig.livekit_server import LiveKitServer

    with LiveKitServer(tmp_path_factory.mktemp("livekit")) as server:
        yield server


@pytest.fixture(scope="session")
def running_openai_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAIService]:
    """Run the simulated OpenAI; a test finds it as the last one left it."""
    from rig.openai_service import OpenAIService

    with OpenAIService(tmp_path_factory.mktemp("openai")) as service:
        yield service


@pytest.fixture
def openai_service(running_openai_service: OpenAIService) -> OpenAIService:
    """Give the simulated OpenAI with everything at its defaults."""
    running_openai_service.reset()
    return running_openai_service


@pytest.fixture
async def caller() -> AsyncIterator[Callable[..., Caller]]:
    """Make callers; all have left when the test ends."""
    from rig.caller import Caller

    callers: list[Caller] = []
    numbers = itertools.count(1)

    def make(identity: str = "") -> Caller:
        callers.append(Caller(identity or f"caller-{next(numbers)}"))
        return callers[-1]

    yield make
    for one in callers:
        await one.leave()


@pytest.fixture
def host_environment(
    livekit_server: LiveKitServer, openai_service: OpenAIService
) -> dict[str, str]:
    """Say what a host needs in its environment to reach the rig's servers."""
    return {**livekit_server.environment, **openai_service.environment}


@pytest.fixture
def hosts() -> Iterator[Callable[[Host], Host]]:
    """Start hosts; all are killed when the test ends."""
    started: list[Host] = []

    def start(host: Host) -> Host:
        started.append(host.start())
        return host

    yield start
    for host in started:
        host.kill()
