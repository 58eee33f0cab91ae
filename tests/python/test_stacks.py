"""What the threads of an app that fell silent were at, by py-spy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from plain_suites import Suite


def may_look() -> bool:
    beside = str(Path(sys.executable).parent)
    py_spy = shutil.which("py-spy", path=os.pathsep.join([beside, os.environ["PATH"]]))
    if py_spy is None:
        return False
    with subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1) as child:
        assert child.stdout is not None
        child.stdout.readline()
        looked = subprocess.run([py_spy, "dump", "--pid", str(child.pid)], stdout=-1, check=False)
        child.kill()
    return looked.returncode == 0


pytestmark = pytest.mark.skipif(not may_look(), reason="py-spy is not there, or not allowed to look")


def test_an_app_that_hangs_is_told_with_what_its_threads_were_at(
    quick_to_call_it_a_stall: Suite, pytester: pytest.Pytester
) -> None:
    test = """
import time

def test_culprit(app):
    app.do("hang 60")
    time.sleep(60)
"""
    result = quick_to_call_it_a_stall({"test_a.py": test})
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*main_loop_stalled*", "E *its threads (py-spy):", "E * do (plain_app.py:*)"]
    )
    (stacks,) = (pytester.path / ".livegui").glob("*/gen-1/stacks.txt")
    assert "main (plain_app.py" in stacks.read_text()


def test_an_app_that_hangs_at_its_start_is_told_so_too(suite: Suite) -> None:
    app = "import livegui, threading\n\nlivegui.start('stuck')\n\ndef load():\n    threading.Event().wait(60)\n\nload()\n"
    result = suite(
        {"stuck.py": app, "test_a.py": "def test_it(live_gui):\n    pass\n"},
        ini="live_gui_command = {python} stuck.py\nlive_gui_ready_timeout = 1",
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*was not ready within 1.0 s*", "*its threads (py-spy):", "* load (stuck.py:*)"]
    )
