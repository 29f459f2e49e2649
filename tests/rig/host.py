"""A host of agents as a process of its own, and its log."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import IO, TYPE_CHECKING, Any

import psutil  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

KEPT = ("PATH", "LANG", "TZ", "TMPDIR", "CI")
REPOSITORY = Path(__file__).parents[2]


class Host:
    """A subprocess in an environment of its own, with its JSON log lines."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], home: Path) -> None:
        self.log: list[dict[str, Any]] = []
        self._command = list(command)
        self._environment = {key: os.environ[key] for key in KEPT if key in os.environ}
        self._environment |= {
            "HOME": str(home),
            "RUNNER_STATE_DIR": str(home / "state"),
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        self._home = home
        self._streams: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._changed = threading.Condition()
        self._readers: list[threading.Thread] = []
        self._child: subprocess.Popen[str] | None = None

    @classmethod
    def serve(cls, folder: Path, *options: str, environment: Mapping[str, str], home: Path) -> Self:
        """Return `python -m runner serve FOLDER`, not started yet."""
        command = [sys.executable, "-m", "runner", "serve", str(folder), *options]
        source = {"PYTHONPATH": str(REPOSITORY / "src")}
        return cls([*command, "--log-format", "json"], {**source, **environment}, home)

    @classmethod
    def hand_written(
        cls, *, pipeline: bool = False, environment: Mapping[str, str], home: Path
    ) -> Self:
        """Return the agent of `hand_written.py`, not started yet."""
        command = [sys.executable, str(Path(__file__).with_name("hand_written.py")), "start"]
        kind = {"HAND_WRITTEN": "pipeline" if pipeline else "realtime"}
        return cls(command, {**kind, **environment}, home)

    @property
    def state(self) -> Path:
        """The state folder."""
        return Path(self._environment["RUNNER_STATE_DIR"])

    @property
    def pid(self) -> int:
        """The process id."""
        return self._running.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, `None` while it runs."""
        return self._running.poll()

    @property
    def stdout(self) -> str:
        """What it has written to standard output."""
        return "".join(self._streams["stdout"])

    @property
    def stderr(self) -> str:
        """What it has written to standard error."""
        return "".join(self._streams["stderr"])

    @property
    def _running(self) -> subprocess.Popen[str]:
        if self._child is None:
            msg = "the host was not started"
            raise RuntimeError(msg)
        return self._child

    def start(self) -> Self:
        """Start the process."""
        self._home.mkdir(parents=True, exist_ok=True)
        child = subprocess.Popen(
            self._command,
            env=self._environment,
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._child = child
        for name, stream in (("stdout", child.stdout), ("stderr", child.stderr)):
            assert stream is not None
            reader = threading.Thread(target=self._read, args=(name, stream), daemon=True)
            reader.start()
            self._readers.append(reader)
        return self

    async def wait_log(
        self, part: str, *, count: int = 1, within: float = 30.0, **fields: Any
    ) -> dict[str, Any]:
        """Return the `count`-th log line whose message contains `part` and that has `fields`."""

        def found() -> dict[str, Any] | None:
            hits = [
                line
                for line in self.log
                if part in str(line.get("message", ""))
                and all(line.get(key) == value for key, value in fields.items())
            ]
            return hits[count - 1] if len(hits) >= count else None

        def settled() -> bool:
            return found() is not None or not any(reader.is_alive() for reader in self._readers)

        def wait() -> dict[str, Any] | None:
            with self._changed:
                self._changed.wait_for(settled, within)
                return found()

        line = await asyncio.to_thread(wait)
        if line is None:
            msg = (
                f"no log line {part!r} {fields} number {count} within {within} s "
                f"(exit {self.returncode});\nstdout: {self.stdout[-4000:]}\n"
                f"stderr: {self.stderr[-4000:]}"
            )
            raise AssertionError(msg)
        return line

    async def wait_printed(self, pattern: str, *, within: float = 30.0) -> re.Match[str]:
        """Return the first match of `pattern` in what it has written to standard output."""

        def found() -> re.Match[str] | None:
            return re.search(pattern, self.stdout, re.MULTILINE)

        def wait() -> re.Match[str] | None:
            with self._changed:
                self._changed.wait_for(lambda: found() is not None, within)
                return found()

        match = await asyncio.to_thread(wait)
        assert match, f"{pattern!r} is not in {self.stdout!r}"
        return match

    async def ready(self, *, within: float = 30.0) -> Self:
        """Wait until it is registered at livekit-server."""
        await self.wait_log("registered worker", within=within)
        return self

    def signal(self, sig: Signals = SIGTERM) -> None:
        """Send a signal to the process, not to its children."""
        self._running.send_signal(sig)

    def stop(self, sig: Signals = SIGTERM, timeout: float = 15.0) -> int:
        """End the process with a signal, after `timeout` by force; return its exit status."""
        child = self._running
        if child.poll() is None:
            child.send_signal(sig)
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._kill_group()
        for reader in self._readers:
            reader.join(5)
        return child.wait()

    def kill(self) -> int:
        """End the process and its children as a crash would; return its exit status."""
        return self.stop(SIGKILL)

    def kill_only_call(self) -> None:
        """Kill the process of the one call that is on: of all, it has the most threads."""
        processes = psutil.Process(self.pid).children(recursive=True)
        os.kill(max(processes, key=lambda one: one.num_threads()).pid, SIGKILL)

    def _kill_group(self) -> None:
        try:
            os.killpg(self._running.pid, SIGKILL)
        except ProcessLookupError:
            return

    def _read(self, name: str, stream: IO[str]) -> None:
        for line in stream:
            parsed = None
            if line.startswith("{"):
                try:
                    parsed = json.loads(line)
                except ValueError:
                    parsed = None
            with self._changed:
                self._streams[name].append(line)
                if isinstance(parsed, dict):
                    self.log.append(parsed)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()
