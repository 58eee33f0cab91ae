"""The test process's interpreter is the tests' own: the native side neither needs it nor holds it."""

from __future__ import annotations

import pytest
from plain_suites import Suite


def test_no_thread_of_ours_is_known_to_the_interpreter_of_the_tests(suite: Suite) -> None:
    test = """
import os, pathlib, sys, threading

def test_it(live_gui):
    tasks = pathlib.Path("/proc/self/task")
    if tasks.exists():
        names = {(task / "comm").read_text().strip() for task in tasks.iterdir()}
        assert {"livegui-alarm", "livegui-watch", "livegui-spares"} <= names
    assert set(sys._current_frames()) == {threading.get_ident()}
"""
    ini = "live_gui_command = {python} plain_app.py {hook_port}\nlive_gui_spares = 1"
    suite({"test_a.py": test}, ini=ini).assert_outcomes(passed=1)


def test_a_test_that_holds_the_interpreter_delays_the_news_and_not_the_verdict(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    test = """
import pathlib, subprocess, sys, time

LOOK = '''
import json, pathlib, sys, time
while json.loads(pathlib.Path(sys.argv[1]).read_text())["generations"][0]["state"] != "degraded":
    time.sleep(0.005)
pathlib.Path("written").write_text(str(time.time()))
'''

def test_culprit(app, live_gui):
    looks = subprocess.Popen([sys.executable, "-c", LOOK, live_gui.run_folder / "run.json"])
    began = time.monotonic()
    sum(range(10**6))
    numbers = int(10**6 * 1.5 / (time.monotonic() - began))
    app.do("crash boom")
    try:
        sum(range(numbers))  # about 1.5 s in C, without a look at signals or at who wants the interpreter
    finally:
        pathlib.Path("released").write_text(str(time.time()))
        looks.wait()
    time.sleep(60)
"""
    suite({"test_a.py": test}).assert_outcomes(failed=1)
    written, released = (float((pytester.path / name).read_text()) for name in ("written", "released"))
    assert written < released
