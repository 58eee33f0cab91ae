"""An app that lives and does not answer: why, in words, and what it was last seen doing."""

from __future__ import annotations

import sys

import pytest
from plain_suites import Suite

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="SIGSTOP, ptrace and /proc are Linux's")

WAITS = """
import ctypes, os, signal, subprocess, sys, time

ATTACHES = '''
import ctypes, os, sys, time
assert all(
    ctypes.CDLL(None).ptrace(16, int(thread), None, None) == 0 for thread in os.listdir(f"/proc/{sys.argv[1]}/task")
)
time.sleep(60)
'''

def test_culprit(app, live_gui):
    {act}
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (
            "os.kill(live_gui.pid, signal.SIGSTOP)",
            [
                "*GuiUnreachable: its process is stopped; `kill -CONT *` lets it go on (no answer within *",
                "*its process is stopped (state T), * s of CPU time so far",
                "*last heartbeat log line, * s ago: *ok*",
            ],
        ),
        (
            "subprocess.Popen([sys.executable, '-c', ATTACHES, str(live_gui.pid)])",
            ["*GuiUnreachable: its process is held by a debugger: python*, pid *"],
        ),
    ],
    ids=["stopped", "debugged"],
)
def test_why_an_app_does_not_answer_is_said_in_words(suite: Suite, act: str, says: list[str]) -> None:
    result = suite({"test_a.py": WAITS.replace("{act}", act)})
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(says)
    for word in ("timeout: global", "os error", "io: "):
        result.stdout.no_fnmatch_line(f"*{word}*")
    assert "GuiUnreachable: its " in result.stdout.lines[-2], "the short summary"


def test_a_question_of_the_test_s_own_is_answered_in_words_too(suite: Suite) -> None:
    test = """
import os, signal, pytest
from livegui.errors import GuiUnreachable

def test_asks(live_gui):
    os.kill(live_gui.pid, signal.SIGSTOP)
    try:
        with pytest.raises(GuiUnreachable) as raised:
            live_gui.health()
    finally:
        os.kill(live_gui.pid, signal.SIGCONT)
    assert str(raised.value).startswith("its process is stopped; `kill -CONT ")
    assert "the app does not answer (generation 1, pid" in str(raised.value)
"""
    suite({"test_a.py": test}).assert_outcomes(passed=1)


def test_an_app_that_falls_silent_is_blamed_on_the_test_that_ran_however_long_ago_it_spoke_last(
    suite: Suite,
) -> None:
    test = """
import os, signal, time

def test_before(live_gui):
    time.sleep(0.8)  # the last answer to the watch is some time ago when the next test begins

def test_stops(live_gui):
    os.kill(live_gui.pid, signal.SIGSTOP)
    time.sleep(60)

def test_after(live_gui):
    pass
"""
    result = suite({"test_a.py": test})
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*did not run: test_stops left the app*", "  culprit: test_a.py::test_stops"]
    )


def test_an_app_that_fell_silent_between_two_tests_is_not_blamed_on_the_next_for_certain(
    suite: Suite,
) -> None:
    test = """
import os, signal, time

def test_uses(live_gui):
    global pid
    pid = live_gui.pid

def test_does_not_use():
    os.kill(pid, signal.SIGSTOP)
    time.sleep(1.5)  # so long that the next one cannot have done it

def test_after(live_gui):
    time.sleep(60)
"""
    result = suite({"test_a.py": test})
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*the app ceased to answer before this test did anything; it followed *::test_uses (the blame is inferred)*"
        ]
    )
