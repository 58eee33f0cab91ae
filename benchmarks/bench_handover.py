"""A thousand hand-overs of apps that are fit, although some show it slowly. How many are replaced?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import Table

APP = Path(__file__).parents[1] / "tests" / "python" / "plain_app.py"
EACH = 200
#: What the app must do before the first hand-over.
KINDS = {
    "healthy": "",
    "with frames of 400 ms": "slow 0.4",
    "paused, and usable meanwhile": "pause usable",
    "idle until somebody wakes it": "idle",
    "beside 16 busy threads of its own": "busy 16",
}

TEST = """
import time

def test_it(live_gui):
    command = live_gui.generation_folder / "state" / "command"
    if {what!r}:
        command.with_name("draft").write_text({what!r})
        command.with_name("draft").rename(command)
        while command.exists():
            time.sleep(0.01)
"""


def replaced(what: str) -> tuple[int, list[str]]:
    """How many files got a fresh process, and why."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text(f"[pytest]\nlive_gui_command = {{python}} {APP}\n")
        for number in range(EACH + 1):
            text = TEST.format(what=what if number == 0 else "")
            (folder / f"test_{number:03}.py").write_text(text)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore"]
        done = subprocess.run(
            command, cwd=folder, env=os.environ | {"PYTHONPATH": ""}, stdout=subprocess.PIPE, check=False
        )
        if done.returncode != 0:
            sys.exit(done.stdout.decode())
        (record,) = folder.glob(".livegui/*/run.json")
        notes = json.loads(record.read_text())["notes"]
        return len(notes), [note["because"] for note in notes]


def main() -> None:
    """Run every kind, in one table."""
    table = Table()
    for kind, what in KINDS.items():
        count, because = replaced(what)
        table.add(f"{EACH} hand-overs of an app {kind}: replaced", count, "", 0, "; ".join(because[:2]))
    sys.exit(table.missed > 0)


if __name__ == "__main__":
    main()
