"""Tests that end the app on purpose, and say so."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from plain_suites import PASSES, Suite


def record_of(pytester: pytest.Pytester) -> dict[str, Any]:
    (record,) = (pytester.path / ".livegui").glob("*/run.json")
    document: dict[str, Any] = json.loads(record.read_text())
    return document


QUITS = """
import signal, sys, pytest

def test_quit(app, live_gui):
    with live_gui.expect_exit() as end:
        app.do("{how}")
    assert (end.status, end.how, end.generation) == (0, "exit status 0", 1)
    assert end.process.returncode == 0 and end.process.pid > 1
    assert live_gui.generation == 2 and live_gui.is_healthy()

def test_after_it_in_the_same_file(live_gui):
    assert live_gui.generation == 2 and live_gui.is_healthy()
"""


@pytest.mark.parametrize("how", ["stop", "return", "exit 0"])
def test_a_declared_exit_is_nobody_s_fault_and_the_next_use_brings_a_fresh_process(
    suite: Suite, pytester: pytest.Pytester, how: str
) -> None:
    result = suite({"test_a.py": QUITS.format(how=how), "test_b.py": PASSES})
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        ["test_a.py  fresh process (generation 2): ended on purpose by test_a.py::test_quit"]
    )
    first, second = record_of(pytester)["generations"]
    assert (first["state"], first["why"], first["culprit"]) == ("ended", None, None)
    assert first["ended_by"] == {"test": "test_a.py::test_quit", "how": "exit status 0"}
    assert second["state"] == "ended"
    assert "ended_by" not in second


def test_every_way_in_which_a_test_may_end_the_app_can_be_declared(suite: Suite) -> None:
    test = """
import signal, sys, pytest

@pytest.mark.parametrize("status", [signal.SIGTERM, None, {3, signal.SIGTERM, -15, 0xC000013A}])
def test_terminate(live_gui, status):
    with live_gui.expect_exit(status):
        live_gui.process.terminate()
        live_gui.process.wait(10)

def test_kill(live_gui):
    with live_gui.expect_exit(signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL) as end:
        live_gui.process.kill()
    assert end.seconds < 10

def test_a_status_of_its_own(app, live_gui):
    with live_gui.expect_exit(status=3):
        app.do("exit 3")

def test_it_asks_for_a_fresh_process_inside(app, live_gui):
    with live_gui.expect_exit() as end:
        app.do("stop")
        live_gui.process.wait(10)
        before = live_gui.generation
        live_gui.wait_for(lambda: not live_gui.is_healthy())
        live_gui.respawn("on we go")
        assert live_gui.generation == before + 1
    assert end.generation == before and end.status == 0
    assert live_gui.is_healthy()

@pytest.fixture
def quits(app, live_gui):
    with live_gui.expect_exit():
        app.do("stop")
    yield
    with live_gui.expect_exit(status=None):
        live_gui.process.kill()

def test_in_a_fixture(quits, live_gui):
    assert live_gui.is_healthy()

@pytest.mark.live_gui_ends_app
def test_by_a_mark(live_gui):
    live_gui.process.kill()

@pytest.mark.live_gui_ends_app(status=0, within=20)
async def test_by_a_mark_with_more_to_say_is_last(): ...

def test_after_all(live_gui):
    assert live_gui.is_healthy()
"""
    test = test.replace(
        "async def test_by_a_mark_with_more_to_say_is_last(): ...",
        "def test_by_a_mark_with_more_to_say(app):\n    app.do('stop')",
    )
    result = suite({"test_a.py": test}, ini="live_gui_max_respawns = 1")
    result.assert_outcomes(passed=10)
    result.stdout.no_fnmatch_line("*degraded*")


BROKEN = """
import time, pytest
from livegui.errors import GuiExited

def test_does_not_end(live_gui):
    with live_gui.expect_exit(within=0.3):
        pass

def test_ends_otherwise(app, live_gui):
    with live_gui.expect_exit(status={0, 1}):
        app.do("exit 3")

def test_does_not_degrade(live_gui):
    with live_gui.expect_degraded("main_loop_crashed", within=0.2):
        pass

def test_fails_of_itself_and_the_app_goes_on(live_gui):
    before = live_gui.generation
    with pytest.raises(KeyError), live_gui.expect_exit():
        raise KeyError
    assert live_gui.generation == before and live_gui.is_healthy()

def test_fails_of_itself_and_the_app_has_ended(app, live_gui):
    before = live_gui.generation
    with pytest.raises(KeyError), live_gui.expect_exit(status=3):
        app.do("exit 3")
        live_gui.process.wait(10)
        raise KeyError
    assert live_gui.generation == before + 1 and live_gui.is_healthy()
    with pytest.raises(GuiExited, match="exit status 3, expected 0") as raised, live_gui.expect_exit():
        app.do("exit 3")
        live_gui.process.wait(10)
        raise KeyError
    assert isinstance(raised.value.__cause__, KeyError)
    assert live_gui.generation == before + 2 and live_gui.is_healthy()

def test_nested(live_gui):
    with live_gui.expect_exit(status=None):
        with pytest.raises(ValueError, match="leave that one first"), live_gui.expect_degraded("x"):
            pass
        with pytest.raises(ValueError, match="has not ended yet"):
            live_gui.respawn("too early")
        live_gui.process.kill()

def test_values(live_gui):
    for status in ("0", [], True, 1.5):
        with pytest.raises(TypeError, match="expected an exit status"):
            live_gui.expect_exit(status)
    with pytest.raises(ValueError, match="within = -1"):
        live_gui.expect_exit(within=-1)
    with pytest.raises(TypeError, match="expected a reason code"):
        live_gui.expect_degraded(None)

@pytest.mark.live_gui_ends_app(when="now")
def test_wrong_mark(live_gui):
    pass

def test_crashes_instead(app, live_gui):
    with live_gui.expect_exit():
        app.do("crash boom")
        time.sleep(60)

def test_victim(live_gui):
    pass
"""


def test_an_end_that_is_not_as_declared_fails_its_test_and_no_other(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    result = suite({"test_a.py": BROKEN, "test_b.py": PASSES})
    result.assert_outcomes(passed=5, failed=5, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*did not run: test_crashes_instead left the app degraded: main_loop_crashed: RuntimeError: boom",
            "*GuiDidNotEnd: did not end within 0.3 s",
            "*the app still runs, and expect_exit(status=0) says that it is to end (generation 1, pid *",
            "*GuiExited: exit status 3, expected 0 or 1",
            "*the app did not end as expect_exit(status=0, 1) says (generation 2, pid *",
            "*GuiDidNotEnd: did not degrade with main_loop_crashed within 0.2 s",
            "*live_gui_ends_app: *when*",
            "*GuiDegraded: main_loop_crashed: RuntimeError: boom",
            "*the app degraded during this test, which had declared expect_exit(status=0) (generation *",
        ]
    )
    culprits = [generation["culprit"] for generation in record_of(pytester)["generations"]]
    assert [culprit["test"] for culprit in culprits if culprit] == ["test_a.py::test_crashes_instead"]


def test_a_suite_may_test_its_own_crash_handling(suite: Suite, pytester: pytest.Pytester) -> None:
    test = """
import time, pytest

def test_crash(app, live_gui):
    with live_gui.expect_degraded("main_loop_crashed", within=10) as end:
        app.do("crash boom")
    assert end.reasons == [("main_loop_crashed", "main_loop", "RuntimeError: boom")]
    assert end.generation == 1
    assert live_gui.generation == 2 and live_gui.is_healthy()

def test_a_crash_that_takes_the_process_along(app, live_gui):
    with live_gui.expect_degraded("main_loop_crashed") as end:
        app.do("fall boom")
        live_gui.process.wait(10)
    assert end.process.wait(10) == 1

def test_its_own_word(app, live_gui):
    with live_gui.expect_degraded("app_reported"):
        app.do("degrade no licence")

def test_another_word(app, live_gui):
    with live_gui.expect_degraded("main_loop_crashed"):
        app.do("degrade no licence")
        time.sleep(60)
"""
    result = suite({"test_a.py": test})
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["*GuiDegraded: app_reported: no licence"])
    first = record_of(pytester)["generations"][0]
    assert first["ended_by"]["how"].startswith("main_loop_crashed: RuntimeError: boom")


UNDECLARED = """
def test_quits(app, live_gui):
    {how}
    live_gui.process.wait(10)

def test_victim(live_gui):
    pass
"""


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("live_gui.process.kill()", "*the test ended it by itself: declare it, `with live_gui.expect_exit(*"),
        ("app.do('stop')", "*if the app is to end here: declare it, `with live_gui.expect_exit():` around*"),
    ],
)
def test_an_end_that_was_not_declared_is_a_failure_that_says_how_to(
    suite: Suite, how: str, says: str
) -> None:
    # Somebody needs the app afterwards.
    result = suite({"test_a.py": UNDECLARED.format(how=how), "test_b.py": PASSES})
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines([says])


@pytest.mark.parametrize(
    "ini",
    [
        "live_gui_scope = module",
        "live_gui_scope = function",
        "live_gui_respawn = test",
        "live_gui_respawn = never",
        "live_gui_spares = 1",
    ],
)
def test_a_declared_end_costs_nobody_anything_in_every_setting(suite: Suite, ini: str) -> None:
    if "spares" in ini:
        ini += "\nlive_gui_command = {python} plain_app.py {hook_port}"
    last_of_file = """
def test_first(live_gui):
    pass

def test_quit(app, live_gui):
    with live_gui.expect_exit():
        app.do("stop")
"""
    files = {
        "test_a.py": last_of_file,
        "test_b.py": last_of_file,
        "test_c.py": PASSES,
        "test_d.py": last_of_file,
    }
    result = suite(files, ini=ini)
    result.assert_outcomes(passed=7)
    result.stdout.fnmatch_lines(
        ["test_c.py  fresh process (generation *): ended on purpose by test_b.py::test_quit"]
    )


def test_under_xdist_each_worker_goes_on_by_itself(suite: Suite) -> None:
    files = {f"test_{name}.py": QUITS.format(how="stop") for name in "ab"}
    suite(files, "-n2", "--dist=loadfile").assert_outcomes(passed=4)


@pytest.mark.skipif(sys.platform == "win32", reason="sh is POSIX")
def test_a_launcher_s_status_is_the_app_s(suite: Suite) -> None:
    suite(
        {"test_a.py": QUITS.format(how="exit 0")},
        ini="live_gui_command = sh -c '{python} plain_app.py; exit $?'",
    ).assert_outcomes(passed=2)


def test_a_declaration_does_not_outlive_its_test(suite: Suite) -> None:
    test = """
def test_leaves_it_open(live_gui):
    live_gui.expect_exit(status=None).__enter__()

def test_quits(live_gui):
    live_gui.process.kill()
    live_gui.process.wait(10)
"""
    result = suite({"test_a.py": test, "test_b.py": PASSES})
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*the test ended it by itself: declare it, *",
            "expect_exit(status=None) was still open when its test had ended, and no longer counts: *",
        ]
    )


def test_a_crash_on_the_way_to_a_declared_exit_is_told_though_the_block_raises(suite: Suite) -> None:
    test = """
import pytest

def test_crashes(app, live_gui):
    with pytest.raises(KeyError), live_gui.expect_exit():
        app.do("crash boom")
        while live_gui.is_healthy():
            pass
        raise KeyError

def test_victim(live_gui):
    pass
"""
    # Without interrupts, which would come first.
    result = suite({"test_a.py": test, "test_b.py": PASSES}, ini="live_gui_abort = false")
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*did not run: test_crashes left the app degraded: *RuntimeError: boom"])


def test_a_stall_that_was_declared_counts_though_the_app_has_recovered(suite: Suite) -> None:
    test = """
def test_stalls(app, live_gui):
    with live_gui.expect_degraded("main_loop_stalled") as end:
        app.do("hang 5.8")
        live_gui.wait_for(lambda: not live_gui.is_healthy(), 20)
        live_gui.wait_for(live_gui.is_healthy, 20)
    assert [code for code, *_ in end.reasons] == ["main_loop_stalled"]
    assert live_gui.generation == 2
"""
    suite({"test_a.py": test}).assert_outcomes(passed=1)
