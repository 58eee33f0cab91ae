"""Starts on Windows that are not ``python app.py``: launchers and wrappers. The twins of test_starts.py."""

from __future__ import annotations

import os

import pytest
from plain_suites import Suite, generations, wait_until_gone

pytestmark = pytest.mark.skipif(os.name != "nt", reason="of Windows; the POSIX twins are in test_starts.py")

#: As the `python.exe` of a virtual environment and the launchers of scripts do it: a child that is waited for.
WRAPPER = "import subprocess, sys\nsys.exit(subprocess.call(sys.argv[1:]))\n"
#: Ends as soon as the app runs.
LAUNCHER = "import subprocess, sys\nsubprocess.Popen(sys.argv[1:])\n"
#: There is no exec on Windows: this starts another process, and ends with status 0. An agent that has started
#: by then counts as the app's, which has ended: see docs/platforms.md.
ANEW = """
import os, sys
if len(sys.argv) == 1:
    os.execv(sys.executable, [sys.executable, sys.argv[0], "again"])
import runpy
runpy.run_path("plain_app.py", run_name="__main__")
"""
FILES = {"wrapper.py": WRAPPER, "launcher.py": LAUNCHER, "anew.py": ANEW}
STARTS = {
    "wrapper": "{python} wrapper.py {python} plain_app.py",
    "cmd": "cmd /c {python} plain_app.py",
    "launcher": "{python} launcher.py {python} plain_app.py",
    "anew": "{python} anew.py",
}

RUNS = """
import os, time

def test_runs(live_gui):
    assert live_gui.health()["pid"] == live_gui.pid
    assert live_gui.is_alive() and live_gui.is_healthy()
    os.kill(live_gui.pid, 9)
    time.sleep(60)

def test_in_the_next_process(live_gui):
    pass
"""


@pytest.mark.parametrize("name", STARTS)
def test_the_process_that_has_the_agent_is_followed(
    suite: Suite, pytester: pytest.Pytester, name: str
) -> None:
    result = suite(
        FILES | {"test_a.py": RUNS},
        ini=f"live_gui_command = {STARTS[name]}\nlive_gui_respawn = test",
    )
    result.assert_outcomes(passed=1, failed=1)
    # The status of a launcher that has ended says nothing of the app; who waits for it passes its status on.
    # Windows tells the status of any process, however it was started.
    result.stdout.fnmatch_lines(["*GuiExited: exit status 9", "*the app's process ended during this test*"])
    pids = [one["pid"] for one in generations(pytester)]
    assert len(set(pids)) == 2
    wait_until_gone(*pids)


def test_a_launcher_that_fails_is_told_at_once(suite: Suite, pytester: pytest.Pytester) -> None:
    fails = "import subprocess, sys\nwaits = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    fails += "print(waits.pid, file=open('helper', 'w'), flush=True)\nsys.exit(3)\n"
    ini = "live_gui_command = {python} fails.py\nlive_gui_ready_timeout = 60"
    files = {"fails.py": fails, "test_a.py": "def test_it(live_gui):\n    pass\n"}
    result = suite(files, ini=ini)
    result.stdout.fnmatch_lines(["*the app ended with exit status 3 after * s, before it was ready"])
    assert result.duration < 30
    wait_until_gone(int((pytester.path / "helper").read_text()))
