"""How long `runner validate` takes beside `check-jsonschema`: one file cold, and 1,000 files.

Both check the same files by the same schema; ours also checks templates, voices and the folder.
Each command is a whole program run several times in turn; the medians are compared.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
SCHEMA = ROOT / "schema" / "agent.schema.json"
AGENT = ROOT / "agents" / "front-desk.yaml"
BIN = Path(sys.executable).parent


def copies(folder: Path, number: int) -> None:
    """Fill a folder with agents, each with a name and a prompt of its own."""
    shutil.copytree(AGENT.parent / "shared", folder / "shared")
    text = AGENT.read_text()
    for place in range(number):
        own = text.replace("Dental", f"Dental {place}").replace("Find out", f"{place}. Find out")
        (folder / f"agent-{place}.yaml").write_text(own)


def seconds(command: list[str]) -> float:
    """Run one program to its end; return the wall-clock seconds."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def compare(number: int, rounds: int) -> dict[str, float]:
    """Measure both programs in turn on the same files; return medians in seconds, and the ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "agents"
        folder.mkdir()
        copies(folder, number)
        files = sorted(str(path) for path in folder.glob("*.yaml"))
        ours = [str(BIN / "runner"), "validate", str(folder)]
        peer = [str(BIN / "check-jsonschema"), "--schemafile", str(SCHEMA), *files]
        seconds(ours), seconds(peer)
        pairs = [(seconds(ours), seconds(peer)) for _ in range(rounds)]
    own, other = (statistics.median(times) for times in zip(*pairs, strict=True))
    return {"files": number, "runner": own, "check-jsonschema": other, "ratio": own / other}


def main() -> None:
    """Print the table and, behind it, the same as JSON."""
    rows = [compare(1, rounds=15), compare(1000, rounds=3)]
    print(f"{'files':>6} {'runner':>9} {'check-jsonschema':>17} {'ratio':>6}")
    for row in rows:
        own, other = row["runner"], row["check-jsonschema"]
        print(f"{row['files']:>6} {own:>7.2f} s {other:>15.2f} s {row['ratio']:>6.2f}")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
