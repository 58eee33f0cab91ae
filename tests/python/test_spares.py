"""``live_gui_spares``: the next process is up before it is needed."""

from __future__ import annotations

import json
import os
import sys

import pytest
from plain_suites import Suite, is_running, wait_until_gone

INI = """
live_gui_command = {python} plain_app.py {hook_port}
live_gui_scope = module
live_gui_spares = 1
"""

#: Waits until the run's record has a generation in this state, and returns that record.
WAIT = """
import json, os, signal, time

def record(live_gui, generation, state):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        run = json.loads((live_gui.run_folder / "run.json").read_text())
        for found in run["generations"]:
            if found["generation"] == generation and found["state"] == state:
                return found
        time.sleep(0.01)
    raise AssertionError(run)
"""

WAITS_FOR_A_REMARK = (
    WAIT
    + """
def test_first(live_gui):
    deadline = time.monotonic() + 20
    while not json.loads((live_gui.run_folder / "run.json").read_text())["remarks"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
"""
)


def generations(pytester: pytest.Pytester) -> list[dict[str, object]]:
    (run,) = (pytester.path / ".livegui").glob("*/run.json")
    listed: list[dict[str, object]] = json.loads(run.read_text())["generations"]
    return listed


def assert_none_is_left(pytester: pytest.Pytester) -> None:
    for generation in generations(pytester):
        assert not is_running(int(str(generation["pid"]))), generation


def test_the_next_file_runs_on_the_process_that_was_ready_before_it_began(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    first = (
        WAIT
        + """
def test_first(live_gui):
    spare = record(live_gui, 2, "ready")
    assert spare["pid"] != live_gui.pid
    with open("spare", "w") as file:
        file.write(str(spare["pid"]))
"""
    )
    second = """
def test_second(live_gui):
    assert live_gui.generation == 2
    assert live_gui.pid == int(open("spare").read())
    assert live_gui.is_healthy() and live_gui.health()["status"] == "ok"
"""
    result = suite({"test_1.py": first, "test_2.py": second}, ini=INI)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["test_2.py  fresh process (generation 2): live_gui_scope = module"])
    assert_none_is_left(pytester)
    assert {generation["state"] for generation in generations(pytester)} <= {"ended", "starting"}


def test_a_spare_that_dies_is_replaced_and_blamed_on_nobody(suite: Suite, pytester: pytest.Pytester) -> None:
    first = (
        WAIT
        + """
def test_first(live_gui):
    os.kill(record(live_gui, 2, "ready")["pid"], 9)
    record(live_gui, 3, "ready")
    assert live_gui.is_healthy()
"""
    )
    second = "def test_second(live_gui):\n    assert live_gui.generation == 3\n"
    suite({"test_1.py": first, "test_2.py": second}, ini=INI).assert_outcomes(passed=2)
    died = generations(pytester)[1]
    assert (died["state"], died["culprit"]) == ("exited", None)
    assert ("exit status 9" if sys.platform == "win32" else "SIGKILL") in str(died["why"])


@pytest.mark.skipif(os.name != "posix", reason="the program that goes is a script for a shell")
def test_a_spare_that_the_system_cannot_start_is_told(suite: Suite, pytester: pytest.Pytester) -> None:
    starter = pytester.path / "starter"
    starter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    starter.chmod(0o755)
    ends_it = (
        'def test_first(live_gui):\n    pid = record(live_gui, 2, "ready")["pid"]\n'
        '    os.remove("starter")\n    os.kill(pid, 9)\n'
    )
    first = WAITS_FOR_A_REMARK.replace("def test_first(live_gui):\n", ends_it)
    ini = INI.replace("{python}", str(starter))
    result = suite({"test_1.py": first}, ini=ini)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["a spare was not started (generation 3): the app could not be started: *"])


def test_a_crash_is_followed_by_the_spare(suite: Suite, pytester: pytest.Pytester) -> None:
    first = (
        WAIT
        + """
def test_culprit(live_gui, app):
    record(live_gui, 2, "ready")
    app.do("crash boom")
    time.sleep(60)

def test_victim(live_gui):
    raise AssertionError("this must not run")
"""
    )
    second = "def test_second(live_gui):\n    assert live_gui.generation == 2\n"
    result = suite({"test_1.py": first, "test_2.py": second}, ini=INI.replace("module", "session"))
    result.assert_outcomes(failed=1, errors=1, passed=1)
    result.stdout.fnmatch_lines(["test_2.py  fresh process (generation 2): test_1.py::test_culprit left*"])
    assert_none_is_left(pytester)


def test_spares_that_do_not_come_up_are_given_up_and_the_next_start_says_why(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    (pytester.path / "once.py").write_text(
        "import pathlib, runpy, sys\n"
        "if pathlib.Path('once').exists():\n"
        "    sys.exit('the licence is used up')\n"
        "pathlib.Path('once').touch()\n"
        "runpy.run_path('plain_app.py', run_name='__main__')\n"
    )
    ini = INI.replace("plain_app.py", "once.py")
    result = suite(
        {"test_1.py": WAITS_FOR_A_REMARK, "test_2.py": "def test_second(live_gui):\n    pass\n"}, ini=ini
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the app ended with exit status 1*", "no more spares: 3 in a row failed*"])
    assert len(generations(pytester)) == 1 + 3 + 1


def test_spares_that_die_one_after_the_other_are_given_up_too(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    (pytester.path / "fragile.py").write_text(
        "import os, pathlib, runpy, threading\n"
        "if pathlib.Path('once').exists():\n"
        "    threading.Timer(0.3, os._exit, [7]).start()\n"
        "pathlib.Path('once').touch()\n"
        "runpy.run_path('plain_app.py', run_name='__main__')\n"
    )
    result = suite({"test_1.py": WAITS_FOR_A_REMARK}, ini=INI.replace("plain_app.py", "fragile.py"))
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["no more spares: 3 in a row failed*"])
    assert [generation["state"] for generation in generations(pytester)] == ["ended", *["exited"] * 3]


def test_a_spare_that_froze_while_it_waited_is_not_used_and_the_record_says_why(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    (pytester.path / "freezes.py").write_text(
        "import os, pathlib, runpy, threading\n"
        "state = pathlib.Path(os.environ['LIVEGUI_STATE_DIR'])\n"
        "if state.parent.name == 'gen-2':\n"
        "    threading.Timer(2, (state / 'command').write_text, ['deadlock']).start()\n"
        "runpy.run_path('plain_app.py', run_name='__main__')\n"
    )
    first = (
        WAIT
        + """
def test_first(live_gui):
    record(live_gui, 2, "ready")
    while not (live_gui.run_folder / "gen-2" / "state" / "taken").exists():
        time.sleep(0.01)
"""
    )
    second = """
def test_second(live_gui):
    assert live_gui.generation == 3
    assert live_gui.health()["status"] == "ok"
"""
    result = suite({"test_1.py": first, "test_2.py": second}, ini=INI.replace("plain_app.py", "freezes.py"))
    result.assert_outcomes(passed=2)
    frozen = generations(pytester)[1]
    assert (frozen["state"], frozen["culprit"]) == ("degraded", None)
    assert str(frozen["why"]).startswith("its main loop had not turned for ")
    result.stdout.fnmatch_lines(
        ["a spare was not used (generation 2): its main loop had not turned for 0.* s"]
    )
    assert_none_is_left(pytester)


def test_without_a_port_of_its_own_there_is_no_spare_and_a_remark(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    result = suite(
        {"test_1.py": "def test_first(live_gui):\n    pass\n"},
        ini=INI.replace(" {hook_port}", ""),
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["live_gui_spares = 1 has no effect: *put {hook_port} into live_gui_command*"]
    )
    assert len(generations(pytester)) == 1


def test_more_spares_than_a_machine_bears_are_refused(suite: Suite) -> None:
    result = suite({"test_1.py": "def test_first(live_gui):\n    pass\n"}, "--live-gui-spares=17", ini=INI)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*live_gui_spares = 17: expected 0 to 16*"])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere priority is left alone")
def test_a_spare_that_is_handed_over_and_its_watch_run_at_normal_priority(suite: Suite) -> None:
    first = (
        WAIT
        + """
def test_first(live_gui):
    record(live_gui, 2, "ready")
"""
    )
    second = """
import os

def test_second(live_gui):
    for pid in (live_gui.pid, os.getpid()):
        for thread in os.listdir(f"/proc/{pid}/task"):
            try:
                name = open(f"/proc/{pid}/task/{thread}/comm").read().strip()
                priority = os.getpriority(os.PRIO_PROCESS, int(thread))
            except OSError:
                continue  # it has ended
            if name != "livegui-spares":  # which starts the next one just now
                assert priority == os.getpriority(os.PRIO_PROCESS, 0), name
"""
    suite({"test_1.py": first, "test_2.py": second}, ini=INI).assert_outcomes(passed=2)


def test_no_spare_outlives_a_pytest_that_was_killed(suite: Suite, pytester: pytest.Pytester) -> None:
    test = (
        WAIT
        + """
def test_killed(live_gui):
    record(live_gui, 2, "ready")
    os.kill(os.getpid(), 9)
"""
    )
    suite({"test_1.py": test}, ini=INI)
    pids = [int(str(generation["pid"])) for generation in generations(pytester)]
    assert len(pids) >= 2
    wait_until_gone(*pids)
