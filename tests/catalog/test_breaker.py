"""The breaker: never worse than the list, and open no longer than it must be."""

from __future__ import annotations

import multiprocessing
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import pytest
from catalog.backends import announcement, pipeline, realtime
from hypothesis import given
from hypothesis import strategies as st

from runner.catalog.backends import identity
from runner.catalog.breaker import LASTING, REFUSED, Breakers, History
from runner.definition.spec import AnnouncementBackend, Backend

NOW = 1_700_000_000.0
KEYS = {"OPENAI_API_KEY": "sk-one"}


@pytest.fixture
def breakers(tmp_path: Path) -> Breakers:
    return Breakers(tmp_path / "state", KEYS)


@pytest.mark.parametrize("reason", sorted(LASTING))
def test_what_will_not_pass_opens_at_once_until_a_probe_succeeds(
    breakers: Breakers, reason: str
) -> None:
    opened = breakers.failed(realtime(), reason, NOW)
    assert opened
    assert (opened.reason, opened.since, opened.until) == (reason, NOW, None)
    assert breakers.opened(realtime(), NOW + 1e6) == opened
    breakers.probed(realtime(), None, NOW + 10)
    assert breakers.opened(realtime(), NOW + 10) is None


def test_three_failures_within_a_minute_open_it(breakers: Breakers) -> None:
    assert breakers.failed(realtime(), "timeout", NOW) is None
    assert breakers.failed(realtime(), "timeout", NOW + 30) is None
    assert breakers.failed(realtime(), "timeout", NOW + 61) is None
    opened = breakers.failed(realtime(), "stalled", NOW + 62)
    assert opened
    assert (opened.reason, opened.since) == ("stalled", NOW + 62)
    assert breakers.failed(realtime(), "stalled", NOW + 62) is None


def test_a_call_that_succeeds_between_failures_keeps_it_closed(breakers: Breakers) -> None:
    for second in range(10):
        breakers.failed(realtime(), "timeout", NOW + second)
        if second % 2:
            breakers.succeeded(realtime())
    assert breakers.opened(realtime(), NOW + 10) is None


def test_one_host_alone_probes(breakers: Breakers) -> None:
    """What one host probes is due to no other, until that host should long have been done."""
    other = Breakers(breakers.state, KEYS)
    breakers.failed(realtime(), "quota", NOW)
    assert breakers.claim(realtime(), NOW + 5)
    assert not other.claim(realtime(), NOW + 5)
    assert not other.claim(realtime(), NOW + 24)
    assert other.claim(realtime(), NOW + 25)


def test_what_a_server_refuses_to_one_agent_is_not_shared(breakers: Breakers) -> None:
    for second in range(10):
        assert breakers.failed(realtime(), REFUSED, NOW + second) is None


def test_a_server_that_refuses_a_probe_for_its_voice_is_alive(breakers: Breakers) -> None:
    breakers.failed(realtime(), "quota", NOW)
    breakers.probed(realtime(), REFUSED, NOW + 5)
    assert breakers.opened(realtime(), NOW + 5) is None


def test_the_back_off_doubles_to_five_minutes_and_a_call_resets_it(breakers: Breakers) -> None:
    now, waits = NOW, []
    breakers.failed(realtime(), "quota", now)
    for _ in range(8):
        began = now
        while not breakers.claim(realtime(), now):
            now += 1
        waits.append(now - began)
        breakers.probed(realtime(), "quota", now)
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]
    opened = breakers.opened(realtime(), now)
    assert opened
    assert opened.since == NOW
    breakers.succeeded(realtime())
    breakers.failed(realtime(), "quota", now)
    assert breakers.claim(realtime(), now + 5)


def test_one_that_a_probe_has_closed_has_one_chance(breakers: Breakers) -> None:
    """A probe sees less than a call: the next failure opens it, for twice as long."""
    for second in range(3):
        breakers.failed(realtime(), "stalled", NOW + second)
    breakers.probed(realtime(), None, NOW + 10)
    assert breakers.opened(realtime(), NOW + 10) is None
    assert breakers.failed(realtime(), "stalled", NOW + 11)
    assert not breakers.claim(realtime(), NOW + 20)
    assert breakers.claim(realtime(), NOW + 21)
    breakers.probed(realtime(), None, NOW + 21)
    assert breakers.failed(realtime(), "stalled", NOW + 21 + 3600) is None


def test_without_a_probe_calls_try_it_again(breakers: Breakers) -> None:
    for second in range(3):
        breakers.failed(realtime(), "stalled", NOW + second)
    assert breakers.claim(realtime(), NOW + 7)
    assert breakers.opened(realtime(), NOW + 16)
    assert not breakers.opened(realtime(), NOW + 17)


def test_calls_that_fail_together_are_one_failure(breakers: Breakers) -> None:
    for _ in range(20):
        breakers.failed(realtime(), "timeout", NOW)
    assert breakers.claim(realtime(), NOW + 5)
    breakers.failed(realtime(), "unauthorized", NOW + 1)
    opened = breakers.opened(realtime(), NOW + 1e6)
    assert opened
    assert opened.reason == "unauthorized"


@pytest.mark.parametrize("shift", [-1e6, 1e6])
def test_a_clock_that_was_set_closes_nothing_for_ever(breakers: Breakers, shift: float) -> None:
    for second in range(3):
        breakers.failed(realtime(), "timeout", NOW + second)
    assert not breakers.opened(realtime(), NOW + shift)
    breakers.failed(realtime("other"), "quota", NOW)
    assert breakers.claim(realtime("other"), NOW + shift)


def test_the_scope_is_kind_address_model_and_key(tmp_path: Path) -> None:
    """Agents share what they learn of the same backend, whatever they call it."""
    breakers = Breakers(tmp_path, {**KEYS, "OTHER": "sk-two"})
    breakers.failed(realtime(), "quota", NOW)
    same = realtime(voice="sage", temperature=1, base_url="https://api.openai.com/v1/")
    assert breakers.opened(replace(same, name="another"), NOW)
    for other in (
        realtime(model="gpt-other"),
        realtime(base_url="http://localhost/v1"),
        realtime(api_key_env="OTHER"),
        realtime(api_key_env=None),
        pipeline("primary"),
    ):
        assert not breakers.opened(other, NOW)


def test_a_changed_key_is_another_backend_and_no_key_is_stored(tmp_path: Path) -> None:
    before = Breakers(tmp_path, KEYS)
    before.failed(realtime(), "unauthorized", NOW)
    after = Breakers(tmp_path, {"OPENAI_API_KEY": "sk-new"})
    assert after.opened(realtime(), NOW) is None
    (file,) = (tmp_path / "backends").iterdir()
    assert "sk-" not in file.name + file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_address_of_the_environment_counts() -> None:
    assert identity(realtime(), KEYS) != identity(
        realtime(), {**KEYS, "OPENAI_BASE_URL": "http://x"}
    )


@pytest.mark.parametrize("damage", [b"", b"[]", b"\xff", b'{"open": 1, "failures": 3}', b"{}"])
def test_a_damaged_file_means_that_nothing_is_known(breakers: Breakers, damage: bytes) -> None:
    breakers.failed(realtime(), "quota", NOW)
    (file,) = (breakers.state / "backends").iterdir()
    file.write_bytes(damage)
    assert breakers.opened(realtime(), NOW) is None
    assert breakers.failed(realtime(), "quota", NOW)


def test_a_state_folder_that_fails_costs_no_call(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    breakers = Breakers(tmp_path / "state", KEYS)
    breakers.failed(realtime(), "quota", NOW)
    breakers.probed(realtime(), "quota", NOW)
    breakers.succeeded(realtime())
    assert breakers.order([realtime(), pipeline()], NOW) == [realtime(), pipeline()]


def test_an_announcement_is_never_open(breakers: Breakers) -> None:
    breakers.failed(announcement(), "quota", NOW)
    assert breakers.opened(announcement(), NOW) is None


def test_processes_share_what_they_learn(breakers: Breakers) -> None:
    """Many processes that fail at once leave one whole file, and it is open."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        pool.starmap(_fail, [(breakers.state, number) for number in range(40)])
    assert breakers.opened(realtime(), NOW + 1)
    assert [path.suffix for path in (breakers.state / "backends").iterdir()] == [".json"]


class Slow(Breakers):
    """Breakers that have read what is known, and write it only when another wants to as well."""

    reads: ClassVar[list[Backend]] = []

    def _read(self, backend: Backend) -> History:
        known = super()._read(backend)
        self.reads.append(backend)
        folder = (self.state / "backends").stat().st_ino
        while not (len(self.reads) == 2 or _is_waited_for(folder)):
            pass
        return known


def _is_waited_for(inode: int) -> bool:
    """Tell whether anybody waits for a lock on a file."""
    locks = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f":{inode} " in line for line in locks)


def test_no_failure_is_lost_when_two_write_at_once(breakers: Breakers) -> None:
    """Two failures at the same time are two: the third opens it."""
    slow = Slow(breakers.state, KEYS)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: slow.failed(realtime(), "timeout", NOW), range(2)))
    assert breakers.failed(realtime(), "timeout", NOW)


def test_what_nobody_uses_any_more_is_removed(breakers: Breakers) -> None:
    for name in ("old", "new"):
        breakers.failed(realtime(model=name), "quota")
    (breakers.state / "backends" / ".aside").write_text("")
    for path in (breakers._path(realtime(model="old")), breakers.state / "backends" / ".aside"):
        os.utime(path, (time.time() - 100, time.time() - 100))
    breakers.remove_older(50)
    assert breakers.opened(realtime(model="new"))
    assert [path.suffix for path in (breakers.state / "backends").iterdir()] == [".json"]
    assert breakers.opened(realtime(model="old")) is None


def _fail(state: Path, number: int) -> None:
    Breakers(state, KEYS).failed(realtime(), "timeout", NOW + number / 100)


BACKENDS = st.lists(
    st.one_of(
        st.builds(realtime, st.sampled_from("abcd")),
        st.builds(pipeline, st.sampled_from("abcd")),
        st.builds(announcement),
    ),
    max_size=6,
)


@given(listed=BACKENDS, failing=BACKENDS)
def test_the_order_is_never_worse_than_the_list(
    listed: list[Backend], failing: list[Backend]
) -> None:
    """No backend is lost, announcements stay, and one that is closed never waits for an open."""
    with TemporaryDirectory() as state:
        breakers = Breakers(Path(state), KEYS)
        for backend in failing:
            breakers.failed(backend, "quota", NOW)
        ordered = breakers.order(listed, NOW)
        closed = [backend for backend in listed if not breakers.opened(backend, NOW)]
        places = [isinstance(backend, AnnouncementBackend) for backend in listed]
        assert sorted(map(repr, ordered)) == sorted(map(repr, listed))
        assert [isinstance(backend, AnnouncementBackend) for backend in ordered] == places
        assert [backend for backend in ordered if backend in closed] == closed
        if not any(places[:-1]):
            ahead = [backend in closed for backend in ordered]
            assert ahead[: len(ahead) - sum(places)] == sorted(
                ahead[: len(ahead) - sum(places)], reverse=True
            )
        if all(isinstance(backend, AnnouncementBackend) for backend in closed):
            assert ordered == listed


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["fail", "probe-fails", "probe-succeeds"]),
        st.sampled_from(["quota", "timeout", "stalled", REFUSED]),
        st.floats(0, 400),
    ),
    max_size=40,
)


@given(EVENTS)
def test_whatever_happens_a_probe_is_due_within_five_minutes_and_can_close_it(
    events: list[tuple[str, str, float]],
) -> None:
    history, now = History(), NOW
    for event, reason, later in events:
        now += later
        if event == "fail":
            history = history.after_failure(reason, now)
        elif history.opened(now):
            history = history.after_probe(reason if event == "probe-fails" else None, now)
        if history.opened(now):
            assert history.due(now + 300) or not history.opened(now + 300)
            assert not history.after_probe(None, now + 300).opened(now + 300)
