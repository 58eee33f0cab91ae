"""The pytest plugin on a real process with a plain main loop: who fails, how fast, and what it says."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
import xml.etree.ElementTree as ET

import pytest
from plain_suites import (
    CRASH_IN_SECOND_OF_THREE,
    PASSES,
    Suite,
    is_running,
    under_wine,
    unless_windows,
    wait_until_gone,
)


def processes_of(result: pytest.RunResult, pytester: pytest.Pytester) -> list[int]:
    records = (pytester.path / ".livegui").glob("*/run.json")
    return [g["pid"] for record in records for g in json.loads(record.read_text())["generations"]]


def assert_all_gone(pids: list[int]) -> None:
    assert pids
    assert [pid for pid in pids if is_running(pid)] == []


def test_culprit_fails_victim_is_spared_and_the_next_file_runs_on_a_fresh_process(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    began = time.monotonic()
    result = suite({"test_a.py": CRASH_IN_SECOND_OF_THREE, "test_b.py": PASSES}, "--junitxml=report.xml")
    assert time.monotonic() - began < 30, "it must not sleep the culprit's minute"
    result.assert_outcomes(passed=2, failed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at setup of test_victim*",
            "*did not run: test_culprit left the app degraded: main_loop_crashed: RuntimeError: boom",
            "*culprit: test_a.py::test_culprit",
            "*_ test_culprit _*",
            "*GuiDegraded: main_loop_crashed: RuntimeError: boom",
            "*the app degraded during this test (generation 1, pid *",
            "*in do*",
            "*RuntimeError: boom*",
            "*- live_gui -*",
            "test_b.py  fresh process (generation 2): test_a.py::test_culprit left generation 1 degraded: "
            "main_loop_crashed: RuntimeError: boom",
        ]
    )
    cases = {case.get("name"): case for case in ET.parse(pytester.path / "report.xml").iter("testcase")}
    properties = {p.get("name"): p.get("value") for p in cases["test_next"].iter("property")}
    assert properties["live_gui_generation"] == "2"
    assert "test_culprit left generation 1 degraded" in (properties["live_gui_fresh_process"] or "")
    (record,) = (pytester.path / ".livegui").glob("*/run.json")
    run = json.loads(record.read_text())
    assert run["ended_at"] is not None
    assert [(g["state"], g["culprit"]) for g in run["generations"]] == [
        ("degraded", {"test": "test_a.py::test_culprit", "inferred": False}),
        ("ended", None),
    ]
    assert [note["file"] for note in run["notes"]] == ["test_b.py"]
    assert_all_gone(processes_of(result, pytester))


WAITS = {
    "sleep": "time.sleep(60)",
    "poll": "[time.sleep(0.01) for _ in range(6000)]",
    "busy": "[None for _ in iter(int, 1)]",
}
#: Those that nothing ends on Windows: docs/platforms.md, and the way round in test_waits.py.
POSIX_WAITS = {
    "event": "threading.Event().wait(60)",
    "lock": "threading.Lock().acquire() and (lock := threading.Lock()).acquire() and lock.acquire(timeout=60)",
    "select": "select.select([], [], [], 60)",
    "socket": "socket.create_server(('127.0.0.1', 0)).accept()",
    "queue": "queue.Queue().get(timeout=60)",
    "subprocess": "subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])",
}


@pytest.mark.parametrize(
    "wait",
    [
        *[pytest.param(wait, id=name) for name, wait in WAITS.items()],
        *[pytest.param(wait, id=name, marks=unless_windows) for name, wait in POSIX_WAITS.items()],
    ],
)
def test_the_running_test_is_failed_whatever_it_waits_in(suite: Suite, wait: str) -> None:
    test = f"""
import queue, select, socket, subprocess, sys, threading, time

def test_culprit(app):
    app.do("crash boom")
    {wait}
"""
    result = suite({"test_a.py": test})
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the app degraded during this test*"])


def test_a_loop_that_catches_every_exception_cannot_swallow_the_verdict(suite: Suite) -> None:
    test = """
import time

def test_culprit(app):
    app.do("crash boom")
    while True:
        try:
            time.sleep(0.1)
        except Exception:
            pass
"""
    suite({"test_a.py": test}).assert_outcomes(failed=1)


def test_a_loop_that_catches_everything_is_told_again(suite: Suite) -> None:
    test = """
import time

def test_culprit(app):
    app.do("crash boom")
    for _ in range(3):
        try:
            time.sleep(60)
        except:
            pass
    time.sleep(60)
"""
    suite({"test_a.py": test}).assert_outcomes(failed=1)


def test_what_a_test_clears_up_on_its_way_out_is_not_interrupted(suite: Suite) -> None:
    test = """
import pathlib, time

def test_culprit(app):
    try:
        app.do("crash boom")
        time.sleep(60)
    finally:
        time.sleep(1)
        pathlib.Path("cleared").touch()

def test_cleared():
    assert pathlib.Path("cleared").exists()
"""
    suite({"test_a.py": test}).assert_outcomes(failed=1, passed=1)


def test_a_crash_that_the_test_does_not_wait_for_is_still_its_own(suite: Suite) -> None:
    test = """
import time

def test_culprit(app, live_gui):
    app.do("crash boom")
    while live_gui.health()["status"] == "ok":
        pass
"""
    result = suite({"test_a.py": test, "test_b.py": PASSES})
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        ["*the app degraded during this test*", "*main_loop_crashed*RuntimeError: boom*"]
    )


def test_a_test_that_fails_because_of_the_crash_says_so(suite: Suite) -> None:
    test = """
import time, pytest

def test_culprit(app, live_gui):
    app.do("crash boom")
    while live_gui.health()["status"] == "ok":
        pass
    pytest.fail("project switch timed out")
"""
    result = suite({"test_a.py": test}, ini="live_gui_abort = false")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*project switch timed out*", "*the app degraded during this test*"])


def test_a_crash_between_tests_is_blamed_on_the_one_before_as_an_inference(suite: Suite) -> None:
    test = """
def test_culprit(app):
    app.do("crash_soon boom")

def test_victim(app):
    raise AssertionError("this must not run")
"""
    between = """
import time

def pytest_runtest_logfinish(nodeid):
    if nodeid.endswith("test_culprit"):
        time.sleep(1)  # the app crashes in here, when no test runs
"""
    files = {"test_a.py": test, "test_b.py": PASSES, "between.py": between}
    result = suite(files, "-p", "between", ini="pythonpath = .")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "did not run: the app degraded after test_culprit had ended (the blame is inferred)*",
            "test_b.py  fresh process (generation 2): generation 1 was degraded after test_a.py::test_culprit "
            "had ended (inferred blame): main_loop_crashed: RuntimeError: boom",
        ]
    )


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize(
    ("command", "says"),
    [("exit 3", "exit status 3"), ("exit 0", "exit status 0"), ("kill SIGSEGV", "signal 11 (SIGSEGV)")],
)
def test_a_process_that_is_gone_says_how_it_ended(suite: Suite, command: str, says: str) -> None:
    test = f"""
import time

def test_culprit(app):
    app.do({command!r})
    time.sleep(60)
"""
    result = suite({"test_a.py": test, "test_b.py": PASSES})
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            f"*GuiExited: {says}",
            "*the app's process ended during this test*",
            "*last lines of its stderr:*",
            "*this is standard error*",
        ]
    )


def test_a_crash_that_takes_the_process_along_is_still_told_by_its_cause(suite: Suite) -> None:
    test = """
import time

def test_culprit(app):
    app.do("fall boom")
    time.sleep(60)

def test_victim(app):
    pass
"""
    result = suite({"test_a.py": test, "test_b.py": PASSES})
    result.assert_outcomes(failed=1, errors=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "did not run: test_culprit left the app degraded*",
            "*main_loop_crashed*RuntimeError: boom",
            "test_b.py  fresh process (generation 2): test_a.py::test_culprit left generation 1 degraded: "
            "main_loop_crashed: RuntimeError: boom*",
        ]
    )


def test_a_loop_that_returns_is_no_app_any_more(suite: Suite) -> None:
    test = """
import time

def test_culprit(app):
    app.do("return")
    time.sleep(60)
"""
    result = suite({"test_a.py": test})
    result.assert_outcomes(failed=1)


def test_output_goes_to_files_whatever_its_amount(suite: Suite, pytester: pytest.Pytester) -> None:
    suite({"test_a.py": PASSES}).assert_outcomes(passed=1)
    (folder,) = (pytester.path / ".livegui").glob("*/gen-1")
    assert (folder / "stdout.log").read_text() == "this is standard output\n"
    assert (folder / "stderr.log").read_text() == "this is standard error\n"


def test_respawn_test_puts_a_fresh_process_under_the_next_test(suite: Suite) -> None:
    test = CRASH_IN_SECOND_OF_THREE.replace('raise AssertionError("this must not run")', "pass")
    result = suite({"test_a.py": test}, "--live-gui-respawn=test")
    result.assert_outcomes(passed=2, failed=1)


def test_respawn_never_spares_everything_that_follows(suite: Suite) -> None:
    result = suite(
        {"test_a.py": CRASH_IN_SECOND_OF_THREE, "test_b.py": PASSES}, "--live-gui-respawn", "never"
    )
    result.assert_outcomes(passed=1, failed=1, errors=2)


def test_scope_module_gives_every_file_its_own_process(suite: Suite) -> None:
    generation = "def test_generation(live_gui):\n    assert live_gui.generation == {}\n"
    files = {f"test_{number}.py": generation.format(number) for number in (1, 2, 3)}
    result = suite(files, ini="live_gui_scope = module")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["test_3.py  fresh process (generation 3): live_gui_scope = module"])


def test_scope_function_gives_every_test_its_own_process(suite: Suite) -> None:
    test = """
def test_1(live_gui):
    assert live_gui.generation == 1

def test_2(live_gui):
    assert live_gui.generation == 2
"""
    suite({"test_a.py": test}, ini="live_gui_scope = function").assert_outcomes(passed=2)


def test_the_same_crash_over_and_over_ends_in_one_verdict(suite: Suite) -> None:
    crash = "import time\n\ndef test_culprit(app):\n    app.do('crash boom')\n    time.sleep(60)\n"
    files = {f"test_{number}.py": crash for number in range(6)}
    result = suite(files, ini="live_gui_max_respawns = 2")
    result.assert_outcomes(failed=3, errors=3)
    result.stdout.fnmatch_lines(["*the same failure followed 2 respawns in a row*"])


def test_the_handle_unpacks_and_stays_the_same_while_processes_change(suite: Suite) -> None:
    test = """
import subprocess, pytest

def test_handle(live_gui):
    handle, script = live_gui
    assert handle is live_gui
    assert "plain_app.py" in script
    process, pid = handle.process, handle.pid
    assert process.pid == pid and process.poll() is None and process.returncode is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.05)
    handle.respawn("to see")
    assert handle.generation == 2 and handle.pid != pid
    assert process.wait(timeout=5) is not None
    assert handle.is_alive() and handle.is_healthy()
    handle.ensure_alive()
    assert handle.generation == 2
    handle.wait_until_ok(1)
    assert "generation=2" in repr(handle)
"""
    suite({"test_a.py": test}).assert_outcomes(passed=1)


def test_tests_that_do_not_use_the_app_start_none_and_are_left_alone(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    test = """
import signal

def test_plain():
    assert signal.getsignal(getattr(signal, "SIGURG", None) or signal.SIGBREAK) == signal.SIG_DFL
"""
    suite({"test_a.py": test}).assert_outcomes(passed=1)
    assert not (pytester.path / ".livegui").exists()


def test_tests_that_do_not_use_the_app_run_whatever_its_state(suite: Suite) -> None:
    test = CRASH_IN_SECOND_OF_THREE + "\ndef test_plain():\n    import time; time.sleep(0.2)\n"
    suite({"test_a.py": test}).assert_outcomes(passed=2, failed=1, errors=1)


@pytest.mark.parametrize(
    ("ini", "says"),
    [
        ("live_gui_command =", "live_gui_command is not set"),
        (
            "live_gui_command = no-such-program --x",
            "No such file or directory" if os.name == "posix" else "program not found",
        ),
        ("live_gui_command = {python} no_such_file.py", "exit status 2"),
        ("live_gui_command = {python} plain_app.py {port}", "known are {hook_port}"),
        ("live_gui_command = {python} 'plain_app.py", "a quote is not closed"),
        ("live_gui_command = {python} -c 'pass'", "ended with exit status 0"),
        (
            "live_gui_command = {python} -c 'import sys; print(\"it broke\", file=sys.stderr); sys.exit(4)'",
            "it broke",
        ),
        (
            "live_gui_inject = false\nlive_gui_command = {python} -c 'import time; time.sleep(60)'",
            "never called livegui.start()",
        ),
        (
            "live_gui_command = {python} -c 'import livegui, time; livegui.start(); time.sleep(60)'",
            "has not called agent.beat()",
        ),
        (
            'live_gui_command = {python} -c \'import livegui; a = livegui.start(); a.beat(); a.degrade("no licence"); '
            "import time; time.sleep(60)'",
            "no licence",
        ),
        ("live_gui_scope = file", "expected session, module or function"),
        ("live_gui_respawn = now", "expected file, test or never"),
        ("live_gui_ready_timeout = soon", "expected a number"),
        ("live_gui_abort = perhaps", "expected true or false"),
    ],
)
def test_what_cannot_start_says_why_at_once(
    suite: Suite, pytester: pytest.Pytester, ini: str, says: str
) -> None:
    if os.name == "nt":  # where a single quote is a letter
        ini = ini.replace('"', r"\"").replace("'", '"')
    began = time.monotonic()
    timeout = "" if "ready_timeout" in ini else "\nlive_gui_ready_timeout = 1.5"
    result = suite({"test_a.py": PASSES + "\ndef test_second(live_gui):\n    pass\n"}, ini=ini + timeout)
    assert result.parseoutcomes().get("errors") == 2, result.stdout.str()
    result.stdout.fnmatch_lines([f"*{says.replace('[', '[[]')}*"])
    assert time.monotonic() - began < 20


def test_a_held_port_is_refused_before_anything_starts_and_names_its_holder(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        result = suite(
            {"test_a.py": PASSES}, ini=f"live_gui_command = {{python}} plain_app.py --hook-port {port}"
        )
    result.assert_outcomes(errors=1)
    holder = "a process that cannot be seen from here" if under_wine() else f"pid {os.getpid()}, started *"
    result.stdout.fnmatch_lines([f"*its port {port} is held by {holder}"])


def test_a_fresh_process_that_cannot_start_fails_the_file_at_once_and_the_next_file_tries_again(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    # The app refuses to start while there is a file of that name; the first process saw none.
    launcher = """
import pathlib, runpy, sys
if pathlib.Path("refuse").exists():
    sys.exit("I refuse")
runpy.run_path("plain_app.py", run_name="__main__")
"""
    crash = """
import pathlib, time

def test_culprit(app):
    pathlib.Path("refuse").touch()
    app.do("crash boom")
    time.sleep(60)
"""
    second = """
def test_one(app):
    pass

def test_two(app):
    pass
"""
    third = """
import pathlib, pytest

def test_lift():
    pathlib.Path("refuse").unlink()

def test_three(app):
    pass
"""
    result = suite(
        {"launcher.py": launcher, "test_1.py": crash, "test_2.py": second, "test_3.py": third},
        ini="live_gui_command = {python} launcher.py",
    )
    result.assert_outcomes(failed=1, errors=2, passed=2)
    result.stdout.fnmatch_lines(
        ["*the app ended with exit status 1*", "*I refuse*", "*did not run: there is no app*"]
    )


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_ctrl_c_ends_the_run_and_the_app(suite: Suite, pytester: pytest.Pytester) -> None:
    test = """
import os, signal, time

def test_interrupted(app):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
"""
    result = suite({"test_a.py": test})
    result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert_all_gone(processes_of(result, pytester))


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_no_app_outlives_a_pytest_that_was_killed(suite: Suite, pytester: pytest.Pytester) -> None:
    launcher = """
import pathlib, runpy, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path("child").write_text(str(child.pid))
runpy.run_path("plain_app.py", run_name="__main__")
"""
    test = """
import os, signal

def test_killed(app, live_gui):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    files = {"launcher.py": launcher, "test_a.py": test}
    result = suite(files, ini="live_gui_command = {python} launcher.py")
    assert result.ret == -signal.SIGKILL
    pids = [*processes_of(result, pytester), int((pytester.path / "child").read_text())]
    wait_until_gone(*pids)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_children_that_left_the_group_are_ended_too(suite: Suite, pytester: pytest.Pytester) -> None:
    launcher = """
import pathlib, runpy, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
pathlib.Path("child").write_text(str(child.pid))
runpy.run_path("plain_app.py", run_name="__main__")
"""
    suite(
        {"launcher.py": launcher, "test_a.py": CRASH_IN_SECOND_OF_THREE},
        ini="live_gui_command = {python} launcher.py",
    )
    child = int((pytester.path / "child").read_text())
    assert not is_running(child)


def test_the_signal_is_given_back(suite: Suite) -> None:
    test = """
import signal
from livegui._abort import SIGNAL

def handler(*_):
    pass

signal.signal(SIGNAL, handler)

def test_uses(app):
    assert signal.getsignal(SIGNAL) is not handler
"""
    check = """
import signal
from livegui._abort import SIGNAL

def pytest_unconfigure(config):
    print("given back:", getattr(signal.getsignal(SIGNAL), "__name__", "?"))
"""
    result = suite({"test_a.py": test, "check.py": check}, "-p", "check", "-s", ini="pythonpath = .")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["given back: handler"])


def test_collect_only_starts_nothing(suite: Suite, pytester: pytest.Pytester) -> None:
    suite({"test_a.py": PASSES}, "--collect-only")
    assert not (pytester.path / ".livegui").exists()
