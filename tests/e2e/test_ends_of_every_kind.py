"""Every way in which a test may end the real app, declared and not: the table in docs/testing.md."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_sloppy import Run, run

__all__ = ["run"]

DOCS = Path(__file__).parents[2] / "docs" / "testing.md"

#: By the first column of the table: what the test does.
ENDS = {
    "`expect_exit()`, and the app quits": "with live_gui.expect_exit():\n        hook.fault('leave_loop')",
    "`expect_exit()`, and it is asked to end": "with live_gui.expect_exit(ASKED):\n        live_gui.process.terminate()",
    "`expect_exit(SIGKILL)`, and it is killed": "with live_gui.expect_exit(KILLED):\n        live_gui.process.kill()",
    "`expect_exit()`, and it ends with another status": "with live_gui.expect_exit():\n        exits(hook)",
    "`expect_exit()`, and it does not end": "with live_gui.expect_exit(within=0.2):\n        pass",
    "`expect_exit()`, and it crashes": "with live_gui.expect_exit():\n        hook.fault('im_assert')",
    "`expect_degraded()`, and it crashes": "with live_gui.expect_degraded('main_loop_crashed'):\n        "
    "hook.fault('im_assert')",
    "`live_gui_ends_app`, and it is killed": "live_gui.process.kill()",
    "nothing declared, and it quits": "hook.fault('leave_loop')\n    time.sleep(30)",
    "nothing declared, and it is killed": "live_gui.process.kill()\n    time.sleep(30)",
    "nothing declared, and it crashes": "hook.fault('im_assert')\n    time.sleep(30)",
    "`xfail`, and it crashes": "hook.fault('im_assert')\n    time.sleep(30)",
}
MARKS = {"`live_gui_ends_app`, ": "@pytest.mark.live_gui_ends_app\n", "`xfail`, ": "@pytest.mark.xfail\n"}

FILE = """
import contextlib, signal, sys, time, pytest

ASKED = {{0, signal.SIGTERM}}
KILLED = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL

def exits(hook):
    with contextlib.suppress(OSError):  # it ends before it has answered
        hook.fault("exit_process")

{mark}def test_{number}(hook, live_gui):
    {end}

def test_{number}_after(hook, live_gui):
    assert live_gui.is_healthy() and hook.status()["hook_server"] == "ok"
"""


def table() -> dict[str, tuple[str, str, str]]:
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| the test | it |"))
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        name, *outcomes = [cell.strip() for cell in line.strip("|").split("|")]
        rows[name] = (outcomes[0], outcomes[1], outcomes[2])
    return rows


WORDS = {"passed": "passed", "failure": "failed", "error": "did not run", "skipped": "xfailed"}


@pytest.mark.parametrize(
    "options",
    [
        ["--live-gui-scope=module"],
        ["--live-gui-spares=1"],
        ["--live-gui-respawn=test"],
        ["-n2", "--dist=loadfile"],
    ],
    ids=["A", "B", "D", "xdist"],
)
def test_every_end_comes_out_as_the_table_in_the_docs_says(run: Run, options: list[str]) -> None:
    rows = table()
    assert list(rows) == list(ENDS)
    files = {}
    for number, (name, end) in enumerate(ENDS.items()):
        mark = next((mark for prefix, mark in MARKS.items() if name.startswith(prefix)), "")
        files[f"test_{number:02}.py"] = FILE.format(number=number, mark=mark, end=end)
    result = run(*options, "--live-gui-max-respawns=9", tests=files)
    column = 2 if "--live-gui-respawn=test" in options else 1
    outcomes = {}
    expected = {}
    for number, name in enumerate(ENDS):
        expected[name] = (rows[name][0], rows[name][column])
        here = (result.outcomes[f"test_{number}"], result.outcomes[f"test_{number}_after"])
        outcomes[name] = (WORDS[here[0]], WORDS[here[1]])
    assert outcomes == expected
