"""A port that is not free: who holds it, whose that is, and ``live_gui_kill_stale``."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from plain_suites import UNGUARD, Suite, is_running, wait_until_gone

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills pytest with SIGKILL")

#: Has a hook server on the port it is told, and is one of those that nobody's death ends.
APP = """
import os, runpy, socket, sys
os.environ.pop("LIVEGUI_PARENT")
server = socket.create_server(("127.0.0.1", int(sys.argv[2])))
runpy.run_path("plain_app.py", run_name="__main__")
"""

NO_OP = "def test_it(live_gui):\n    pass\n"


@dataclass
class OnPort:
    """Runs suites whose app listens on one port, the same in each."""

    suite: Suite
    port: int

    def __call__(self, test: str, *options: str, app: str = APP) -> pytest.RunResult:
        ini = f"live_gui_command = {{python}} app.py --port {self.port}"
        return self.suite({"app.py": app, "test_a.py": test}, *options, ini=ini)


@pytest.fixture
def on_port(suite: Suite) -> OnPort:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return OnPort(suite, server.getsockname()[1])


@pytest.fixture
def left_over(on_port: OnPort, pytester: pytest.Pytester) -> Iterator[tuple[str, int]]:
    """The name of a run whose pytest was killed, and the pid of the app that it left behind."""
    on_port(
        f"import os, signal\ndef test_it(live_gui):\n    {UNGUARD}\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    (run,) = runs(pytester)
    pid = run["generations"][0]["pid"]
    assert is_running(pid)
    yield run["run"], pid
    if is_running(pid):
        os.kill(pid, signal.SIGKILL)


def listening(port: int) -> socket.socket:
    """Hold a port as soon as the last thread of whoever had it lets go of it."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def runs(pytester: pytest.Pytester) -> list[dict[str, Any]]:
    found = (pytester.path / ".livegui").glob("*/run.json")
    return sorted((json.loads(file.read_text()) for file in found), key=lambda run: run["started_at"])


def test_what_an_earlier_run_left_is_told_with_its_run_and_left_alone(
    on_port: OnPort, left_over: tuple[str, int]
) -> None:
    run, pid = left_over
    result = on_port(NO_OP)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            f"the app was not started: its port {on_port.port} is held by pid {pid}, started *app.py*",
            f"  ours, left over from run {run}, whose pytest is gone",
            "  end that process (live_gui_kill_stale = true does so), or let every app *{hook_port}*",
        ]
    )
    assert is_running(pid)


def test_kill_stale_ends_it_and_says_so(
    on_port: OnPort, left_over: tuple[str, int], pytester: pytest.Pytester
) -> None:
    run, pid = left_over
    result = on_port(NO_OP, "--live-gui-kill-stale=true")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"ended what run {run} had left: pid {pid}, started *app.py*"])
    assert not is_running(pid)
    assert runs(pytester)[-1]["remarks"]


def test_kill_stale_also_ends_a_child_of_the_app_that_holds_the_port(
    on_port: OnPort, pytester: pytest.Pytester
) -> None:
    # An app that is killed, and its pytest with it, leaves nobody who could see to what it started.
    app = """
import runpy, subprocess, sys
code = f"import socket, time; held = socket.create_server(('127.0.0.1', {sys.argv[2]})); print(flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE)
child.stdout.readline()
open("child", "w").write(str(child.pid))
runpy.run_path("plain_app.py", run_name="__main__")
"""
    killed = f"import os\n\ndef test_it(live_gui):\n    {UNGUARD}\n    os.kill(live_gui.pid, 9)\n    os.kill(os.getpid(), 9)\n"
    on_port(killed, app=app)
    child = int((pytester.path / "child").read_text())
    assert is_running(child)
    (run,) = runs(pytester)
    wait_until_gone(run["generations"][0]["pid"])
    on_port(NO_OP).stdout.fnmatch_lines(["  ours, left over from run *"])
    on_port(NO_OP, "--live-gui-kill-stale=true").assert_outcomes(passed=1)
    assert not is_running(child)


def test_an_app_of_a_run_that_still_goes_on_is_never_ended(
    on_port: OnPort, pytester: pytest.Pytester
) -> None:
    (pytester.path / "inner").mkdir()
    (pytester.path / "inner" / "test_b.py").write_text(NO_OP)
    test = """
import subprocess, sys

def test_it(live_gui, pytestconfig):
    words = ["-m", "pytest", "-p", "no:cacheprovider", "--live-gui-kill-stale=true", "inner"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert f"ours, of run {live_gui.run_folder.name}, which still goes on" in done.stdout
    assert "wait for the end of that run" in done.stdout
    assert live_gui.is_healthy()
"""
    on_port(test, "test_a.py").assert_outcomes(passed=1)


@pytest.mark.skipif(sys.platform != "linux", reason="a clock is set for one process by a mount namespace")
def test_a_clock_that_was_set_makes_nobody_gone(on_port: OnPort, pytester: pytest.Pytester) -> None:
    stepped = pytester.path / "stat"
    text = Path("/proc/stat").read_text()
    # What the system derives wall-clock times of processes from: an hour later, for whoever is in there.
    booted = int(text.partition("btime ")[2].split()[0])
    stepped.write_text(text.replace(f"btime {booted}", f"btime {booted + 3600}"))
    step = ["unshare", "--mount", "sh", "-c", f'mount --bind {stepped} /proc/stat && exec "$@"', "sh"]
    if subprocess.run([*step, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no right to make a mount namespace")
    (pytester.path / "inner").mkdir()
    (pytester.path / "inner" / "test_b.py").write_text(NO_OP)
    test = f"""
import subprocess, sys

def test_it(live_gui):
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "inner"]
    for _ in range(12):
        done = subprocess.run([*{step!r}, *words, "--live-gui-kill-stale=true"], capture_output=True, text=True)
        assert f"ours, of run {{live_gui.run_folder.name}}, which still goes on" in done.stdout, done.stdout
    assert live_gui.is_healthy() and live_gui.run_folder.exists()
"""
    on_port(test, "test_a.py").assert_outcomes(passed=1)


def test_a_foreign_process_is_never_ended_and_a_reused_pid_makes_it_no_less_foreign(
    on_port: OnPort, left_over: tuple[str, int], pytester: pytest.Pytester
) -> None:
    run, pid = left_over
    os.kill(pid, signal.SIGKILL)
    wait_until_gone(pid)
    record = pytester.path / ".livegui" / run / "run.json"
    with listening(on_port.port):
        # As if the earlier run's app had had the pid that is ours now.
        record.write_text(record.read_text().replace(f'"pid": {pid},', f'"pid": {os.getpid()},'))
        result = on_port(NO_OP, "--live-gui-kill-stale=true")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            f"the app was not started: its port {on_port.port} is held by pid {os.getpid()}, started *",
            "  foreign: no run of ours started it",
        ]
    )
