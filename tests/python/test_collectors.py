"""Plugins and helpers that collect or swallow errors, each as released: the crash is the verdict all the same."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from plain_suites import PASSES, Suite, beside

COLLECTORS = [
    "pytest",
    "pytest-check",
    "pytest-assume",
    "hypothesis",
    "pytest-bdd",
    "tenacity",
    "backoff",
]


@pytest.fixture(autouse=True)
def collectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(beside("collectors", COLLECTORS)))


HEAD = """
import json, pathlib, time, pytest

def crash(app):
    app.do("crash boom")

def waits():
    time.sleep(20)

def goes_on():
    pathlib.Path("went on").touch()
"""

SWALLOWERS = {
    "pytest-check": """
from pytest_check import check

def test_culprit(app):
    with check:
        assert 1 == 2
    crash(app)
    with check:
        waits()
    goes_on()
""",
    "pytest-check-function": """
from pytest_check import check_func

@check_func
def is_fine():
    waits()
    assert 1 == 2

def test_culprit(app):
    crash(app)
    is_fine()
    goes_on()
""",
    "pytest-assume": """
def test_culprit(app):
    crash(app)
    pytest.assume(1 == 2)
    with pytest.assume:
        waits()
    goes_on()
""",
    "pytest-raises": """
def test_culprit(app):
    crash(app)
    with pytest.raises(BaseException):
        waits()
    with pytest.raises(BaseException):
        waits()
""",
    "tenacity": """
import tenacity

@tenacity.retry(
    retry=tenacity.retry_if_exception(lambda error: True),
    wait=tenacity.wait_fixed(0.05),
    stop=tenacity.stop_after_delay(20),
    reraise=True,
)
def is_there():
    waits()

def test_culprit(app):
    crash(app)
    is_there()
    goes_on()
""",
    "tenacity-base": """
import tenacity

@tenacity.retry(
    retry=tenacity.retry_if_exception_type(BaseException),
    wait=tenacity.wait_fixed(0.05),
    stop=tenacity.stop_after_delay(20),
)
def is_there():
    raise OSError("connection refused")

def test_culprit(app):
    crash(app)
    is_there()
    goes_on()
""",
    "backoff": """
import backoff

@backoff.on_exception(backoff.constant, BaseException, interval=0.05, max_time=20)
def is_there():
    raise OSError("connection refused")

def test_culprit(app):
    crash(app)
    is_there()
    goes_on()
""",
    "swallower": """
def test_culprit(app):
    crash(app)
    try:
        waits()
    except BaseException:
        pass
""",
}


@pytest.mark.parametrize("name", SWALLOWERS)
def test_whoever_swallows_errors_the_crash_is_the_verdict(
    suite: Suite, pytester: pytest.Pytester, name: str
) -> None:
    files = {"test_a.py": HEAD + SWALLOWERS[name], "test_b.py": PASSES}
    result = suite(files, "-p", "no:xdist", "-p", "no:hypothesispytest")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["FAILED test_a.py::test_culprit - GuiDegraded: main_loop_crashed: Run*"])
    assert not (pytester.path / "went on").exists()
    assert result.duration < 15, "it waits for none of its retries"


HYPOTHESIS = {
    "waits": "time.sleep(1)",
    "is-refused": "(live_gui.generation_folder / 'state' / 'command').exists() and time.sleep(0.1)\n"
    "        raise OSError('connection refused')",
    "polls": """
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            try:
                time.sleep(0.02)
            except Exception:
                pass""",
}


@pytest.mark.parametrize(
    ("how", "abort"), [("waits", "true"), ("polls", "true"), ("is-refused", "true"), ("is-refused", "false")]
)
def test_hypothesis_runs_no_example_on_an_app_that_is_gone(
    suite: Suite, pytester: pytest.Pytester, how: str, abort: str
) -> None:
    test = f"""
import pathlib, time
from hypothesis import HealthCheck, given, settings, strategies

examples = []

@settings(deadline=None, max_examples=200, database=None, suppress_health_check=list(HealthCheck))
@given(number=strategies.integers(0, 1000))
def test_culprit(app, live_gui, number):
    examples.append(number)
    pathlib.Path("examples").write_text(str(examples))
    if number > 100:
        app.do("crash boom")
        {HYPOTHESIS[how]}
"""
    result = suite(
        {"test_a.py": test, "test_b.py": PASSES}, "-p", "no:xdist", ini=f"live_gui_abort = {abort}"
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["FAILED test_a.py::test_culprit - GuiDegraded: main_loop_crashed: Run*"])
    examples = json.loads((pytester.path / "examples").read_text())
    assert sum(number > 100 for number in examples) == 1, examples
    (record,) = (pytester.path / ".livegui").glob("*/run.json")
    assert len(json.loads(record.read_text())["generations"]) <= 2


#: The verdict takes long to make, so that the alarm interrupts that. Notes whether a handler interrupts a handler.
SLOW_VERDICT = """
import pathlib, time
import livegui._frames, livegui.errors

def slow():
    deadline = time.monotonic() + 0.1
    while time.monotonic() < deadline:
        pass

make, of_test, inside = livegui.errors.LiveGuiError.__init__, livegui._frames.of_test, []

def make_slowly(error, *args, **kwargs):
    slow()
    make(error, *args, **kwargs)

def handle_slowly(*args):
    inside.append(1)
    pathlib.Path("handlers").open("a").write(f"{len(inside)} ")
    slow()
    inside.pop()
    return of_test(*args)

livegui.errors.LiveGuiError.__init__ = make_slowly
livegui._frames.of_test = handle_slowly
"""


def test_what_interrupts_the_making_of_a_verdict_does_not_replace_it(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    # The app is asked because the example fails, and its agent answers before the alarm interrupts.
    test = f"""{SLOW_VERDICT}
from hypothesis import HealthCheck, given, settings, strategies

@settings(deadline=None, max_examples=5, database=None, suppress_health_check=list(HealthCheck))
@given(number=strategies.integers(0, 1000))
def test_culprit(app, live_gui, number):
    app.do("crash boom")
    while (live_gui.generation_folder / "state" / "command").exists():
        pass
    raise OSError("connection refused")
"""
    result = suite({"test_a.py": test}, "-p", "no:xdist")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["FAILED test_a.py::test_culprit - GuiDegraded: main_loop_crashed: Run*"])
    assert set((pytester.path / "handlers").read_text().split()) == {"1"}


def test_a_scenario_of_pytest_bdd_fails_of_the_crash(suite: Suite) -> None:
    feature = """Feature: the app
  Scenario: it crashes
    Given an app
    When it crashes
    Then nobody sees this
"""
    test = """
import time
from pytest_bdd import given, scenarios, then, when

scenarios("app.feature")

@given("an app")
def _(live_gui):
    assert live_gui.is_healthy()

@when("it crashes")
def _(app):
    app.do("crash boom")
    time.sleep(20)

@then("nobody sees this")
def _():
    open("went on", "w").close()
"""
    result = suite({"app.feature": feature, "test_a.py": test, "test_b.py": PASSES}, "-p", "no:xdist")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["FAILED test_a.py::test_it_crashes - GuiDegraded: main_loop_crashed: *"])


def test_pytest_qt_s_wait_until_ends_with_the_app(
    suite: Suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = beside("pytest-qt", ["pytest", "pytest-qt", "PyQt6>=6.5"])
    monkeypatch.setenv("PYTHONPATH", str(packages))
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    loads = [sys.executable, "-c", "import PyQt6.QtTest, PyQt6.QtWidgets"]
    if subprocess.run(loads, stderr=subprocess.DEVNULL, check=False).returncode != 0:
        pytest.skip("PyQt6 cannot be loaded here")
    test = """
def test_culprit(qtbot, app):
    app.do("crash boom")
    qtbot.waitUntil(lambda: False, timeout=20_000)
    open("went on", "w").close()

def test_victim(qtbot, live_gui):
    pass
"""
    after = "def test_next(qtbot, live_gui):\n    qtbot.waitUntil(live_gui.is_healthy)\n"
    result = suite({"test_a.py": test, "test_b.py": after}, "-p", "no:xdist", ini="qt_api = pyqt6")
    result.assert_outcomes(failed=1, errors=1, passed=1)
    result.stdout.fnmatch_lines(["FAILED test_a.py::test_culprit - GuiDegraded: main_loop_crashed: Run*"])
    assert not (pytester.path / "went on").exists()
    assert result.duration < 15
