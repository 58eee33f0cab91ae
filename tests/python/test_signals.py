"""What is signalled, and closed, is what was verified: never a stranger."""

from __future__ import annotations

import sys

import pytest
from plain_suites import DENY, Suite, generation, wait_until_gone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="descriptors of processes are of Linux")

PIDFD_SEND_SIGNAL = 424
COMMANDS = {
    "child": "{python} plain_app.py",
    # The app is no child of pytest.
    "launcher": """sh -c 'setsid "$0" plain_app.py & ' {python}""",
}

#: Puts descriptors of a stranger in the place of those of processes that livegui has open.
SWAP = """
import os, subprocess, time

STRANGER = subprocess.Popen(["sleep", "60"])
OTHER = os.pidfd_open(STRANGER.pid)
SWAPPED = []

def of_processes():
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            if "pidfd" in os.readlink(f"/proc/self/fd/{number}") and number not in (OTHER, *SWAPPED):
                yield number
        except OSError:
            pass

def test_ends_the_app(live_gui):
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline and not SWAPPED:
        for number in of_processes():
            os.dup2(OTHER, number)
            SWAPPED.append(number)
    live_gui.process.terminate()  # not kept: what is held of it goes with the app
    assert live_gui.process.wait(10) is not None, "the app lives"
    assert STRANGER.poll() is None, "the stranger was signalled"
"""
AFTERWARDS = """
import test_a

def test_what_a_stranger_opened_is_open(live_gui):
    assert live_gui.generation == 2
    assert test_a.STRANGER.poll() is None
    for number in test_a.SWAPPED:
        info = open(f"/proc/self/fdinfo/{number}").read()
        assert f"Pid:\\t{test_a.STRANGER.pid}\\n" in info, "it was closed, and is another file by now"
    test_a.STRANGER.kill()
    test_a.STRANGER.wait()
"""


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_descriptors_that_became_a_strangers_are_neither_used_nor_closed(suite: Suite, command: str) -> None:
    files = {"test_a.py": SWAP, "test_b.py": AFTERWARDS}
    ini = f"live_gui_command = {command}\nlive_gui_abort = false\npythonpath = ."
    result = suite(files, ini=ini)
    result.stdout.no_fnmatch_line("*AssertionError*")
    result.stdout.no_fnmatch_line("*FileNotFoundError*")
    result.assert_outcomes(passed=1, failed=1)  # the app ended in the first: that is told


@pytest.mark.parametrize("errno", [1, 38], ids=["EPERM", "ENOSYS"])
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_an_app_is_ended_where_a_signal_to_a_descriptor_is_refused(
    suite: Suite, pytester: pytest.Pytester, command: str, errno: int
) -> None:
    test = f"""
import os, signal
import pytest

def test_it(live_gui):
    with pytest.raises(OSError) as refused:
        signal.pidfd_send_signal(os.pidfd_open(os.getpid()), 0)
    assert refused.value.errno == {errno}
    assert live_gui.is_healthy()
"""
    early = DENY + f"deny({PIDFD_SEND_SIGNAL}, {errno})\n"
    ini = f"live_gui_command = {command}\npythonpath = ."
    result = suite({"early.py": early, "test_a.py": test}, "-p", "early", ini=ini)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*still running*")
    wait_until_gone(generation(pytester)["pid"])
