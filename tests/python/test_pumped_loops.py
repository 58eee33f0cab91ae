"""Loops of an unchanged app's own in which a toolkit processes events: what is one, and what is none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from executing import health, shown
from plain_suites import Suite
from test_guest import UNTIL_WATCHED, beats
from test_injection import BEATS
from wiring import APPS, WIRING, asks

COMMANDS = (
    f"import sys\nsys.path.insert(0, {str(WIRING)!r})\nfrom commands import Commands\ndo = Commands()\n"
)
QT = """
import os, sys, time
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication, QDialog
app = QApplication(sys.argv)
"""
PUMPS = """
while True:
    app.processEvents()
    do()
    time.sleep(0.01)
"""
OFFSCREEN = {"QT_QPA_PLATFORM": "offscreen"}


@pytest.mark.parametrize("binding", ["PySide6", "PyQt6", "PyQt5"])
def test_a_loop_around_process_events_is_watched_and_judged(
    binding: str, suite: Suite, pytester: pytest.Pytester
) -> None:
    app = APPS[binding.lower()]
    app.skip_unless_it_can_run()
    environment = {**app.all_environment(), "LIVEGUI_STALL_AFTER_MS": "500"}
    conftest = pytester.path / "conftest.py"
    fixture = f"\n@pytest.fixture(scope='session')\ndef live_gui_env():\n    return {environment!r}\n"
    conftest.write_text(conftest.read_text() + fixture)
    script = (COMMANDS + QT + PUMPS).replace("PySide6", binding)
    files = {
        "pumps.py": script,
        "test_a.py": BEATS + asks("crash boom"),
        "test_b.py": BEATS + asks("hang 60"),
        "test_c.py": "def test_next(live_gui):\n    assert live_gui.generation == 3\n",
    }
    result = suite(files, ini="live_gui_command = {python} pumps.py")
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines(["*RuntimeError: boom*"])
    result.stdout.fnmatch_lines(["*main_loop_stalled*"])


IN_A_SLOT = """
def work():
    until = time.monotonic() + 1
    while time.monotonic() < until:
        app.processEvents()
        QEventLoop().processEvents()
        time.sleep(0.01)
    app.quit()
QTimer.singleShot(0, work)
app.exec()
# What follows the loop is no loop either: it waits for threads, for example.
for _ in range(10):
    app.processEvents()
"""


def test_events_that_are_processed_within_the_toolkits_loop_or_after_it_are_no_loop(tmp_path: Path) -> None:
    script = QT + IN_A_SLOT
    with shown("pyside6", script, "PySide6", tmp_path, **OFFSCREEN) as process:
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    log = (tmp_path / "injection.log").read_text()
    assert log.count("watched, by") == log.count("watched, by PySide6's exec()") == 1
    journal = (tmp_path / "heartbeat.jsonl").read_text()
    statuses = re.findall(r'"status":"(\w+)"', journal)
    assert "degraded" not in statuses
    assert set(statuses[statuses.index("stopping") :]) == {"stopping"}


SPLASH = """
def step():
    app.processEvents()
app.processEvents()
app.processEvents()
app.processEvents()
step()
step()
step()
until = time.monotonic() + 2
while time.monotonic() < until:
    pass
print(os.path.exists("agent.json"), flush=True)
while True:
    step()
    time.sleep(0.01)
"""


def test_a_start_up_that_shows_its_splash_screen_is_no_loop_yet(tmp_path: Path) -> None:
    with shown("pyside6", QT + SPLASH, "PySide6", tmp_path, **OFFSCREEN) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "False\n"
        health(tmp_path, beats)


TK = """
import sys, threading, time, tkinter
root = tkinter.Tk()
reader = threading.Thread(target=sys.stdin.readline)
reader.start()
while reader.is_alive():
    root.update()
    time.sleep(0.01)
    TURN
time.sleep(60)
"""
ASYNCIO_FIRST = "import asyncio\nasyncio.run(asyncio.sleep(0.1))\n"


def turns(document: dict[str, Any]) -> bool:
    return beats(document) and document["checks"]["main_loop"]["state"] == "ok"


@pytest.mark.parametrize(
    ("first", "turn"),
    [
        (UNTIL_WATCHED, ""),
        (ASYNCIO_FIRST, ""),
        ("import asyncio\nloop = asyncio.new_event_loop()\n", "loop.run_until_complete(asyncio.sleep(0))"),
    ],
    ids=["not watched before", "asyncio before", "asyncio in each turn"],
)
def test_a_loop_around_update_is_watched_whatever_ran_before_it(
    first: str, turn: str, tmp_path: Path
) -> None:
    script = first + TK.replace("TURN", turn)
    with shown("tk", script, "tkinter", tmp_path, LIVEGUI_STALL_AFTER_MS="500") as process:
        assert process.stdin is not None
        document = health(tmp_path, turns)
        assert (document["status"], document["reasons"]) == ("ok", [])
        process.stdin.write("\n")
        process.stdin.flush()
        document = health(tmp_path, lambda document: document["status"] == "degraded")
        assert [reason["code"] for reason in document["reasons"]] == ["main_loop_stalled"]


DIALOG = """
reader = __import__("threading").Thread(target=sys.stdin.readline)
def ask():
    dialog = QDialog()
    QTimer.singleShot(200, dialog.accept)
    dialog.exec()
    reader.start()
QTimer.singleShot(300, ask)
while reader.ident is None or reader.is_alive():
    app.processEvents()
    time.sleep(0.01)
time.sleep(60)
"""


def test_a_loop_goes_on_after_a_dialog_that_it_has_run(tmp_path: Path) -> None:
    environment = {**OFFSCREEN, "LIVEGUI_STALL_AFTER_MS": "500"}
    with shown("pyside6", QT + DIALOG, "PySide6", tmp_path, **environment) as process:
        assert process.stdin is not None
        health(tmp_path, beats)
        process.stdin.write("\n")
        process.stdin.flush()
        document = health(tmp_path, lambda document: document["status"] == "degraded")
        assert [reason["code"] for reason in document["reasons"]] == ["main_loop_stalled"]


EVENT_LOOP = """
loop = QEventLoop()
ready = __import__("threading").Thread(target=sys.stdin.readline)
ready.start()
timer = QTimer(interval=20)
timer.timeout.connect(lambda: ready.is_alive() or loop.quit())
timer.start()
loop.exec()
sys.stdin.readline()
QTimer.singleShot(300, app.quit)
app.exec()
"""


def test_an_event_loop_before_that_of_the_app_is_watched_and_may_end(tmp_path: Path) -> None:
    environment = {**OFFSCREEN, "LIVEGUI_STALL_AFTER_MS": "500"}
    with shown("pyside6", QT + EVENT_LOOP, "PySide6", tmp_path, **environment) as process:
        assert process.stdin is not None
        health(tmp_path, turns)
        process.stdin.write("\n")
        process.stdin.flush()
        health(tmp_path, lambda document: document["checks"]["main_loop"]["state"] == "paused")
        process.communicate("\n", timeout=30)
    assert process.returncode == 0
    journal = (tmp_path / "heartbeat.jsonl").read_text()
    assert '"status":"stopping"' in journal
    assert '"status":"degraded"' not in journal


GTK = """
import os, sys, threading, time, gi
gi.require_version("Gtk", "3.0")
from gi.repository import GLib, Gtk
window = Gtk.Window(title="hello")
window.show_all()
until = time.monotonic() + 0.5
while Gtk.events_pending():
    Gtk.main_iteration()
while time.monotonic() < until:
    pass
while Gtk.events_pending():
    Gtk.main_iteration()
print(os.path.exists("agent.json"), flush=True)
reader = threading.Thread(target=sys.stdin.readline)
reader.start()
while reader.is_alive():
    LOOP
time.sleep(60)
"""
GTK_LOOPS = {
    "Gtk.main_iteration()": "Gtk.main_iteration()",
    "all that is pending": "time.sleep(0.01)\n    while Gtk.events_pending():\n        Gtk.main_iteration()",
    "GLib.MainContext.iteration()": "GLib.MainContext.default().iteration(True)",
}


OWN_LOOP_AFTERWARDS = {
    "asyncio": "import asyncio\nasyncio.run(asyncio.sleep(0.01))\n",
    "a dialog": QT + "QTimer.singleShot(300, app.closeAllWindows)\nQDialog().exec()\n",
}
SERVES = """
import http.server
http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


@pytest.mark.parametrize("first", OWN_LOOP_AFTERWARDS)
def test_an_app_that_only_starts_with_a_toolkits_loop_is_handed_on(
    first: str, suite: Suite, pytester: pytest.Pytester
) -> None:
    app = APPS["pyside6"]
    app.skip_unless_it_can_run()
    conftest = pytester.path / "conftest.py"
    fixture = (
        f"\n@pytest.fixture(scope='session')\ndef live_gui_env():\n    return {app.all_environment()!r}\n"
    )
    conftest.write_text(conftest.read_text() + fixture)
    test = """
import time

def test_it(live_gui):
    deadline = time.monotonic() + 20
    while live_gui.health()["checks"]["main_loop"]["paused"] is None:
        assert time.monotonic() < deadline
    assert live_gui.generation == 1
"""
    files = {
        "serves.py": OWN_LOOP_AFTERWARDS[first] + SERVES,
        **{f"test_{name}.py": test for name in "abc"},
    }
    suite(files, ini="live_gui_command = {python} serves.py").assert_outcomes(passed=3)


@pytest.mark.parametrize("way", GTK_LOOPS)
def test_a_loop_of_glibs_iterations_is_watched_once_it_lasts(way: str, tmp_path: Path) -> None:
    script = GTK.replace("LOOP", GTK_LOOPS[way])
    with shown("gtk", script, "gi", tmp_path, LIVEGUI_STALL_AFTER_MS="500") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "False\n"
        health(tmp_path, turns)
        process.stdin.write("\n")
        process.stdin.flush()
        document = health(tmp_path, lambda document: document["status"] == "degraded")
        assert [reason["code"] for reason in document["reasons"]] == ["main_loop_stalled"]
