"""Qt's own critical and fatal messages are heard, and nothing about them changes for the app."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from executing import executed
from plain_suites import Suite
from wiring import APPS, RUNS_ON, asks, run_on

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Qt's functions are not looked up on Windows")

BINDINGS = {"pyside6": "PySide6", "pyqt6": "PyQt6", "pyqt5": "PyQt5"}

#: An app in each of the ways to be watched: not at all, wired, injected.
PLAIN = """
import sys
from {binding}.QtCore import (QCoreApplication, QThread, QTimer, qCritical, qDebug, qFatal, qInfo,
    qInstallMessageHandler, qWarning, QLoggingCategory)
app = QCoreApplication([])
{wiring}
{before}
def go():
    {body}
    app.quit()
QTimer.singleShot(2000, app.quit)  # should go() raise
QTimer.singleShot(0, go)
{loop}
"""
WIRING = """
import livegui
from livegui.toolkits import qt as live_qt
agent = livegui.start("x")
live_qt.install(agent)
from {binding}.QtCore import qInstallMessageHandler
"""
LOOP = """
with agent.main_loop():
    app.exec()
    agent.stopping()
"""
OWN = "lambda kind, context, text: print('own:', kind, context.category, text, file=sys.stderr, flush=True)"
SAYS = "; ".join(
    f"{function}('{function} says')" for function in ("qDebug", "qInfo", "qWarning", "qCritical")
)

#: What the app does before its loop, and in it.
CASES = {
    "Qt's handler": ("", SAYS),
    "its own, before": (f"print(qInstallMessageHandler({OWN}))", SAYS),
    "its own, later": (
        "",
        f"{SAYS}; print(qInstallMessageHandler({OWN})); {SAYS}; "
        f"print(callable(qInstallMessageHandler(None)), qInstallMessageHandler(None)); {SAYS}",
    ),
    "one after another": (
        "chained = []\ndef second(*message):\n    print('second', file=sys.stderr, flush=True)\n    chained[0](*message)",
        f"first = {OWN}; qInstallMessageHandler(first); chained.append(qInstallMessageHandler(second)); "
        f"print(chained[0] is first); {SAYS}",
    ),
    "one that raises": ("", f"qInstallMessageHandler(lambda *message: 1 / 0); {SAYS}"),
    "from a thread": (
        "class Work(QThread):\n    def run(self):\n        " + SAYS,
        "work = Work(); work.start(); work.wait()",
    ),
}
RULES = {
    "as it is": {},
    "QT_LOGGING_RULES": {"QT_LOGGING_RULES": "default.debug=false\ndefault.warning=false"},
    "QT_MESSAGE_PATTERN": {"QT_MESSAGE_PATTERN": "[%{type}] %{category} %{if-critical}!%{endif} %{message}"},
}


def script(binding: str, case: tuple[str, str], *, wired: bool) -> str:
    before, body = case
    return PLAIN.format(
        binding=binding,
        wiring=WIRING.format(binding=binding) if wired else "",
        before=before,
        body=body,
        loop=LOOP if wired else "app.exec()",
    )


def run(code: str, name: str, folder: Path, **more: str) -> tuple[int, str, str]:
    (folder / "app.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=folder,
        env=os.environ | APPS[name].all_environment() | {"LIVEGUI_RUN_DIR": str(folder), **more},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def injected(code: str, name: str, folder: Path, **more: str) -> tuple[int | None, str, str]:
    with executed(code, folder, **APPS[name].all_environment(), **more) as process:
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


def journal(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "heartbeat.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", BINDINGS)
def test_what_qt_prints_is_the_same_to_the_byte(name: str, case: str, rules: str, tmp_path: Path) -> None:
    if rules != "as it is" and case not in ("Qt's handler", "its own, later"):
        pytest.skip("the rules and the pattern concern Qt's own handler")
    APPS[name].skip_unless_it_can_run()
    binding = BINDINGS[name]
    without = script(binding, CASES[case], wired=False)
    expected = run(without, name, tmp_path, **RULES[rules])
    assert "qCritical says" in expected[2] or "ZeroDivisionError" in expected[2]
    assert injected(without, name, tmp_path, **RULES[rules]) == expected
    if case == "one that raises":
        return  # a wired app has other line numbers
    assert run(script(binding, CASES[case], wired=True), name, tmp_path, **RULES[rules]) == expected


@pytest.mark.parametrize("case", [case for case in CASES if case != "one that raises"])
@pytest.mark.parametrize("name", BINDINGS)
@pytest.mark.parametrize("way", ["wired", "injected"])
def test_a_critical_message_is_recorded_whoever_prints_it(
    name: str, case: str, way: str, tmp_path: Path
) -> None:
    APPS[name].skip_unless_it_can_run()
    code = script(BINDINGS[name], CASES[case], wired=way == "wired")
    done = run(code, name, tmp_path) if way == "wired" else injected(code, name, tmp_path)
    assert done[0] == 0, done[2]
    heard = [entry for entry in journal(tmp_path) if "qCritical" in json.dumps(entry)]
    assert heard, done[2]
    assert "qCritical: qCritical says" in json.dumps(heard)
    assert "qWarning" not in (tmp_path / "heartbeat.jsonl").read_text()


def test_a_critical_message_is_a_note_and_fails_no_test(suite: Suite, pytester: pytest.Pytester) -> None:
    app = APPS["pyside6"]
    app.skip_unless_it_can_run()
    text = """
def test_asks(app, live_gui):
    app.do("critical")
    deadline = time.monotonic() + 20
    while not live_gui.health()["exceptions"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
"""
    files = {"test_a.py": "import time\n" + text, "test_b.py": RUNS_ON.format(generation=1)}
    result = run_on(app, suite, pytester, files)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["test_a.py::test_asks: the toolkit reported an error: qCritical: the disk is full*"]
    )


@pytest.mark.parametrize("name", BINDINGS)
@pytest.mark.parametrize("what", ["fatal", "destroyed"])
def test_a_fatal_message_is_the_reason_of_the_end(
    suite: Suite, pytester: pytest.Pytester, name: str, what: str
) -> None:
    told = {
        "fatal": "*main_loop_crashed: qFatal: no way out*",
        "destroyed": "*main_loop_crashed: qFatal: QThread: Destroyed while thread *is still running*",
    }
    files = {"test_a.py": asks(what), "test_b.py": RUNS_ON.format(generation=2)}
    result = run_on(APPS[name], suite, pytester, files)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines([told[what]])
    result.stdout.fnmatch_lines(["test_b.py  fresh process (generation 2): *qFatal: *"])


@pytest.mark.parametrize("name", BINDINGS)
def test_the_handler_goes_with_the_agent(name: str, tmp_path: Path) -> None:
    APPS[name].skip_unless_it_can_run()
    code = """
import sys, livegui
from {binding} import QtCore
from livegui.toolkits import qt as live_qt
app = QtCore.QCoreApplication([])
earlier = QtCore.qInstallMessageHandler
for _ in range(2):
    agent = livegui.start("x")
    live_qt.install(agent)
    QtCore.qCritical("one")
    print(len(agent.health()["exceptions"]), QtCore.qInstallMessageHandler is earlier)
    agent.stop()
    QtCore.qCritical("two")
    print(len(agent.health()["exceptions"]), QtCore.qInstallMessageHandler is earlier)
""".replace("{binding}", BINDINGS[name])
    status, out, err = run(code, name, tmp_path)
    assert (status, err) == (0, "one\ntwo\n" * 2)
    assert out.splitlines() == ["1 False", "1 True"] * 2
