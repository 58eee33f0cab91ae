"""Tests that are expected to fail, or skip themselves, and what they do to the app."""

from __future__ import annotations

import json

import pytest
from plain_suites import PASSES, Suite

XFAILS = """
import time, pytest

@pytest.mark.xfail(reason="a known bug")
def test_culprit(app):
    app.do("crash boom")
    time.sleep(60)

@pytest.mark.xfail(reason="another known bug")
def test_victim(live_gui):
    assert False

@pytest.mark.xfail(reason="not of the app")
def test_of_its_own():
    assert False
"""


@pytest.mark.parametrize("options", [[], ["-n1"]], ids=["alone", "xdist"])
def test_an_xfail_excuses_the_culprit_and_is_told_and_is_none_of_a_victim_that_did_not_run(
    suite: Suite, options: list[str]
) -> None:
    result = suite({"test_a.py": XFAILS, "test_b.py": PASSES}, *options)
    result.assert_outcomes(xfailed=2, errors=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "did not run: test_culprit left the app degraded: *",
            "test_a.py::test_culprit xfailed, and took the app down: main_loop_crashed: RuntimeError: boom",
            "ERROR test_a.py::test_victim - GuiDegraded: did not run: test_culprit*",
        ]
    )
    result.stdout.no_fnmatch_line("*no test failed of it*")


def test_a_crash_that_is_expected_to_the_last_does_not_fail_the_run(suite: Suite) -> None:
    test = XFAILS.partition('@pytest.mark.xfail(reason="another')[0]
    result = suite({"test_a.py": test, "test_b.py": PASSES})
    result.assert_outcomes(xfailed=1, passed=1)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["test_a.py::test_culprit xfailed, and took the app down: *"])


def test_an_app_that_does_not_start_is_no_expected_failure(suite: Suite) -> None:
    test = "import pytest\n\n@pytest.mark.xfail\ndef test_it(live_gui):\n    assert False\n"
    command = "live_gui_command = {python} -c \"import sys; sys.exit('app: no licence')\""
    result = suite({"test_a.py": test}, ini=command)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["ERROR test_a.py::test_it - GuiStartError: app: no licence"])


def test_a_test_that_skips_itself_does_not_hide_a_crash(suite: Suite, pytester: pytest.Pytester) -> None:
    test = """
import time, pytest

def test_culprit(app, live_gui):
    app.do("crash boom")
    while live_gui.is_healthy():
        time.sleep(0.01)
    pytest.skip("the app does not answer")
"""
    result = suite({"test_a.py": test, "test_b.py": PASSES}, ini="live_gui_abort = false")
    result.assert_outcomes(skipped=1, errors=1, passed=1)
    result.stdout.fnmatch_lines(["ERROR test_a.py::test_culprit - GuiDegraded: main_loop_crashed: *"])
    for record in (pytester.path / ".livegui").glob("*/run.json"):
        assert (
            json.loads(record.read_text())["generations"][0]["culprit"]["test"] == "test_a.py::test_culprit"
        )
