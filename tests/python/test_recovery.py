"""An app that recovers by itself, and a dead one that is used between tests."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest
from plain_suites import Suite

STALL = """
import time

def test_slow(app, live_gui):
    app.do("hang 1")
    deadline = time.monotonic() + 20
    while live_gui.is_healthy():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    live_gui.wait_until_ok(20)
"""


def test_a_stall_that_recovers_before_the_test_ends_is_noted_and_not_fatal_without_abort(
    quick_to_call_it_a_stall: Suite, pytester: pytest.Pytester
) -> None:
    result = quick_to_call_it_a_stall(
        {"test_a.py": STALL}, "--junitxml=junit.xml", ini="live_gui_abort = false"
    )
    result.assert_outcomes(passed=1)
    says = "test_a.py::test_slow: the app degraded and recovered by itself: main_loop_stalled: *"
    result.stdout.fnmatch_lines([says])
    (case,) = ET.parse(pytester.path / "junit.xml").getroot().iter("testcase")
    noted = {entry.get("name"): entry.get("value") for entry in case.iter("property")}
    assert str(noted["live_gui_recovered"]).startswith("main_loop_stalled: ")


def test_the_same_stall_is_fatal_with_abort(quick_to_call_it_a_stall: Suite) -> None:
    result = quick_to_call_it_a_stall({"test_a.py": STALL})
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the app degraded during this test*", "*main_loop_stalled*"])


def test_a_dead_app_that_is_used_between_tests_is_replaced_there(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    test = """
import time

def test_culprit(app):
    app.do("crash boom")
    time.sleep(60)

def test_next(live_gui):
    assert live_gui.generation == 2
"""
    conftest = pytester.path / "conftest.py"
    conftest.write_text(
        conftest.read_text()
        + """
handle = None

@pytest.fixture(autouse=True)
def keep(live_gui):
    global handle
    handle = live_gui

def pytest_runtest_logfinish(nodeid):
    if "culprit" in nodeid:
        assert "generation=1 " in repr(handle)  # which is no use of it
        assert handle.generation == 2
        assert handle.is_healthy()
"""
    )
    result = suite({"test_a.py": test})
    result.assert_outcomes(failed=1, passed=1)
    (run,) = (pytester.path / ".livegui").glob("*/run.json")
    (note,) = json.loads(run.read_text())["notes"]
    assert note["test"] == "test_a.py::test_next"
    assert note["because"].startswith("test_a.py::test_culprit left generation 1 degraded")


def test_a_dead_app_is_not_replaced_in_mid_test(suite: Suite) -> None:
    test = """
import time, pytest
from livegui.errors import GuiDegraded

def test_culprit(app, live_gui):
    app.do("crash boom")
    deadline = time.monotonic() + 20
    while live_gui.is_healthy():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with pytest.raises(GuiDegraded, match="degraded during this test"):
        live_gui.ensure_alive()
    assert live_gui.generation == 1
    print("it was not replaced")
"""
    result = suite({"test_a.py": test}, ini="live_gui_abort = false")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["it was not replaced"])


def test_ensure_alive_between_tests_replaces_a_dead_app_that_nothing_else_would(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    test = """
import time

def test_culprit(app):
    app.do("crash boom")
    time.sleep(60)

def test_next(live_gui):
    assert live_gui.generation == 2
"""
    conftest = pytester.path / "conftest.py"
    conftest.write_text(
        conftest.read_text()
        + """
handle = None

@pytest.fixture(autouse=True)
def keep(live_gui):
    global handle
    handle = live_gui

def pytest_runtest_logfinish(nodeid):
    if "culprit" in nodeid:
        assert not handle.is_healthy()
        handle.ensure_alive()
        assert handle.is_healthy()
"""
    )
    suite({"test_a.py": test}, ini="live_gui_respawn = never").assert_outcomes(failed=1, passed=1)
