"""Unchanged apps of other people, under Xvfb: ready, idle, a crash in their own way, closed.

    python tests/chaos/unchanged_apps.py [--idle SECONDS] [NAME...]

Their packages are found on PYTHONPATH. Those that are missing are skipped, and named.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))
from wiring import display

#: Put on the app's path as its ``sitecustomize``. Fails in the app's own way when a test asks for it.
FAULT = """
import os, sys, threading, time

class Boom(RuntimeError):
    def __init__(self): super().__init__("boom")

def boom(*arguments):
    raise Boom

def fail(how):
    if how == "raise":  # wherever the main thread runs Python code
        import ctypes
        ident = ctypes.c_ulong(threading.main_thread().ident)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(Boom))
    elif how == "tk":
        import gc, tkinter
        for root in [thing for thing in gc.get_objects() if isinstance(thing, tkinter.Tk)]:
            try:
                root.after(0, boom)
            except RuntimeError:  # not the one whose loop it is
                pass
    elif how == "qt":
        from PySide6.QtCore import QCoreApplication, QTimer
        QTimer.singleShot(0, QCoreApplication.instance(), boom)
    elif how == "dearpygui":
        import dearpygui.dearpygui as dpg
        dpg.set_frame_callback(dpg.get_frame_count() + 2, boom)

def wait():
    request = os.path.join(os.environ["LIVEGUI_STATE_DIR"], "fail")
    while not os.path.exists(request):
        time.sleep(0.01)
    how = open(request).read()
    open(request + "ed", "w").write(str(time.time()))
    fail(how)

if os.environ.get("LIVEGUI_STATE_DIR"):
    threading.Thread(target=wait, daemon=True).start()
"""
#: Asks every window to close, as a window manager does when the user clicks on the cross.
CLOSE = """
import ctypes

def close_windows():
    x = ctypes.CDLL("libX11.so.6")
    handler = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(lambda *_: 0)
    x.XSetErrorHandler(handler)  # a window may be gone by then
    x.XOpenDisplay.restype = ctypes.c_void_p
    x.XDefaultRootWindow.restype = x.XInternAtom.restype = ctypes.c_ulong
    screen = ctypes.c_void_p(x.XOpenDisplay(None))
    protocols, delete = (x.XInternAtom(screen, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW"))

    def windows(window):
        root, parent, children, count = ctypes.c_ulong(), ctypes.c_ulong(), ctypes.POINTER(ctypes.c_ulong)(), ctypes.c_uint()
        x.XQueryTree(screen, ctypes.c_ulong(window), *map(ctypes.byref, (root, parent, children, count)))
        for child in children[: count.value]:
            yield child
            yield from windows(child)

    for window in windows(x.XDefaultRootWindow(screen)):
        known, count = ctypes.POINTER(ctypes.c_ulong)(), ctypes.c_int()
        x.XGetWMProtocols(screen, ctypes.c_ulong(window), ctypes.byref(known), ctypes.byref(count))
        if count.value and delete in known[: count.value]:
            event = (ctypes.c_long * 24)()
            event[0], event[4], event[5], event[6], event[7] = 33, window, protocols, 32, delete
            x.XSendEvent(screen, ctypes.c_ulong(window), 0, 0, ctypes.byref(event))
    x.XSync(screen, 0)
"""
IDLE = """
import time

def test_idle(live_gui):
    health = live_gui.health()
    assert health["checks"]["main_loop"]["state"] == "ok"
    deadline = time.monotonic() + 20  # its first frames may be long ones
    while live_gui.health()["checks"]["main_loop"]["beats"] < 20 and time.monotonic() < deadline:
        time.sleep(0.1)
    health = live_gui.health()
    time.sleep({idle})
    after = live_gui.health()
    assert after["reasons"] == after["history"] == [], after
    assert after["checks"]["main_loop"]["beats"] > health["checks"]["main_loop"]["beats"]
"""
CRASH = """
import time

def test_crash(live_gui):
    state = live_gui.generation_folder / "state"
    (state / "draft").write_text({how!r})
    (state / "draft").rename(state / "fail")
    try:
        time.sleep(20)
    finally:
        (state / "ended").write_text(str(time.time()))
"""
AFTER = """
def test_after(live_gui):
    assert live_gui.generation == {generation}
    assert live_gui.health()["status"] == "ok"
"""
QUIT = """
import time
from close import close_windows

def test_quit(live_gui):
    close_windows()
    time.sleep(20)
"""


@dataclass(frozen=True)
class App:
    """An app, and how it fails."""

    name: str
    #: The module that must be installed.
    needs: str
    command: str
    how: str = "raise"
    #: The expected failure of the culprit.
    told: str = "main_loop_crashed"
    #: Whether a fresh app follows.
    dies: bool = True
    #: Whether its windows can be closed as a window manager does it.
    closes: bool = True
    environment: dict[str, str] = field(default_factory=dict)


HEARD = "callback_exception: "
APPS = [
    App("imgui-bundle: its demo", "imgui_bundle", "{python} -m imgui_bundle.demos_python.demo_imgui_bundle"),
    App(
        "imgui-bundle: haiku",
        "imgui_bundle",
        "{python} -m imgui_bundle.demos_python.demos_immapp.haiku_butterfly",
    ),
    App(
        "PySide6: widgets",
        "PySide6",
        "{python} {examples}/widgets/widgets/tetrix/tetrix.py",
        "qt",
        HEARD,
        dies=False,
        closes=False,
        environment={"QT_QPA_PLATFORM": "offscreen"},
    ),
    App("Tk: IDLE", "idlelib", "{python} -m idlelib -n", "tk", HEARD, dies=False),
    App("Tk: turtle's demo", "turtledemo", "{python} -m turtledemo", "tk", HEARD, dies=False),
    App("Tk: Thonny", "thonny", "{python} -m thonny", "tk", HEARD, dies=False),
    App("pygame: chimp", "pygame", "{python} -m pygame.examples.chimp"),
    App("pygame: stars", "pygame", "{python} -m pygame.examples.stars"),
    App("pygame: eventlist", "pygame", "{python} -m pygame.examples.eventlist"),
    App("Dear PyGui: its demo", "dearpygui", "{python} dpg_demo.py", "dearpygui", HEARD, dies=False),
    App("Kivy: showcase", "kivy", "{python} {kivy}/demo/showcase/main.py"),
    App("Kivy: pong", "kivy", "{python} {kivy}/tutorials/pong/main.py"),
    App("arcade: starting template", "arcade", "{python} -m arcade.examples.starting_template"),
    App("arcade: bouncing rectangle", "arcade", "{python} -m arcade.examples.bouncing_rectangle"),
]
#: From its documentation.
DPG_DEMO = """
import dearpygui.dearpygui as dpg
import dearpygui.demo as demo

dpg.create_context()
dpg.create_viewport(title='Custom Title', width=600, height=600)
demo.show_demo()
dpg.setup_dearpygui()
dpg.show_viewport()
dpg.start_dearpygui()
dpg.destroy_context()
"""


def on_path(relative: str) -> Path:
    """A data folder beside the packages."""
    entries = (Path(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry)
    return next((entry / relative for entry in entries if (entry / relative).is_dir()), Path(relative))


def try_app(app: App, folder: Path, idle: float) -> list[str]:
    """Run its suite. Returns what is not as expected."""
    values = {"{kivy}": on_path("share/kivy-examples"), "{examples}": on_path("PySide6/examples")}
    command = app.command
    for name, value in values.items():
        command = command.replace(name, str(value))
    (folder / "app").mkdir()
    (folder / "app" / "sitecustomize.py").write_text(FAULT)
    (folder / "dpg_demo.py").write_text(DPG_DEMO)
    (folder / "close.py").write_text(CLOSE)
    (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = .\nlive_gui_command = {command}\n")
    path = os.pathsep.join([str(folder / "app"), os.environ.get("PYTHONPATH", "")])
    given = {
        "PYTHONPATH": path,
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "KIVY_NO_FILELOG": "1",
        "KIVY_NO_ARGS": "1",
        "SDL_AUDIODRIVER": "dummy",
        "HOME": str(folder),
    }
    (folder / "conftest.py").write_text(
        f"import pytest\n@pytest.fixture(scope='session')\ndef live_gui_env():\n    return {given | app.environment!r}\n"
    )
    (folder / "test_a_idle.py").write_text(IDLE.format(idle=idle))
    (folder / "test_b_crash.py").write_text(CRASH.format(how=app.how))
    (folder / "test_c_after.py").write_text(AFTER.format(generation=1 + app.dies))
    if app.closes:
        (folder / "test_d_quit.py").write_text(QUIT)
    command_line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--junitxml=report.xml", "-q"]
    done = subprocess.run(
        command_line,
        cwd=folder,
        env=os.environ | {"DISPLAY": display()},
        capture_output=True,
        text=True,
        check=False,
        timeout=idle + 300,
    )
    if not (folder / "report.xml").exists():
        return [f"pytest did not run: {done.stdout[-800:]} {done.stderr[-800:]}"]
    wrong = list(judge(app, folder, done.stdout))
    if wrong:
        (folder / "output.txt").write_text(done.stdout)
    return wrong


def judge(app: App, folder: Path, output: str) -> Any:
    """What is not as expected, one line each."""
    cases = {case.get("name", ""): case for case in ET.parse(folder / "report.xml").iter("testcase")}

    def failure(name: str) -> str | None:
        if name not in cases:
            return "it did not run"
        bad = [child for child in cases[name] if child.tag in ("failure", "error")]
        return f"{bad[0].get('message')}\n{bad[0].text}" if bad else None

    for name in ("test_idle", "test_after"):
        if (text := failure(name)) is not None:
            yield f"{name}: {text.strip().splitlines()[0]}"
    crash = failure("test_crash") or "it passed"
    if app.told not in crash or "Boom: boom" not in crash:
        yield f"test_crash: {crash.strip().splitlines()[0]}"
    if not any(folder.glob(".livegui/*/gen-1/heartbeat.jsonl")):
        yield f"it never had a loop: {output[-1500:]}"
        return
    (run_folder,) = folder.glob(".livegui/*/run.json")
    state = run_folder.parent / "gen-1" / "state"
    if (state / "ended").exists() and (state / "failed").exists():
        took = float((state / "ended").read_text()) - float((state / "failed").read_text())
        print(f"    from the fault to the end of the test: {took * 1e3:.0f} ms")
    events = [
        json.loads(line)
        for line in (run_folder.parent / "gen-1" / "heartbeat.jsonl").read_text().splitlines()
    ]
    print(f"    from its loop to ok: {next(e['t_ms'] for e in events if e.get('status') == 'ok')} ms")
    if app.closes:
        ended = failure("test_quit") or "it passed"
        # It depends on which is noticed first.
        if "exit status 0" not in ended and "the app began to stop during this test" not in ended:
            yield f"test_quit: {ended.strip().splitlines()[0]}"
        generation = max(run_folder.parent.glob("gen-*"))
        last = (generation / "heartbeat.jsonl").read_text()
        if '"status":"stopping"' not in last or "main_loop_exited" in last:
            yield f"its end was not announced: {last.splitlines()[-2:]}"


def main() -> None:
    """Try all of them, or the named ones."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--idle", type=float, default=60)
    parser.add_argument("--keep", type=Path, help="a folder for what each left")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    wrong = 0
    for app in APPS:
        if arguments.names and not any(name in app.name for name in arguments.names):
            continue
        if importlib.util.find_spec(app.needs) is None:
            print(f"  {app.name}: left out, {app.needs} is not installed")
            continue
        with tempfile.TemporaryDirectory() as name:
            print(f"  {app.name}", flush=True)
            found = try_app(app, Path(name), arguments.idle)
            for line in found:
                print(f"    WRONG {line}", flush=True)
            wrong += bool(found)
            if arguments.keep:
                shutil.copytree(name, arguments.keep / app.name.replace("/", " "), dirs_exist_ok=True)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
