"""Starts that are not ``python app.py``: launchers, wrappers, and apps that re-execute themselves."""

from __future__ import annotations

import os
import shutil

import pytest
from plain_suites import Suite, generations, wait_until_gone

pytestmark = pytest.mark.skipif(os.name != "posix", reason="shells, sessions and exec")

#: Starts its agent, and then itself anew, once.
ANEW_AT_START = """
import os, sys, time
import livegui
if len(sys.argv) == 1:
    livegui.start("early")
    os.execv(sys.executable, [sys.executable, sys.argv[0], "again"])
time.sleep(4)  # longer than an agent may be silent for
import runpy
runpy.run_path("plain_app.py", run_name="__main__")
"""
#: Does so when a test asks for it.
ANEW_LATER = """
import os, sys, threading

def watch():
    import os, sys, time  # this module's names are gone once the app's run
    while not os.path.exists("again"):
        time.sleep(0.01)
    os.unlink("again")
    os.execv(sys.executable, [sys.executable, *sys.argv])

threading.Thread(target=watch, daemon=True).start()
import runpy
runpy.run_path("plain_app.py", run_name="__main__")
"""


def test_an_app_that_re_executes_itself_at_its_start_is_taken_up(suite: Suite) -> None:
    files = {
        "anew.py": ANEW_AT_START,
        "test_a.py": "def test_it(live_gui):\n    assert live_gui.is_healthy()\n",
    }
    suite(files, ini="live_gui_command = {python} anew.py").assert_outcomes(passed=1)


def test_an_app_that_re_executes_itself_in_mid_run_is_taken_up_and_noted(suite: Suite) -> None:
    test = """
import pathlib, time
import pytest

def test_restart(live_gui):
    pid, instance = live_gui.pid, live_gui.health()["instance"]
    pathlib.Path("again").touch()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if live_gui.health()["instance"] != instance and live_gui.is_healthy():
                break
        except Exception:
            pass
        time.sleep(0.01)
    assert live_gui.health()["instance"] != instance
    assert live_gui.pid == pid
    assert live_gui.generation == 1
"""
    carried = """
import pytest

def test_goes_on(live_gui):
    assert live_gui.is_healthy() and live_gui.generation == 1

@pytest.mark.requires_prior_state("test_a.py")
def test_built_on_what_is_gone(live_gui):
    pass
"""
    files = {"anew.py": ANEW_LATER, "test_a.py": test, "test_b.py": carried}
    result = suite(files, "-rs", ini="live_gui_command = {python} anew.py")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "test_b.py  fresh process (generation 1): the app re-executed itself: nothing of its memory survived",
            "the app re-executed itself (generation 1)",
            "*requires prior state of test_a.py, and none of its tests ran on this process*",
        ]
    )


def test_the_process_that_has_the_agent_is_followed_not_a_launcher_that_ended(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    test = """
import os, signal, time

def test_runs(live_gui):
    assert live_gui.health()["pid"] == live_gui.pid
    assert live_gui.is_alive() and live_gui.is_healthy()
    try:
        os.kill(live_gui.pid, signal.SIGKILL)
        time.sleep(60)
    finally:
        print("it returned", live_gui.process.wait(10))
"""
    command = """live_gui_command = sh -c 'setsid "$0" plain_app.py & ' {python}"""
    result = suite({"test_a.py": test, "test_b.py": "def test_next(live_gui):\n    pass\n"}, ini=command)
    result.assert_outcomes(passed=1, failed=1)
    # The launcher's own status, 0, says nothing of the app.
    result.stdout.fnmatch_lines(
        [
            "*GuiExited: exit status unknown: reaped by somebody else",
            "*the app's process ended during this test*",
            "it returned 255",
        ]
    )
    result.stdout.no_fnmatch_line("*exit status 0*")
    wait_until_gone(*[one["pid"] for one in generations(pytester)])


def test_the_status_of_a_wrapper_that_waits_is_the_apps(suite: Suite) -> None:
    test = """
import os, signal, time

def test_runs(live_gui):
    os.kill(live_gui.pid, signal.SIGKILL)
    time.sleep(60)
"""
    command = """live_gui_command = sh -c '"$0" plain_app.py; exit $?' {python}"""
    result = suite({"test_a.py": test}, ini=command)
    result.stdout.fnmatch_lines(["*GuiExited: exit status 137"])


def test_an_app_that_became_something_else_is_told_as_that(suite: Suite) -> None:
    test = """
import pathlib, time

def test_becomes_another(live_gui):
    pathlib.Path("again").touch()
    time.sleep(60)
"""
    becomes = ANEW_LATER.replace(
        "sys.executable, [sys.executable, *sys.argv]", "'/bin/sleep', ['sleep', '600']"
    )
    ini = "live_gui_command = {python} becomes.py\nlive_gui_ready_timeout = 3"
    result = suite({"becomes.py": becomes, "test_a.py": test}, ini=ini)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*GuiUnreachable: it runs another program now, which has started no agent for 3.0 s (live_gui_ready_timeout)",
            "*the app ceased to answer during this test *",
        ]
    )
    assert result.duration < 15


def test_an_app_that_becomes_something_else_at_its_start_is_told_as_that(suite: Suite) -> None:
    becomes = "import os, livegui\nlivegui.start('early')\nos.execv('/bin/sleep', ['sleep', '600'])\n"
    ini = "live_gui_command = {python} becomes.py\nlive_gui_ready_timeout = 3"
    result = suite({"becomes.py": becomes, "test_a.py": "def test_it(live_gui):\n    pass\n"}, ini=ini)
    result.stdout.fnmatch_lines(
        ["*was not ready within 3.0 s*: it runs another program now, which has started no agent"]
    )


def test_a_launcher_that_fails_is_told_at_once(suite: Suite) -> None:
    ini = "live_gui_command = sh -c 'sleep 60 & exit 3'\nlive_gui_ready_timeout = 30"
    result = suite({"test_a.py": "def test_it(live_gui):\n    pass\n"}, ini=ini)
    result.stdout.fnmatch_lines(["the app ended with exit status 3 after * s, before it was ready"])
    assert result.duration < 10


WRAPPERS = {
    "sh": """sh -c '"$0" plain_app.py; exit $?' {python}""",
    "env": "env A=b {python} plain_app.py",
    # As `uv run` and `poetry run` do it: a child, and signals passed on to it.
    "run_like": "{python} wrapper.py {python} plain_app.py",
    "xvfb": "xvfb-run -a {python} plain_app.py",
}
WRAPPER = """
import signal, subprocess, sys
child = subprocess.Popen(sys.argv[1:])
signal.signal(signal.SIGTERM, lambda number, frame: child.send_signal(number))
sys.exit(child.wait())
"""


@pytest.mark.parametrize("name", WRAPPERS)
def test_an_app_in_a_wrapper_is_watched_and_ends_when_it_is_asked(
    suite: Suite, pytester: pytest.Pytester, name: str
) -> None:
    if name == "xvfb" and shutil.which("xvfb-run") is None:
        pytest.skip("xvfb-run is not installed: apt-get install xvfb xauth")
    test = """
import time

def test_it(live_gui):
    assert live_gui.health()["pid"] == live_gui.pid
    live_gui.process.terminate()
    time.sleep(60)
"""
    files = {"wrapper.py": WRAPPER, "test_a.py": test}
    result = suite(files, ini=f"live_gui_command = {WRAPPERS[name]}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the app's process ended during this test*"])
    wait_until_gone(*[one["pid"] for one in generations(pytester)])


#: Its loop runs for a while before its server listens, as that of most servers does.
LATE_SERVER = """
import asyncio, sys

async def main():
    await asyncio.sleep(1)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", int(sys.argv[2]))
    await server.serve_forever()

asyncio.run(main())
"""


def test_tests_begin_after_the_server_listens_on_the_port_that_the_command_names(suite: Suite) -> None:
    test = """
import socket

def test_connects(live_gui):
    socket.create_connection(("127.0.0.1", live_gui.hook_port), timeout=10).close()
"""
    ini = "live_gui_command = {python} app.py --port {hook_port}"
    suite({"app.py": LATE_SERVER, "test_a.py": test}, ini=ini).assert_outcomes(passed=1)


def test_an_app_that_never_listens_there_is_waited_for_once(suite: Suite, pytester: pytest.Pytester) -> None:
    passes = "def test_it(live_gui):\n    pass\n"
    ini = "live_gui_command = {python} plain_app.py --port {hook_port}\nlive_gui_ready_timeout = 5"
    result = suite({"test_a.py": passes, "test_b.py": passes}, "--live-gui-scope=module", ini=ini)
    result.assert_outcomes(passed=2)
    told = [line for line in result.outlines if line.startswith("nothing listens on port ")]
    assert len(told) == 1, "once"
    first, second = (generation["ready_ms"] for generation in generations(pytester))
    assert second < 5000 <= first
