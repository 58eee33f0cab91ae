"""Unchanged apps that run one toolkit's loop after another: a login window, and then the main window."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from executing import health, shown
from plain_suites import Suite, generations
from wiring import APPS, WIRING, WiredApp, display

COMMANDS = (
    f"import sys\nsys.path.insert(0, {str(WIRING)!r})\nfrom commands import Commands\ndo = Commands()\n"
)
#: Each app has a login window, takes a moment to load, and then has its main window, which does what it is told.
TK = f"""{COMMANDS}
import time, tkinter
login = tkinter.Tk()
login.after(300, login.destroy)
login.mainloop()
time.sleep(LOADS)
main = tkinter.Tk()
def turn():
    do()
    main.after(10, turn)
main.after(10, turn)
main.mainloop()
"""
QT = f"""{COMMANDS}
import time
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QWidget
app = QApplication(sys.argv)
def run(until):
    window = QWidget()
    window.show()
    timer = QTimer(interval=10)
    timer.timeout.connect(until(window))
    timer.start()
    app.exec()
run(lambda window: window.close)
time.sleep(LOADS)
run(lambda window: do)
"""
#: The same, but with a new application.
QT_AGAIN = QT.replace(
    "time.sleep(LOADS)", "time.sleep(LOADS)\napp.shutdown()\ndel app\napp = QApplication(sys.argv)"
)
IMGUI = f"""{COMMANDS}
import time
from imgui_bundle import hello_imgui, imgui
def allow_textures():
    imgui.get_io().backend_flags |= imgui.BackendFlags_.renderer_has_textures.value
def run(gui):
    params = hello_imgui.RunnerParams()
    params.ini_disable = True
    params.platform_backend_type = hello_imgui.PlatformBackendType.null
    params.renderer_backend_type = hello_imgui.RendererBackendType.null
    params.fps_idling.enable_idling = False
    params.callbacks.post_init = allow_textures
    params.callbacks.show_gui = lambda: (time.sleep(0.01), gui(params))
    hello_imgui.run(params)
def login(params):
    params.app_shall_exit = True
run(login)
time.sleep(LOADS)
run(lambda params: do())
"""
#: A login window of Tk, and then a game that has a loop of its own.
PYGAME = f"""{COMMANDS}
import pygame, time, tkinter
login = tkinter.Tk()
login.after(300, login.destroy)
login.mainloop()
time.sleep(LOADS)
pygame.init()
pygame.display.set_mode((50, 50))
while True:
    pygame.event.get()
    do()
    pygame.display.flip()
    time.sleep(0.01)
"""
SCRIPTS = {"tk": TK, "pygame": PYGAME, "pyside6": QT, "pyside6 again": QT_AGAIN, "imgui_bundle": IMGUI}


def app_of(name: str) -> WiredApp:
    app = APPS[name.partition(" ")[0]]
    app.skip_unless_it_can_run()
    if name == "pygame":
        APPS["tk"].skip_unless_it_can_run()
    return app


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_suite_runs_on_an_app_with_a_login_window_and_then_a_main_window(
    name: str, suite: Suite, pytester: pytest.Pytester
) -> None:
    environment = {"DISPLAY": display(), **app_of(name).all_environment(), "LIVEGUI_STALL_AFTER_MS": "2000"}
    conftest = pytester.path / "conftest.py"
    fixture = f"\n@pytest.fixture(scope='session')\ndef live_gui_env():\n    return {environment!r}\n"
    conftest.write_text(conftest.read_text() + fixture)
    test = """
import time

def test_meets_the_main_window(live_gui, app):
    time.sleep(4)
    before = live_gui.health()["checks"]["main_loop"]["beats"]
    live_gui.wait_for(lambda: live_gui.health()["checks"]["main_loop"]["beats"] > before + 20)
    assert live_gui.health()["status"] == "ok"
    assert live_gui.health()["history"] == []
"""
    next_test = "def test_next(live_gui):\n    assert live_gui.health()['status'] == 'ok'\n"
    files = {"two.py": SCRIPTS[name].replace("LOADS", "1.5"), "test_a.py": test, "test_b.py": next_test}
    result = suite(files, ini="live_gui_command = {python} two.py")
    result.assert_outcomes(passed=2)
    assert len(generations(pytester)) == 1


GLIB_THEN_GTK = """
import sys, threading, gi
gi.require_version("Gtk", "3.0")
from gi.repository import GLib, Gtk
first = GLib.MainLoop()
GLib.timeout_add(300, first.quit)
first.run()
threading.Event().wait(0.5)
GLib.timeout_add(100, lambda: print("again", flush=True))
threading.Thread(target=lambda: (sys.stdin.readline(), GLib.idle_add(Gtk.main_quit)), daemon=True).start()
Gtk.main()
"""


def test_gtks_loop_after_one_of_glib_is_watched(tmp_path: Path) -> None:
    with shown("gtk", GLIB_THEN_GTK, "gi", tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "again\n"
        before = health(tmp_path)["checks"]["main_loop"]["beats"]
        document = health(tmp_path, lambda document: document["checks"]["main_loop"]["beats"] > before + 10)
        assert (document["status"], document["reasons"]) == ("ok", [])
        process.communicate("\n", timeout=30)
    assert process.returncode == 0
    assert statuses(tmp_path)[-1] == "stopping"


def statuses(folder: Path) -> list[str]:
    """The statuses in the heartbeat log, each as often as it began."""
    found: list[str] = re.findall(r'"status":"(\w+)"', (folder / "heartbeat.jsonl").read_text())
    return [now for before, now in zip(["", *found], found, strict=False) if now != before]


#: What an app does after its only loop, and how its end is told.
ENDS = {
    "pass": ("stopping", 0),
    "sys.exit(0)": ("stopping", 0),
    "sys.exit(3)": ("stopping", 3),
    "os._exit(0)": ("stopping", 0),
    "app.processEvents()": ("stopping", 0),
    "threading.Thread(target=sys.stdin.readline).start()": ("stopping", 0),
    "raise RuntimeError('boom')": ("degraded", 1),
}
ENDING = """
import os, sys, threading, time
from PySide6.QtCore import QCoreApplication, QTimer
app = QCoreApplication(sys.argv)
QTimer.singleShot(300, app.quit)
app.exec()
END
"""


@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_the_program_after_the_loop_is_an_announced_end(end: str, tmp_path: Path) -> None:
    status, code = ENDS[end]
    with shown("pyside6", ENDING.replace("END", end), "PySide6", tmp_path) as process:
        if "stdin" in end:  # the main thread has ended, and another one keeps the process alive
            document = health(tmp_path, lambda document: document["status"] == "stopping")
            assert document["reasons"] == []
        _, err = process.communicate("\n", timeout=30)
    assert process.returncode == code, err
    assert statuses(tmp_path)[-1] == status
    assert ("degraded" in statuses(tmp_path)) == (status == "degraded")
    assert ("RuntimeError: boom" in (tmp_path / "heartbeat.jsonl").read_text()) == (status == "degraded")


CLEANS_UP = """
import socketserver, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from PySide6.QtCore import QCoreApplication, QTimer
app = QCoreApplication(sys.argv)
server = socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler)
pool = ThreadPoolExecutor()
pool.submit(int)
threading.excepthook = lambda args: print(type(args.exc_value).__name__, flush=True)
thread = threading.Thread(target=server.serve_forever, args=(0.01,))
thread.start()
QTimer.singleShot(300, app.quit)
app.exec()
server.service_actions = lambda: 1 / 0
thread.join()
pool.shutdown()
try:
    pool.submit(int)
except RuntimeError:
    pass
sys.stdin.readline()
MORE
"""


@pytest.mark.parametrize(
    "more", ["", "QTimer.singleShot(300, app.quit)\napp.exec()"], ids=["ends", "goes on"]
)
def test_what_breaks_while_an_app_ends_is_told_only_if_it_goes_on(more: str, tmp_path: Path) -> None:
    with shown("pyside6", CLEANS_UP.replace("MORE", more), "PySide6", tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ZeroDivisionError\n"
        document = health(tmp_path, lambda document: document["checks"]["main_loop"]["state"] == "paused")
        assert document["status"] == "ok"
        process.communicate("\n", timeout=30)
    journal = (tmp_path / "heartbeat.jsonl").read_text()
    assert ("thread_died" in journal, "executor_refused" in journal) == (bool(more), bool(more))


#: Dialogs that wait for an answer before there is any other loop, and what each needs.
ASKS_FIRST = {
    "tk": (
        "tkinter",
        """
import tkinter
from tkinter import messagebox
root = tkinter.Tk()
messagebox.showinfo("login", "hello")
""",
    ),
    **{
        f"{binding} {ask.partition('(')[0]}": (
            binding,
            f"""
import sys
from {binding}.QtWidgets import QApplication, QInputDialog, QMessageBox, QFileDialog
app = QApplication(sys.argv)
{ask}
""",
        )
        for binding, ask in [
            ("PyQt6", "QInputDialog.getText(None, 'login', 'name')"),
            ("PySide6", "QMessageBox.question(None, 'login', 'again?')"),
            ("PyQt5", "QFileDialog.getOpenFileName(None, 'login')"),
        ]
    },
    "wx": ("wx", "import wx\napp = wx.App()\nwx.Dialog(None, title='login').ShowModal()\n"),
    "wx MessageBox": ("wx", "import wx\napp = wx.App()\nwx.MessageBox('hello', 'login')\n"),
    "gtk": (
        "gi",
        """
import gi
gi.require_version("Gtk", "3.0")
from gi.repository import Gtk
Gtk.Dialog(title="login").run()
""",
    ),
    "pyglet": (
        "pyglet",
        """
import pyglet
window = pyglet.window.Window(100, 100)
while not window.has_exit:
    pyglet.clock.tick()
    window.dispatch_events()
    window.flip()
""",
    ),
}


@pytest.mark.parametrize("name", ASKS_FIRST)
def test_an_app_that_asks_something_before_its_main_loop_is_watched_from_then_on(
    name: str, tmp_path: Path
) -> None:
    needs, script = ASKS_FIRST[name]
    with shown(name, script, needs, tmp_path, QT_QPA_PLATFORM="offscreen"):
        document = health(tmp_path, lambda document: document["checks"]["main_loop"]["beats"] > 10)
        assert (document["status"], document["reasons"]) == ("ok", [])
        assert document["checks"]["main_loop"]["state"] == "ok"
