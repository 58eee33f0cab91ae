"""However a run ends, nothing of it is left: no process, not even one that left its group, and no port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from plain_suites import CRASH_IN_SECOND_OF_THREE, Suite, wait_until_gone

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals and sessions")

#: Has a hook server and two helpers, of which one went to a session of its own.
FAMILY = """
import os, runpy, socket, subprocess, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
waits = [sys.executable, "-c", "import time; time.sleep(600)"]
helpers = [subprocess.Popen(waits), subprocess.Popen(waits, start_new_session=True)]
with open("family", "a") as file:
    print(sys.argv[1], os.getpid(), *[helper.pid for helper in helpers], file=file)
runpy.run_path("plain_app.py", run_name="__main__")
"""
INI = "live_gui_command = {python} family.py {hook_port}\npythonpath = ."

ENDS = {
    "ctrl_c": "os.kill(os.getpid(), signal.SIGINT)",
    "terminated": "os.kill(os.getpid(), signal.SIGTERM)",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "hung_up": "os.kill(os.getpid(), signal.SIGHUP)",
    "exit": "os._exit(0)",
}

TEST = """
import os, signal, time

def test_ends_the_run(app):
    {how}
    time.sleep(60)

def test_never(app):
    raise AssertionError("this must not run")
"""


def assert_nothing_is_left(pytester: pytest.Pytester, apps: int = 1) -> None:
    lines = (pytester.path / "family").read_text().splitlines()
    assert len(lines) == apps
    for line in lines:
        port, *pids = map(int, line.split())
        assert len(pids) == 3
        wait_until_gone(*pids)
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))


@pytest.mark.parametrize("how", ENDS.values(), ids=ENDS.keys())
def test_a_run_that_is_ended_leaves_nothing(suite: Suite, pytester: pytest.Pytester, how: str) -> None:
    result = suite({"family.py": FAMILY, "test_a.py": TEST.format(how=how)}, ini=INI)
    result.stdout.no_fnmatch_line("*this must not run*")
    assert_nothing_is_left(pytester)


def test_a_killed_run_leaves_no_helper_that_does_not_want_to_end(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    stubborn = FAMILY.replace("import time;", "import signal, time; signal.signal(15, signal.SIG_IGN);")
    suite({"family.py": stubborn, "test_a.py": TEST.format(how=ENDS["killed"])}, ini=INI)
    assert_nothing_is_left(pytester)


def test_ctrl_c_twice_leaves_nothing_of_an_app_that_does_not_want_to_end(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    stubborn = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FAMILY
    how = "import threading; threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start(); "
    files = {"family.py": stubborn, "test_a.py": TEST.format(how=how + ENDS["ctrl_c"])}
    suite(files, ini=INI)
    assert_nothing_is_left(pytester)


@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_the_first_failure_ends_the_run_and_the_app(
    suite: Suite, pytester: pytest.Pytester, option: str
) -> None:
    files = {"family.py": FAMILY, "test_a.py": CRASH_IN_SECOND_OF_THREE}
    result = suite(files, option, ini=INI)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*the app degraded during this test*"])
    assert_nothing_is_left(pytester)


@pytest.mark.parametrize(
    "hook",
    [
        "pytest_runtest_logreport(report)",
        "pytest_runtest_logfinish(nodeid)",
        "pytest_runtest_logstart(nodeid)",
        "pytest_sessionfinish(session)",
        "pytest_terminal_summary(terminalreporter)",
        "pytest_unconfigure(config)",
    ],
)
def test_an_error_of_pytest_s_own_leaves_nothing(suite: Suite, pytester: pytest.Pytester, hook: str) -> None:
    broken = f"""
SECOND = []

def {hook}:
    SECOND.append(None)
    if len(SECOND) == 2 or "log" not in "{hook}":
        raise RuntimeError("the hook is broken")
"""
    test = "def test_one(app):\n    pass\n\ndef test_two(app):\n    pass\n"
    result = suite({"family.py": FAMILY, "broken.py": broken, "test_a.py": test}, "-p", "broken", ini=INI)
    assert "the hook is broken" in result.stdout.str() + result.stderr.str()
    assert_nothing_is_left(pytester)


@pytest.mark.parametrize("how", ["pid = os.getppid()", "pid = os.getpid()"], ids=["controller", "worker"])
def test_an_xdist_process_that_is_killed_leaves_nothing(
    suite: Suite, pytester: pytest.Pytester, how: str
) -> None:
    test = TEST.format(how=f"{how}; os.kill(pid, signal.SIGKILL)").partition("def test_never")[0]
    options = ["-n1", "--dist=loadfile", "--max-worker-restart=0"]
    suite({"family.py": FAMILY, "test_a.py": test}, *options, ini=INI)
    assert_nothing_is_left(pytester)


# --- while a person debugs ------------------------------------------------------------------------


def debug(suite: Suite, pytester: pytest.Pytester, test: str, commands: list[str], *options: str) -> str:
    """Run a suite whose debugger is given these commands; returns all output."""
    suite({"family.py": FAMILY, "test_a.py": test}, "--collect-only", ini=INI)  # writes the files
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
        cwd=pytester.path,
        input="".join(f"{command}\n" for command in commands),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


STALLS_SOON = """
import time, pytest

@pytest.fixture(scope="session")
def live_gui_env():
    return {"LIVEGUI_STALL_AFTER_MS": "500"}

def wait_until(live_gui, healthy):
    deadline = time.monotonic() + 20
    while live_gui.is_healthy() is not healthy:
        assert time.monotonic() < deadline
        time.sleep(0.01)
"""


def test_a_failure_can_be_debugged_and_quit_and_nothing_is_left(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    test = "def test_fails(app):\n    assert 1 == 2\n\ndef test_never(app):\n    pass\n"
    output = debug(suite, pytester, test, ["p 'still', app.live_gui.is_healthy()", "q"], "--pdb")
    assert "('still', True)" in output
    assert "1 failed" in output
    assert_nothing_is_left(pytester)


def test_a_crash_ends_no_session_of_the_debugger(suite: Suite, pytester: pytest.Pytester) -> None:
    test = STALLS_SOON + "\ndef test_fails(app):\n    assert 1 == 2\n"
    commands = ["app.do('crash boom')", "wait_until(app.live_gui, False)", "p 'still here'", "q"]
    output = debug(suite, pytester, test, commands, "--pdb")
    assert "'still here'" in output
    assert "Aborted" not in output
    assert_nothing_is_left(pytester)


def test_a_crash_that_is_itself_debugged_shows_the_verdict(suite: Suite, pytester: pytest.Pytester) -> None:
    output = debug(suite, pytester, CRASH_IN_SECOND_OF_THREE, ["p 'in', __name__", "q"], "--pdb")
    assert "the app degraded during this test" in output
    assert "('in', 'test_a')" in output
    assert_nothing_is_left(pytester)


def test_a_stall_while_a_person_debugs_is_held_against_nobody(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    test = STALLS_SOON + "\ndef test_debugged(app):\n    breakpoint()\n    assert app.live_gui.is_healthy()\n"
    commands = [
        "app.do('hang 1.5')",
        "wait_until(app.live_gui, False)",
        "wait_until(app.live_gui, True)",
        "c",
    ]
    output = debug(suite, pytester, test, commands)
    assert "1 passed" in output
    assert_nothing_is_left(pytester)


def test_a_crash_while_a_person_debugs_fails_the_test_when_it_goes_on(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    test = STALLS_SOON + "\ndef test_debugged(app):\n    breakpoint()\n    time.sleep(60)\n"
    commands = ["app.do('crash boom')", "wait_until(app.live_gui, False)", "p 'still here'", "c"]
    output = debug(suite, pytester, test, commands)
    assert "'still here'" in output
    assert "the app degraded during this test" in output
    assert "1 failed" in output
    assert_nothing_is_left(pytester)
