"""Serves the rows of an SQLite database as JSON: `GET /api/agent-configs/{id}`.

Python's standard library only. `python service.py agents.db` makes the database from schema.sql if
it is not there yet. With AGENT_CONFIGS_KEY in the environment, only requests that bring it as
`Authorization: Bearer` are answered.
"""

import argparse
import hmac
import json
import os
import re
import sqlite3
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).with_name("schema.sql")
QUERY = """
  SELECT id, name, system_prompt AS systemPrompt, voice_model AS voiceModel, temperature,
         response_length AS responseLength
  FROM agent_configs WHERE id = ?
"""


def make(database: Path) -> None:
    """Make the database if it is not there yet."""
    if not database.exists():
        with closing(sqlite3.connect(database)) as connection:
            connection.executescript(SCHEMA.read_text(encoding="utf-8"))


def row(database: Path, config_id: int) -> dict[str, Any] | None:
    """Return one agent's row; None if there is no such row."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute(QUERY, (config_id,)).fetchone()
    return None if found is None else dict(found)


class Requests(BaseHTTPRequestHandler):
    """Answers from `database`; `key` is the token that a request must bring, if there is one."""

    protocol_version = "HTTP/1.1"
    database: Path
    key: str

    def do_GET(self) -> None:
        """Answer with one agent, or say that there is none."""
        path = re.fullmatch(r"/api/agent-configs/(\d{1,9})", self.path)
        brought = self.headers.get("Authorization", "")
        if self.key and not hmac.compare_digest(brought.encode(), f"Bearer {self.key}".encode()):
            self.send(HTTPStatus.UNAUTHORIZED, {"error": "unauthorized"})
        elif path and (found := row(self.database, int(path.group(1)))):
            self.send(HTTPStatus.OK, found)
        else:
            self.send(HTTPStatus.NOT_FOUND, {"error": "not found"})

    def send(self, status: HTTPStatus, value: dict[str, Any]) -> None:
        """Send JSON."""
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until Ctrl-C, on loopback only."""
    parser = argparse.ArgumentParser(description="serve agent configs from SQLite as JSON")
    parser.add_argument("database", type=Path)
    parser.add_argument("--port", type=int, default=5000)
    options = parser.parse_args()
    make(options.database)
    Requests.database = options.database
    Requests.key = os.environ.get("AGENT_CONFIGS_KEY", "")
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Requests)
    print(f"serving {options.database} at http://127.0.0.1:{options.port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
