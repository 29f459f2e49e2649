"""Edits, snapshots and jobs at the same time: what a job reads is what it was stamped with."""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys
from typing import TYPE_CHECKING

from catalog.reloading import Reloading

from runner.catalog import stamp
from runner.catalog.catalog import RoomRequest, Route
from runner.catalog.store import Store

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
    from pathlib import Path

CALLS, REVISIONS = 3000, 10

#: Saves one agent and the text that it includes, in turn in place and by renaming, without a pause,
#: until it is told to end; prints how often.
WRITER = """
import pathlib, select, sys
agent, tone = map(pathlib.Path, sys.argv[1:])
edit = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    edit += 1
    for path, text in ((agent, "prompt: |\\n" + f"  Edit {edit}.\\n" * 50
                        + "  {% include 'tone.md' %}\\n"), (tone, f"Tone {edit}.\\n" * 50)):
        if edit % 2:
            path.write_text(text)
        else:
            aside = path.with_name("." + path.name)
            aside.write_text(text)
            aside.rename(path)
print(edit)
"""


def read_jobs(state: Path, jobs: Queue[dict[str, str]], torn: Queue[str]) -> None:
    """Read each job's snapshot as a job process does; tell of those that are not as stamped."""
    store = Store(state)
    while attributes := jobs.get():
        job = stamp.read(attributes)
        assert job is not None
        spec = store.get(job.agent, job.revision)
        edits = set(spec.prompt.splitlines()[:50])
        tones = set(spec.templates["tone.md"].splitlines())
        if spec.digest != job.revision or len(edits) != 1 or len(tones) != 1:
            torn.put(f"{job}: {edits} {tones}")
    torn.put("")


async def test_a_job_reads_what_it_was_stamped_with(tmp_path: Path) -> None:
    """Thousands of edits, two processes of jobs, and calls accepted all the while."""
    folder, state = tmp_path / "agents", tmp_path / "state"
    folder.mkdir()
    (folder / "tone.md").write_text("Tone.\n" * 50)
    (folder / "front.yaml").write_text(
        "prompt: |\n" + "  Edit.\n" * 50 + "  {% include 'tone.md' %}\n"
    )
    fork = multiprocessing.get_context("spawn")
    jobs: Queue[dict[str, str]] = fork.Queue()
    torn: Queue[str] = fork.Queue()
    readers = [fork.Process(target=read_jobs, args=(state, jobs, torn)) for _ in range(2)]
    for reader in readers:
        reader.start()
    async with Reloading(folder, state).running() as edits:
        command = [sys.executable, "-c", WRITER, folder / "front.yaml", folder / "tone.md"]
        writer = subprocess.Popen(  # noqa: ASYNC220  nothing waits for it but the end
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        accepted, revisions = 0, set()
        while accepted < CALLS or len(revisions) < REVISIONS:
            route = edits.reload.serving.catalog.route(RoomRequest(room="front-1"))
            assert isinstance(route, Route)
            revisions.add(route.spec.digest)
            jobs.put(stamp.attributes(route))
            accepted += 1
            await asyncio.sleep(0.001)
        written, _ = await asyncio.to_thread(writer.communicate, "")
        assert int(written) > CALLS
        while f"Edit {int(written)}." not in edits.prompt("front"):
            await edits.next()
    for _ in readers:
        jobs.put({})
    found = [await asyncio.to_thread(torn.get, True, 60) for _ in readers]
    assert found == ["", ""]
    for reader in readers:
        reader.join()
        assert reader.exitcode == 0
