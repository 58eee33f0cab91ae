"""The calls that wire a toolkit: earlier hooks are called and given back, nothing more is printed, idle loops are woken."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from wiring import APPS, MORE, display

START = """
import json, sys, threading, time, urllib.request, livegui
agent = livegui.start("x")

def exceptions():
    return [(caught["source"], caught["message"]) for caught in agent.health()["exceptions"]]

def is_woken(wait_ms=20000):
    # As the test side asks before it hands the app on.
    beats = agent.health()["checks"]["main_loop"]["beats"]
    url = f"{agent.url}/health?beat_after=now&wait_ms={wait_ms}&token={agent.token}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)["checks"]["main_loop"]["beats"] > beats
"""


def run(name: str, code: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    APPS[name].skip_unless_it_can_run()
    return subprocess.run(
        [APPS[name].python(), "-c", START + code],
        cwd=tmp_path,
        env=os.environ | APPS[name].all_environment() | {"LIVEGUI_RUN_DIR": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


IDLE = {
    "pygame": """
import pygame
from livegui.toolkits import pygame as live_pygame
pygame.init()
pygame.display.set_mode((10, 10))
earlier = pygame.event.get, pygame.event.wait
pygame.event.clear()
live_pygame.install(agent)
turn, end = pygame.event.wait, lambda: pygame.event.post(pygame.event.Event(pygame.QUIT))
restored = lambda: (pygame.event.get, pygame.event.wait) == earlier
""",
    "glfw": """
import glfw
from livegui.toolkits import glfw as live_glfw
glfw.init_hint(0x00050003, 0x00060005)
assert glfw.init()
earlier = glfw.wait_events
live_glfw.install(agent)
turn, end = glfw.wait_events, glfw.post_empty_event
restored = lambda: glfw.wait_events == earlier
""",
}


@pytest.mark.parametrize("name", IDLE)
def test_a_loop_that_sleeps_is_woken_by_the_question_whether_it_turns(name: str, tmp_path: Path) -> None:
    code = (
        IDLE[name]
        + """
answers = []
def ask():
    time.sleep(0.5)  # the loop sleeps by then; were it not so, the test would pass just as well
    answers.append(is_woken())
    end()
asker = threading.Thread(target=ask)
asker.start()
with agent.main_loop():
    while not answers:
        turn()
    agent.stopping()
agent.stop()
print(answers, restored())
"""
    )
    done = run(name, code, tmp_path)
    assert done.stdout.splitlines()[-1] == "[True] True", done.stderr


IDLING = """
from imgui_bundle import hello_imgui
from livegui.toolkits import imgui_bundle as live_imgui
answers = []
def ask():
    while frames[0] < 11:  # until then no app idles
        time.sleep(0.02)
    time.sleep(0.5)  # it idles by then
    answers.append([is_woken(10_000) for _ in range(3)])
    params.app_shall_exit = True
    agent._canary.wake()
frames = [0]
def draw():
    frames[0] += 1
params = hello_imgui.RunnerParams()
params.callbacks.show_gui = draw
params.fps_idling.fps_idle = 0.03  # the next frame would come after half a minute
params.fps_idling.time_active_after_last_event = 0.1
params.fps_idling.fps_max = 60
params.app_window_params.window_geometry.size = (200, 100)
params.ini_disable = True
params.platform_backend_type = hello_imgui.PlatformBackendType.glfw
asker = threading.Thread(target=ask)
asker.start()
live_imgui.run(params, agent=agent)
print(answers, agent.health()["reasons"], agent.health()["exceptions"])
"""


def test_an_imgui_app_that_idles_is_woken_by_the_question_whether_it_turns(tmp_path: Path) -> None:
    if not display():
        pytest.skip("GLFW needs a display, and there is neither one nor Xvfb")
    done = run("imgui_bundle", IDLING, tmp_path, LIBGL_ALWAYS_SOFTWARE="1", DISPLAY=display())
    assert done.stdout.splitlines()[-1:] == ["[[True, True, True]] [] []"], done.stderr


AFTER_THE_END = {
    "pygame": "pygame.quit()",
    "glfw": "glfw.terminate()",
}


@pytest.mark.parametrize("name", AFTER_THE_END)
def test_nothing_is_said_if_a_toolkit_that_has_ended_is_asked_to_wake_its_loop(
    name: str, tmp_path: Path
) -> None:
    code = (
        IDLE[name]
        + f"""
with agent.main_loop():
    end()
    turn()
    {AFTER_THE_END[name]}
    agent._canary.wake()
    print(is_woken(1000), agent.health()["reasons"], exceptions())
    agent.stopping()
"""
    )
    done = run(name, code, tmp_path, SDL_AUDIODRIVER="dummy")
    assert (done.stdout.splitlines()[-1], done.stderr) == ("False [] []", "")


def test_a_function_that_cannot_wake_the_loop_costs_the_app_nothing(tmp_path: Path) -> None:
    code = """
def wake():
    raise OSError("no window")

agent.wake_with(wake)
with agent.main_loop():
    agent.beat()
    is_woken(1000)
    is_woken(1000)
    agent.beat()
    health = agent.health()
    print(health["status"], health["reasons"])
    print([(caught["source"], caught["message"], caught["count"]) for caught in health["exceptions"]])
    agent.stopping()
"""
    done = run("plain", code, tmp_path)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["ok []", "[('wake', 'OSError: no window', 1)]"]


QT = """
import importlib
from livegui.toolkits import qt as live_qt
QtCore = importlib.import_module("{binding}.QtCore")
app = QtCore.QCoreApplication([])
{before}
live_qt.install(agent)

def slot():
    raise ValueError("bad")

def look(ends=time.monotonic() + 30):
    if not exceptions() and time.monotonic() < ends:
        QtCore.QTimer.singleShot(20, look)
        return
    print(exceptions(), flush=True)
    app.quit()

QtCore.QTimer.singleShot(0, slot)
QtCore.QTimer.singleShot(100, look)
with agent.main_loop():
    app.exec()
agent.stop()
print(sys.excepthook is before, sys.exit is earlier_exit)
"""
OWN_HOOK = (
    "before = sys.excepthook = lambda *error: print('hook:', error[1], flush=True)\nearlier_exit = sys.exit"
)
NO_HOOK = "before = sys.excepthook\nearlier_exit = sys.exit"


@pytest.mark.parametrize("name", ["pyside6", "pyqt6", "pyqt5"])
def test_the_hook_of_a_qt_app_is_called_and_given_back_and_keeps_pyqt_from_aborting(
    name: str, tmp_path: Path
) -> None:
    done = run(name, QT.format(binding=APPS[name].needs, before=OWN_HOOK), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["hook: bad", "[('gui', 'ValueError: bad')]", "True True"]
    assert done.stderr == ""


def test_pyside_prints_what_a_slot_raises_as_before_and_goes_on(tmp_path: Path) -> None:
    done = run("pyside6", QT.format(binding="PySide6", before=NO_HOOK), tmp_path)
    assert done.returncode == 0
    assert "[('gui', 'ValueError: bad')]" in done.stdout
    assert done.stderr.count("ValueError: bad") == 1


@pytest.mark.parametrize("name", ["pyqt6", "pyqt5"])
def test_pyqt_aborts_as_before_and_says_why_once(name: str, tmp_path: Path) -> None:
    code = QT.format(binding=APPS[name].needs, before=NO_HOOK).replace('"bad"', '"bad é"')
    done = run(name, code, tmp_path, PYTHONUTF8="1")
    assert done.returncode == -6
    assert done.stderr.count("ValueError: bad é") == 1
    journal = (tmp_path / "heartbeat.jsonl").read_text()
    assert '"message":"ValueError: bad é"' in journal
    assert "qFatal" not in journal


@pytest.mark.parametrize("name", ["pyside6", "pyqt6", "pyqt5"])
def test_what_a_thread_of_qt_raises_is_told_as_a_threads(name: str, tmp_path: Path) -> None:
    code = QT.format(binding=APPS[name].needs, before=OWN_HOOK).replace(
        'def slot():\n    raise ValueError("bad")',
        """class Work(QtCore.QRunnable):
    def run(self):
        raise OSError("work")

work = Work()  # PyQt keeps none

def slot():
    QtCore.QThreadPool.globalInstance().start(work)""",
    )
    done = run(name, code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "('thread', 'OSError: work')" in done.stdout


@pytest.mark.parametrize("name", ["pyside6", "pyqt6", "pyqt5"])
def test_a_qt_loop_beats_as_soon_as_it_runs_however_long_it_then_paints(name: str, tmp_path: Path) -> None:
    code = f"""
from {APPS[name].needs} import QtCore
from livegui.toolkits import qt as live_qt
app = QtCore.QCoreApplication([])
live_qt.install(agent, interval_ms=60_000)

def look():
    print(agent.health()["checks"]["main_loop"]["beats"])
    app.quit()

QtCore.QTimer.singleShot(0, look)
app.exec()
"""
    done = run(name, code, tmp_path)
    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr


def test_a_pyside_app_beats_before_pyside_makes_all_its_enumerations(tmp_path: Path) -> None:
    code = """
from PySide6 import QtCore, QtWidgets
from livegui.toolkits import qt as live_qt
app = QtWidgets.QApplication([])
window = QtWidgets.QWidget()
window.show()
live_qt.install(agent)

def look():
    print(agent.health()["checks"]["main_loop"]["beats"], "Qt" in vars(QtCore))
    app.quit()

QtCore.QTimer.singleShot(0, look)
app.exec()
"""
    done = run("pyside6", code, tmp_path)
    assert (done.stdout, done.returncode) == ("1 False\n", 0), done.stderr


def test_pyglets_clock_beats_as_soon_as_it_runs(tmp_path: Path) -> None:
    if not (Path(MORE) / "pyglet").is_dir():
        pytest.skip("pyglet is not installed; `python3 dev.py test` does that")
    code = """
from pyglet import clock
from livegui.toolkits import pyglet as live_pyglet
live_pyglet.install(agent, interval_ms=60_000)
clock.tick()
print(agent.health()["checks"]["main_loop"]["beats"])
"""
    done = run("plain", code, tmp_path, PYTHONPATH=MORE)
    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr


def test_qt_without_an_application_is_refused(tmp_path: Path) -> None:
    code = """
from livegui.toolkits import qt as live_qt
for make in ("1", "import PySide6.QtCore"):
    exec(make)
    try:
        live_qt.install(agent)
    except RuntimeError as error:
        print(error)
"""
    done = run("pyside6", code, tmp_path)
    assert done.stdout.splitlines() == [
        "import one of PyQt6, PySide6, PyQt5, PySide2 before install()",
        "make the QApplication before install()",
    ]


def test_the_handler_of_a_tk_app_is_called_and_given_back(tmp_path: Path) -> None:
    code = """
import tkinter
from livegui.toolkits import tk as live_tk

class App(tkinter.Tk):
    def report_callback_exception(self, kind, error, where):
        print("handler:", error)

root = App()
live_tk.install(agent, root)

def callback():
    raise ValueError("bad")

root.after(0, callback)
root.after(100, root.quit)
with agent.main_loop():
    root.mainloop()
    agent.stopping()
print(exceptions())
agent.stop()
print(root.report_callback_exception.__func__ is App.report_callback_exception)
"""
    done = run("tk", code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["handler: bad", "[('gui', 'ValueError: bad')]", "True"]


def test_an_asyncio_loop_gets_its_handler_back(tmp_path: Path) -> None:
    code = """
import asyncio
from livegui.toolkits import asyncio as live_asyncio

async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(handler := lambda loop, context: None)
    live_asyncio.install(agent)
    agent.stopping()
    agent.stop()
    print(loop.get_exception_handler() is handler)

asyncio.run(main())
"""
    done = run("asyncio", code, tmp_path)
    assert done.stdout.splitlines() == ["True"], done.stderr


def test_a_qt_application_without_windows_is_wired_like_any_other(tmp_path: Path) -> None:
    code = """
from PySide6.QtCore import QCoreApplication, QTimer
from PySide6 import QtGui, QtWidgets
from livegui.toolkits import qt as live_qt
app = QCoreApplication([])
live_qt.install(agent)
QTimer.singleShot(200, app.quit)
app.exec()
print(agent.health()["checks"]["main_loop"]["beats"] > 1)
"""
    done = run("pyside6", code, tmp_path)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


@pytest.mark.parametrize("name", ["pyside6", "pyqt6", "pyqt5"])
def test_looking_for_open_dialogs_costs_qt_apps_no_reference(name: str, tmp_path: Path) -> None:
    # PySide6 6.12 loses a reference to None each time that it returns one; without any left Python aborts.
    binding = APPS[name].needs
    code = f"""
from types import SimpleNamespace
from {binding}.QtCore import QCoreApplication
from {binding}.QtWidgets import QApplication, QWidget
from livegui.toolkits import qt as live_qt
app = QApplication([])
window = QWidget()
window.show()
for question in (None, 1):
    asked = SimpleNamespace(_native=SimpleNamespace(question=question))
    look = live_qt._left_open(asked, "{binding}", sys.modules["{binding}.QtCore"])
    look()
    look()  # the first one does not ask Qt
    before = sys.getrefcount(None)
    for _ in range(1000):
        look()
    print(sys.getrefcount(None) - before > -500)
"""
    done = run(name, code, tmp_path)
    assert (done.stdout, done.returncode) == ("True\nTrue\n", 0), done.stderr


def test_a_dialog_that_was_closed_is_open_no_more(tmp_path: Path) -> None:
    # GTK draws the message box, so only GTK can close it.
    code = """
import gi, wx
gi.require_version("Gtk", "3.0")
from gi.repository import Gtk
from livegui.toolkits import wx as live_wx

app = wx.App()
wx.Frame(None, title="main").Show()
dialogs = live_wx._modal_dialogs(wx)

def look():
    print(live_wx._left_open(wx, dialogs.shown))

def close():
    for window in Gtk.Window.list_toplevels():
        if isinstance(window, Gtk.MessageDialog):
            window.response(Gtk.ResponseType.OK)

def go():
    wx.CallLater(100, look)
    wx.CallLater(200, close)
    wx.MessageBox("Save before it is closed?", "Save?")
    look()
    dialog = wx.Dialog(None, title="Ask?")
    wx.CallLater(100, dialog.EndModal, wx.ID_OK)
    dialog.ShowModal()
    look()
    dialogs.Unregister()
    dialog.Destroy()
    app.ExitMainLoop()

wx.CallAfter(go)
app.MainLoop()
"""
    APPS["gtk"].skip_unless_it_can_run()
    done = run("wx", code, tmp_path)
    assert done.stdout.splitlines() == ["[\"modal MessageDialog 'Save?'\"]", "[]", "[]"], done.stderr


def test_a_modal_window_of_qt_quick_is_seen_beside_widgets(tmp_path: Path) -> None:
    code = """
from PySide6.QtQml import QQmlApplicationEngine
from PySide6.QtWidgets import QApplication, QDialog
from livegui.toolkits import qt as live_qt
app = QApplication([])
look = live_qt._left_open(agent, "PySide6", sys.modules["PySide6.QtCore"])
look()  # the first one does not ask Qt
engine = QQmlApplicationEngine()
engine.loadData(b"import QtQuick; Window { visible: true; title: 'main' }")
print(look())
window = b"import QtQuick; Window { visible: true; modality: Qt.ApplicationModal; title: 'Save?' }"
engine.loadData(window)
dialog = QDialog()
dialog.setWindowTitle("Ask?")
dialog.setModal(True)
dialog.show()
print(", ".join(thing.rpartition(" ")[2] for thing in look()))
"""
    done = run("pyside6", code, tmp_path)
    assert (done.stdout, done.returncode) == ("[]\n'Ask?', 'Save?'\n", 0), done.stderr


def test_an_app_that_waits_for_events_is_asked_before_it_is_called_stalled(tmp_path: Path) -> None:
    code = """
import pygame
from livegui.toolkits import pygame as live_pygame
pygame.init()
pygame.display.set_mode((10, 10))
live_pygame.install(agent)
end = pygame.event.custom_type()
threading.Timer(2.5, lambda: pygame.event.post(pygame.event.Event(end))).start()
while pygame.event.wait().type != end:
    pass
health = agent.health()
print(health["reasons"], health["history"], health["checks"]["main_loop"]["frame_ms"]["max"] < 700)
"""
    done = run("pygame", code, tmp_path, LIVEGUI_STALL_AFTER_MS="800")
    assert done.stdout.endswith("\n[] [] True\n"), done.stdout + done.stderr
