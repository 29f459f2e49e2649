"""`runner status` prints what hosts say of themselves, letter by letter."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner.catalog.hosts import Hosts, Listing
from runner.catalog.ledger import Entry, Ledger
from runner.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MACHINE = socket.gethostname()
STARTED = "2026-11-22T16:45:52.566Z"
SINCE = 1795366000.0
FINDING = {
    "path": "agents/sales.yaml", "line": 4, "column": 8, "end_column": 14, "level": "error",
    "rule": "voice", "message": "voice 'corale' is not one that openai-realtime has",
    "suggestion": "coral",
}  # fmt: skip
REPORT: dict[str, Any] = {
    "host": {
        "machine": MACHINE, "pid": 7, "version": "0.1.0", "started": STARTED,
        "folder": "/srv/agents", "livekit": "wss://voice.example", "registered": True,
        "worker": "AW_1", "draining": False, "ready": True, "trouble": None,
    },
    "agents": [
        {"id": "billing", "name": "Billing", "path": "agents/billing.yaml", "state": "serving",
         "revision": "59a3d2dddb43", "since": STARTED, "rejected": None},
        {"id": "sales", "name": "Sales", "path": "agents/sales.yaml", "state": "broken",
         "revision": None, "since": None,
         "rejected": {"since": STARTED, "diagnostics": [FINDING]}},
    ],
    "calls": [
        {"agent": "billing", "revision": "59a3d2dddb43", "calls": 2},
        {"agent": None, "revision": None, "calls": 1},
    ],
    "last_reload": {
        "outcome": "rejected", "agents": ["billing"], "rejected": ["sales"], "seconds": 0.034,
        "at": STARTED, "trouble": "",
    },
}  # fmt: skip
SHOWN = f"""\
host 7 on {MACHINE}, ready
  started   2026-11-22T16:45:52Z
  version   0.1.0
  livekit   wss://voice.example as AW_1
  folder    /srv/agents
  status    http://127.0.0.1:PORT/
  reload    rejected in 0.034 s, 2026-11-22T16:45:52Z; changed billing; rejected sales
  calls     3
    2 billing at 59a3d2dddb43
    1 not known yet
  agent    revision      since                 state
  billing  59a3d2dddb43  2026-11-22T16:45:52Z  serving
  sales                                        broken
  agents/sales.yaml is refused since 2026-11-22T16:45:52Z
    agents/sales.yaml:4:8: voice 'corale' is not one that openai-realtime has; did you mean \
'coral'? [voice]
"""
NOBODY = """\
no host runs on STATE
last served from /srv/agents:
  agent    revision      since                 state
  billing  59a3d2dddb43  2026-11-22T16:46:40Z  serving
  sales    f605e1c3e9f9  2026-11-22T16:46:40Z  last good
  sales.yaml is refused since 2026-11-22T16:46:41Z
"""


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], int]]:
    """Answer every request with these bytes, on the port that is returned."""
    with ExitStack() as servers:

        def start(body: bytes) -> int:
            class Answer(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(body)

                def log_message(self, *_: object) -> None:
                    pass

            server = servers.enter_context(HTTPServer(("127.0.0.1", 0), Answer))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            servers.callback(server.shutdown)
            return int(server.server_address[1])

        yield start


@pytest.fixture
def listed(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """List hosts, by their port."""
    with ExitStack() as stack:

        def put(port: int, pid: int = 7, machine: str = MACHINE) -> None:
            host = Listing(machine=machine, pid=pid, port=port, started=STARTED)
            stack.enter_context(Hosts(tmp_path).listed(host))

        yield put


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run the command; return its exit code and what it has printed."""

    def run(*options: str) -> tuple[int, str]:
        code = main(["status", "--state", str(tmp_path), *options])
        return code, capsys.readouterr().out

    return run


def test_a_host_says_how_it_stands(
    run: Callable[..., tuple[int, str]],
    listed: Callable[..., None],
    answering: Callable[[bytes], int],
) -> None:
    port = answering(json.dumps(REPORT).encode())
    listed(port)
    assert run() == (0, SHOWN.replace("PORT", str(port)))
    assert run("--ready")[0] == 0
    code, text = run("--format", "json")
    assert (code, json.loads(text)["hosts"]) == (0, [{"port": port} | REPORT])


def test_what_others_have_written_does_nothing_to_a_terminal(
    run: Callable[..., tuple[int, str]],
    listed: Callable[..., None],
    answering: Callable[[bytes], int],
) -> None:
    wild = {**REPORT["agents"][0], "id": "\x1b[31m"}
    listed(answering(json.dumps({**REPORT, "agents": [wild]}).encode()))
    assert "\n  \\x1b[31m  59a3d2dddb43" in run()[1]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"host": {"pid": 8}}'])
def test_whatever_else_is_on_its_port_is_no_host(
    run: Callable[..., tuple[int, str]],
    listed: Callable[..., None],
    answering: Callable[[bytes], int],
    body: bytes,
) -> None:
    """The port may have gone to another program meanwhile."""
    listed(answering(body))
    assert run() == (
        1,
        f"host 7 on {MACHINE}, not ready: it does not answer\n  started   2026-11-22T16:45:52Z\n",
    )


def test_a_host_elsewhere_is_not_asked(
    run: Callable[..., tuple[int, str]],
    listed: Callable[..., None],
    answering: Callable[[bytes], int],
) -> None:
    """Its port means something else on this machine; one that is here counts as before."""
    port = answering(json.dumps(REPORT).encode())
    listed(port, machine="elsewhere")
    code, text = run()
    assert code == 1
    assert text.startswith("host 7 on elsewhere, not ready: it is in another container, or on")
    listed(port)
    assert run("--ready")[0] == 0


def test_one_ready_host_is_enough_and_without_one_there_is_none(
    run: Callable[..., tuple[int, str]],
    listed: Callable[..., None],
    answering: Callable[[bytes], int],
) -> None:
    draining = REPORT["host"] | {"ready": False, "draining": True, "trouble": "draining"}
    listed(answering(json.dumps(REPORT | {"host": draining}).encode()))
    assert run()[0] == 0
    assert run("--ready")[0] == 1
    listed(answering(json.dumps(REPORT).encode()))
    assert run("--ready")[0] == 0


def test_without_a_host_the_state_folder_says_what_served(
    run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    assert run() == (1, f"no host runs on {tmp_path}\n")
    good = Entry(id="billing", digest="59a3d2dddb43", since=SINCE)
    held = Entry(id="sales", digest="f605e1c3e9f9", since=SINCE, rejected=SINCE + 1)
    entries = {"billing.yaml": good, "sales.yaml": held}
    Ledger(tmp_path, Path("/srv/agents")).write(entries)
    assert run() == (1, NOBODY.replace("STATE", str(tmp_path)))
    code, text = run("--format", "json")
    shown = json.loads(text)
    assert (code, shown["hosts"]) == (1, [])
    assert [one["state"] for one in shown["remembered"]["/srv/agents"]] == ["serving", "last_good"]


def test_a_damaged_memory_is_said_and_hides_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Ledger(tmp_path, Path("/srv/agents")).write({"a.yaml": Entry(id="a")})
    (tmp_path / "folders" / "a.json").write_text("{")
    assert main(["status", "--state", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"no host runs on {tmp_path}\nlast served from /srv/agents:\n")
    assert "a.json is damaged; remove it" in err


def test_a_host_of_another_version_hides_no_other(
    listed: Callable[..., None],
    answering: Callable[[bytes], int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    listed(1)
    (newer,) = (tmp_path / "hosts").iterdir()
    newer.write_text('{"pid": 7, "socket": "/run/host"}')
    said = f"runner: {newer} is of a host of another version of voice-runner\n"
    assert main(["status", "--state", str(tmp_path)]) == 1
    assert capsys.readouterr() == (f"no other host runs on {tmp_path}\n", said)
    port = answering(json.dumps(REPORT).encode())
    listed(port)
    assert main(["status", "--state", str(tmp_path)]) == 0
    assert capsys.readouterr() == (SHOWN.replace("PORT", str(port)), said)


@pytest.mark.parametrize(
    "other",
    [
        {"host": {"pid": 7}, "agents": []},
        {**REPORT, "host": {**REPORT["host"], "started": None}},
        {**REPORT, "agents": [{"id": "billing"}]},
        {**REPORT, "agents": [{**REPORT["agents"][0], "state": "asleep"}]},
        {**REPORT, "agents": [{**REPORT["agents"][1], "rejected": {"diagnostics": [{}]}}]},
        {**REPORT, "calls": 5},
    ],
)  # fmt: skip
def test_a_report_of_another_version_hides_no_other(
    run: Callable[..., tuple[int, str]],
    listed: Callable[..., None],
    answering: Callable[[bytes], int],
    other: dict[str, Any],
) -> None:
    listed(answering(json.dumps(other).encode()))
    silent = (
        f"host 7 on {MACHINE}, not ready: it is of another version of voice-runner\n"
        "  started   2026-11-22T16:45:52Z\n"
    )
    assert run() == (1, silent)
    assert run("--ready")[0] == 1
    port = answering(json.dumps(REPORT).encode())
    listed(port)
    code, text = run()
    assert code == 0
    assert silent in text
    assert SHOWN.replace("PORT", str(port)) in text
    assert run("--ready")[0] == 0


def test_a_host_of_the_studio_alone_has_no_livekit(
    run: Callable[..., tuple[int, str]],
    listed: Callable[..., None],
    answering: Callable[[bytes], int],
) -> None:
    alone = REPORT["host"] | {"livekit": None, "registered": False, "worker": None}
    listed(answering(json.dumps(REPORT | {"host": alone}).encode()))
    code, text = run("--ready")
    assert code == 0
    assert "\n  livekit   none: calls come from the studio\n" in text


def test_livekit_is_not_imported() -> None:
    """A probe runs the command every few seconds."""
    script = (
        "import sys; from runner.cli import main; main(['status', '--state', '/nowhere']);"
        "print([name for name in sys.modules if name.split('.')[0] in ('livekit', 'jinja2')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
