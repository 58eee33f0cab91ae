"""Other versions of pytest, and the plugins that suites have beside this one."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from plain_suites import CRASH_IN_SECOND_OF_THREE, PASSES, Suite, beside, wait_until_gone

PYTESTS = {"7.4": "pytest==7.4.*", "8.0": "pytest==8.0.*", "newest": "pytest"}
PLUGINS = ["pytest", "pytest-timeout", "pytest-rerunfailures", "pytest-randomly", "pytest-cov"]

SPARED = "*did not run: test_culprit left the app degraded*"
FRESH = "test_b.py  fresh process (generation 2): test_a.py::test_culprit left generation 1 degraded: *boom*"


def use(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the next suite find these packages before those of this Python."""
    monkeypatch.setenv("PYTHONPATH", str(packages))


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    use(beside("plugins", PLUGINS), monkeypatch)


def version_of(package: str, folder: Path) -> str:
    (found,) = importlib.metadata.distributions(name=package, path=[str(folder)])
    return found.version


@pytest.mark.parametrize("name", PYTESTS)
def test_every_pytest_tells_the_same_story(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, name: str, pytester: pytest.Pytester
) -> None:
    packages = beside(f"pytest-{name}", [PYTESTS[name]])
    use(packages, monkeypatch)
    files = {"test_a.py": CRASH_IN_SECOND_OF_THREE, "test_b.py": PASSES}
    result = suite(files, "-p", "no:xdist", "--junitxml=report.xml")
    result.stdout.fnmatch_lines([f"*pytest-{version_of('pytest', packages)}*"])
    result.assert_outcomes(passed=2, failed=1, errors=1)
    result.stdout.fnmatch_lines([SPARED, "*the app degraded during this test*", FRESH])
    assert "live_gui_fresh_process" in (pytester.path / "report.xml").read_text()


@pytest.mark.parametrize("name", PYTESTS)
def test_under_xdist_too(suite: Suite, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    use(beside(f"pytest-{name}", [PYTESTS[name]]), monkeypatch)
    files = {"test_a.py": CRASH_IN_SECOND_OF_THREE, "test_b.py": PASSES}
    result = suite(files, "-n1", "--dist=loadfile")
    result.assert_outcomes(passed=2, failed=1, errors=1)
    result.stdout.fnmatch_lines([FRESH])


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(
    "method",
    [
        pytest.param("signal", marks=pytest.mark.skipif(os.name != "posix", reason="SIGALRM is of POSIX")),
        "thread",
    ],
)
def test_a_crash_comes_before_a_time_out_and_a_time_out_is_none_of_the_app_s(
    suite: Suite, method: str, pytester: pytest.Pytester
) -> None:
    slow = "import time\n\ndef test_slow(app):\n    time.sleep(60)\n"
    files = {"test_a.py": CRASH_IN_SECOND_OF_THREE, "test_b.py": slow, "test_c.py": PASSES}
    result = suite(files, "-p", "no:randomly", "--timeout=4", f"--timeout-method={method}")
    result.stdout.fnmatch_lines(["*Timeout*"])
    if method == "signal":
        result.assert_outcomes(passed=2, failed=2, errors=1)
        result.stdout.fnmatch_lines(["*the app degraded during this test*"])
        result.stdout.no_fnmatch_line("test_c.py  fresh process*")
    else:  # this method ends pytest, with nothing cleared up
        (record,) = (pytester.path / ".livegui").glob("*/run.json")
        pids = [generation["pid"] for generation in json.loads(record.read_text())["generations"]]
        assert len(pids) == 2
        wait_until_gone(*pids)


@pytest.mark.usefixtures("plugins")
def test_a_re_run_gets_a_fresh_process(suite: Suite) -> None:
    test = """
import pathlib, time

def test_flaky(app, live_gui):
    crashed = pathlib.Path("crashed")
    if not crashed.exists():
        crashed.touch()
        app.do("crash boom")
        time.sleep(60)
    assert live_gui.generation == 2 and live_gui.is_healthy()

def test_after(live_gui):
    assert live_gui.generation == 2
"""
    result = suite({"test_a.py": test}, "-p", "no:randomly", "--reruns=2")
    result.assert_outcomes(passed=2)
    assert result.parseoutcomes()["rerun"] == 1


@pytest.mark.usefixtures("plugins")
def test_a_culprit_that_crashes_again_leaves_victims_that_are_re_run_in_vain(suite: Suite) -> None:
    files = {"test_a.py": CRASH_IN_SECOND_OF_THREE, "test_b.py": PASSES}
    result = suite(files, "-p", "no:randomly", "--reruns=1")
    result.assert_outcomes(passed=2, failed=1, errors=1)
    result.stdout.fnmatch_lines(
        [SPARED, "test_b.py  fresh process (generation 3): *left generation 2 degraded*"]
    )


@pytest.mark.usefixtures("plugins")
def test_a_victim_that_may_be_re_run_leaves_the_tear_downs_of_its_file_alone(suite: Suite) -> None:
    client = """
import pytest

@pytest.fixture(scope="module")
def client(live_gui):
    generation = live_gui.generation
    yield generation
    print(f"\\ntorn down {generation}")
"""
    test = """
import time, pytest

def test_first(client):
    pass

def test_culprit(app):
    app.do("crash boom")
    time.sleep(60)

@pytest.mark.flaky(reruns=2)
def test_victim(client):
    pass
"""
    after = "def test_after(client):\n    assert client == 2\n"
    files = {"client.py": client, "test_a.py": test, "test_b.py": after}
    result = suite(files, "-p", "no:randomly", "-p", "client", "-s")
    result.assert_outcomes(passed=2, failed=1, errors=1)
    assert "rerun" not in result.parseoutcomes()
    assert [line for line in result.outlines if "torn down" in line] == ["torn down 1", "torn down 2"]


@pytest.mark.usefixtures("plugins")
def test_what_a_re_run_of_the_last_test_sets_up_anew_hides_no_note(suite: Suite) -> None:
    victim_is_last = {"test_a.py": CRASH_IN_SECOND_OF_THREE}
    result = suite(victim_is_last, "-p", "no:randomly", "--reruns=1")
    result.stdout.fnmatch_lines(
        [
            "test_a.py  fresh process (generation 2): test_a.py::test_culprit left generation 1 degraded: *boom*"
        ]
    )


@pytest.mark.usefixtures("plugins")
def test_a_re_run_gets_an_app_that_turns(suite: Suite) -> None:
    freezes = """
import time

def test_freezes(app):
    if app.live_gui.generation == 1:
        app.do("deadlock")
        time.sleep(0.3)
        assert False
    beats = app.live_gui.health()["checks"]["main_loop"]["beats"]
    time.sleep(0.2)
    assert app.live_gui.health()["checks"]["main_loop"]["beats"] > beats
"""
    result = suite({"test_a.py": freezes}, "-p", "no:randomly", "--reruns=1")
    result.stdout.fnmatch_lines(["*1 passed, 1 rerun*"])


@pytest.mark.usefixtures("plugins")
def test_a_test_that_fails_of_itself_is_re_run_on_the_same_process(suite: Suite) -> None:
    test = "def test_flaky(live_gui):\n    assert live_gui.generation == 1\n    assert False\n"
    result = suite({"test_a.py": test, "test_b.py": test}, "-p", "no:randomly", "--reruns=1")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["E * assert False"])


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_in_whatever_order_only_the_culprit_fails(suite: Suite, seed: str) -> None:
    innocent = "def test_one(app):\n    pass\n\ndef test_two(app):\n    pass\n"
    culprit = "import time\n\ndef test_culprit(app):\n    app.do('crash boom')\n    time.sleep(60)\n"
    files = {"test_a.py": innocent, "test_b.py": innocent + culprit, "test_c.py": innocent}
    outcomes = suite(files, "-p", "no:xdist", f"--randomly-seed={seed}").parseoutcomes()
    assert outcomes["failed"] == 1
    assert outcomes["passed"] + outcomes.get("errors", 0) == 6


@pytest.mark.usefixtures("plugins")
def test_coverage_is_of_the_tests_and_their_verdicts_stay(suite: Suite, pytester: pytest.Pytester) -> None:
    files = {"test_a.py": CRASH_IN_SECOND_OF_THREE, "test_b.py": PASSES}
    result = suite(files, "-p", "no:randomly", "--cov=.", "--cov-branch")
    result.assert_outcomes(passed=2, failed=1, errors=1)
    result.stdout.fnmatch_lines([FRESH])
    result.stdout.re_match_lines([r"test_b\.py .*100%"])


def test_without_the_plugin_there_is_nothing_of_it(suite: Suite, pytester: pytest.Pytester) -> None:
    test = """
import sys, signal

def test_plain():
    assert not [name for name in sys.modules if name.startswith("livegui")]
    assert signal.getsignal(getattr(signal, "SIGURG", signal.SIGINT)) in (
        signal.SIG_DFL, signal.default_int_handler
    )
"""
    result = suite({"test_a.py": test}, "-p", "no:livegui", "-W", "ignore")
    result.assert_outcomes(passed=1)
    assert not (pytester.path / ".livegui").exists()


def test_asserts_are_still_explained(suite: Suite) -> None:
    test = """
def test_says_why(app, live_gui):
    expected = {"generation": 7}
    assert {"generation": live_gui.generation} == expected
"""
    result = suite({"test_a.py": test})
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E * assert {'generation': 1} == {'generation': 7}*"])


def test_asserts_of_the_plugin_need_no_rewriting(suite: Suite) -> None:
    result = suite({"test_a.py": PASSES}, "-Werror::pytest.PytestAssertRewriteWarning", "--assert=plain")
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("option", ["--collect-only", "--setup-plan", "--fixtures", "--markers", "--help"])
def test_what_runs_no_test_starts_nothing(suite: Suite, pytester: pytest.Pytester, option: str) -> None:
    result = suite({"test_a.py": PASSES}, option)
    assert result.ret == pytest.ExitCode.OK
    assert not (pytester.path / ".livegui").exists()


@pytest.fixture
def qt(monkeypatch: pytest.MonkeyPatch) -> None:
    packages = beside("qt", ["PyQt6>=6.5"])
    use(packages, monkeypatch)
    done = subprocess.run(
        [sys.executable, "-c", "import PyQt6.QtCore"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"PyQt6 cannot be loaded here: {done.stderr.splitlines()[-1]}")


@pytest.mark.usefixtures("qt")
def test_a_test_that_waits_in_a_qt_loop_is_failed_after_it_and_not_ended_by_qt(suite: Suite) -> None:
    # What a slot raises ends a process that has PyQt in it, which here is pytest's.
    test = """
from PyQt6.QtCore import QCoreApplication, QEventLoop, QTimer

def test_culprit(app):
    qt = QCoreApplication([])
    loop, beat = QEventLoop(), QTimer()
    beat.timeout.connect(lambda: sum(range(1000)))
    beat.start(1)
    QTimer.singleShot(1000, loop.quit)
    app.do("crash boom")
    loop.exec()
    while True:
        pass
"""
    result = suite({"test_a.py": test, "test_b.py": PASSES})
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*the app degraded during this test*", FRESH])
    assert "Aborted" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize("stands_in", ["MagicMock()", "Unfinished()", "None"])
def test_what_a_suite_puts_in_the_place_of_qt_does_not_keep_a_doomed_test_alive(
    suite: Suite, stands_in: str
) -> None:
    test = f"""
import sys, time
from unittest.mock import MagicMock

class Unfinished:
    def __getattr__(self, name):
        raise RuntimeError("not yet")

def test_culprit(app, monkeypatch):
    monkeypatch.setitem(sys.modules, "PySide6.QtCore", {stands_in})
    app.do("crash boom")
    time.sleep(60)
"""
    result = suite({"test_a.py": test, "test_b.py": PASSES})
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*GuiDegraded: main_loop_crashed: RuntimeError: boom", FRESH])
