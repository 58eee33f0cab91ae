"""A thousand hand-overs of apps that are fit, although some show it slowly. How many are replaced?

And how long does each question take, from the end of a file's last test on?
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import Table, quantile

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

#: The bar for the median of a hand-over, in milliseconds: as long as a frame of the app takes, and a bit.
BARS = {"healthy": 15.0, "paused, and usable meanwhile": 15.0, "idle until somebody wakes it": 15.0}

#: Notes how long each tear-down takes, in seconds. It ends with the hand-over.
CONFTEST = """
import time
import pytest

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown():
    began = time.perf_counter()
    yield
    with open("taken", "a") as file:
        print(time.perf_counter() - began, file=file)
"""

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


def hand_over(what: str) -> tuple[list[str], list[float]]:
    """Why files got a fresh process, and how many milliseconds each hand-over took."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text(f"[pytest]\nlive_gui_command = {{python}} {APP}\n")
        (folder / "conftest.py").write_text(CONFTEST)
        for number in range(EACH + 1):
            text = TEST.format(what=what if number == 0 else "")
            (folder / f"test_{number:03}.py").write_text(text)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore"]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            sys.exit(done.stdout.decode())
        (record,) = folder.glob(".livegui/*/run.json")
        notes = json.loads(record.read_text())["notes"]
        taken = [float(line) * 1e3 for line in (folder / "taken").read_text().split()]
        return [note["because"] for note in notes], taken[1:-1]  # without the start and the end of the app


def main() -> None:
    """Run every kind, in one table."""
    table = Table()
    for kind, what in KINDS.items():
        because, taken = hand_over(what)
        table.add(
            f"{EACH} hand-overs of an app {kind}: replaced", len(because), "", 0, note="; ".join(because[:2])
        )
        figures = f"p50 {quantile(taken, 0.5):.1f} p99 {quantile(taken, 0.99):.1f} ms"
        if kind in BARS:
            table.add(
                "  from the end of the test on, p50", quantile(taken, 0.5), "ms", BARS[kind], note=figures
            )
        else:
            table.show("  from the end of the test on", figures)
    table.end()


if __name__ == "__main__":
    main()
