"""An exit is seen whoever reads the exit status, and the status is never made up."""

from __future__ import annotations

import os

import pytest
from plain_suites import Suite

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")

KILL = """
import os, signal, time

def test_kills(live_gui):
    {how}
    began = time.monotonic()
    while live_gui.is_alive():
        assert time.monotonic() - began < 5
    assert live_gui.process.returncode in {codes}
    time.sleep(60)

def test_next(live_gui):
    assert live_gui.is_healthy()
"""
IGNORED = "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
UNKNOWN = "exit status unknown: reaped by somebody else"


@pytest.mark.parametrize(
    ("plugin", "how", "codes", "said"),
    [
        ("", "os.kill(live_gui.pid, signal.SIGKILL)", [-9], "signal 9 (SIGKILL)"),
        (IGNORED, "os.kill(live_gui.pid, signal.SIGKILL)", [255], UNKNOWN),
        (
            "",
            "pid = live_gui.pid; os.kill(pid, signal.SIGKILL); assert os.waitpid(pid, 0)[0] == pid",
            [255, -9],  # the watch may see the status before the test reads it
            "",
        ),
    ],
    ids=["default", "ignored", "reaped_elsewhere"],
)
def test_an_exit_is_seen_whoever_reaps(
    suite: Suite, plugin: str, how: str, codes: list[int], said: str
) -> None:
    files = {"early.py": plugin, "test_a.py": KILL.format(how=how, codes=codes)}
    result = suite(files, "-p", "early", ini="pythonpath = .\nlive_gui_respawn = test")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"*GuiExited: {said}*", "*the app's process ended during this test*"])
    result.stdout.no_fnmatch_line("*exit status 0*")
    assert result.duration < 20


def test_the_exit_of_an_app_is_left_for_whoever_asked_for_it_first(suite: Suite) -> None:
    test = """
import os, signal

def test_it(live_gui):
    pid = live_gui.pid
    os.kill(pid, signal.SIGKILL)
    while live_gui.is_alive():
        pass
    got, status = os.waitpid(pid, 0)
    assert (got, os.WTERMSIG(status)) == (pid, signal.SIGKILL)
    assert live_gui.process.returncode == -signal.SIGKILL
"""
    result = suite({"test_a.py": test}, ini="live_gui_abort = false")
    result.stdout.no_fnmatch_line("*AssertionError*")
    result.stdout.no_fnmatch_line("*ChildProcessError*")


APP_CUT_OFF_BEFORE_ITS_CRASH = """
import os, socket, stat, time
import livegui

agent = livegui.start("cut off")
command = os.path.join(os.environ["LIVEGUI_STATE_DIR"], "command")

def cut_off():
    # What connects it to its watch: from now on, the agent answers nobody.
    for fd in range(3, 256):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                with socket.socket(fileno=os.dup(fd)) as connection:
                    connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

with agent.main_loop():
    while True:
        agent.beat()
        if os.path.exists(command):
            os.remove(command)
            cut_off()
            raise RuntimeError("boom")
        time.sleep(0.005)
"""


def test_what_an_app_said_last_is_told_although_its_agent_could_not_answer(suite: Suite) -> None:
    test = """
import time

def test_culprit(live_gui):
    (live_gui.generation_folder / "state" / "command").touch()
    time.sleep(60)
"""
    files = {"cut_off.py": APP_CUT_OFF_BEFORE_ITS_CRASH, "test_a.py": test}
    result = suite(files, ini="live_gui_command = {python} cut_off.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*main_loop_crashed: RuntimeError: boom; then *exit status 1*"])
