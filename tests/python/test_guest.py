"""What an app that nobody wired must never notice of us, and what must be told of it all the same."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from executing import executed, health, shown
from plain_suites import Suite, under_wine

import livegui
from livegui._inject import Injection
from livegui.toolkits._common import Frames

posix = pytest.mark.skipif(os.name != "posix", reason="forks")

#: A toolkit with frames, of which each is a look at its events.
GLFW = """
def poll_events():
    pass
wait_events = wait_events_timeout = post_empty_event = poll_events
"""
#: A loop that no seam knows, until there is an agent.
UNTIL_WATCHED = """
import os, threading, time
threading.Thread(target=int).start()
while not os.path.exists("agent.json"):
    time.sleep(0.01)
"""


def beats(document: dict[str, Any]) -> bool:
    return bool(document["checks"]["main_loop"]["beats"] > 5)


def test_no_error_of_ours_reaches_a_loop_of_the_apps_own() -> None:
    given_up: list[str] = []

    def give_up(agent: object, what: str, error: Exception) -> None:
        given_up.append(f"{what}: {error}")

    def beat() -> None:
        raise RuntimeError("ours")

    injection: Any = SimpleNamespace(_main_thread=threading.get_ident(), give_up=give_up)
    agent: Any = SimpleNamespace(_loop=SimpleNamespace(is_away=False))
    turn = Injection.of_own_loop(injection, agent, beat)
    turn()
    turn()
    assert given_up == ["its loop: ours"]


# --- Qt ---

SLOT = """
from {binding}.QtCore import QCoreApplication, QTimer
app = QCoreApplication([])
def fail():
    raise ValueError("bad value")
QTimer.singleShot(0, fail)
QTimer.singleShot(1000, app.quit)
app.exec()
print("went on")
"""
SIGNALS = """
import sys
from {binding}.QtCore import QTimer
from {binding}.QtWidgets import QApplication, QColorDialog, QDialog, QPushButton
sys.excepthook = lambda *raised: print("hook", raised[1])
app = QApplication(sys.argv)
app.setQuitOnLastWindowClosed(False)
dialog = QDialog()
shown = []
def close():
    if window := app.activeModalWidget():
        shown.append(type(window).__name__)
        window.reject()
closer = QTimer(interval=10)
closer.timeout.connect(close)
closer.start()
def click():
    for slot in (dialog.exec, QColorDialog.getColor, QApplication.processEvents):
        button = QPushButton()
        button.clicked.connect(slot)
        button.click()
    app.quit()
QTimer.singleShot(0, click)
app.exec()
print(shown)
"""
FRAMES_FIRST = """
import glfw
for _ in range(3):
    glfw.poll_events()
"""


@pytest.mark.parametrize("binding", ["PySide6", "PyQt6", "PyQt5"])
def test_a_signal_may_still_be_connected_to_what_shows_a_dialog(binding: str, tmp_path: Path) -> None:
    environment = {"QT_QPA_PLATFORM": "offscreen"}
    with shown(binding, SIGNALS.format(binding=binding), binding, tmp_path, **environment) as process:
        out, err = process.communicate(timeout=30)
    assert out == "['QDialog', 'QColorDialog']\n", err


@posix
@pytest.mark.parametrize("binding", ["PyQt6", "PyQt5"])
@pytest.mark.parametrize("first", [UNTIL_WATCHED, FRAMES_FIRST], ids=["plain loop", "frames"])
def test_pyqt_still_aborts_where_the_app_was_watched_before_it(
    first: str, binding: str, tmp_path: Path
) -> None:
    (tmp_path / "glfw.py").write_text(GLFW)
    with shown(binding, first + SLOT.format(binding=binding), binding, tmp_path) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (-signal.SIGABRT, "")
    assert "ValueError: bad value" in err
    assert "ValueError: bad value" in (tmp_path / "heartbeat.jsonl").read_text()


DIALOG = """
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QDialog
app = QApplication([])
dialog = QDialog()
def fail():
    raise ValueError("bad value")
QTimer.singleShot(0, fail)
QTimer.singleShot(300, dialog.accept)
dialog.exec()
raise RuntimeError("boom")
"""


def test_after_a_dialog_of_qt_only_what_ends_the_program_is_a_crash(tmp_path: Path) -> None:
    with shown("pyside6", DIALOG, "PySide6", tmp_path, QT_QPA_PLATFORM="offscreen") as process:
        _, err = process.communicate(timeout=30)
    assert (err.count("ValueError: bad value"), err.count("RuntimeError: boom")) == (1, 1)
    journal = (tmp_path / "heartbeat.jsonl").read_text()
    crashes = [line for line in journal.splitlines() if "main_loop_crashed" in line]
    assert crashes
    assert "RuntimeError: boom" in crashes[0]
    assert "ValueError" not in crashes[0]


# --- modules ---


def test_a_module_that_is_loaded_when_it_is_needed_is_not_loaded_by_us(tmp_path: Path) -> None:
    (tmp_path / "heavy.py").write_text("open('loaded', 'w').close()\nraise RuntimeError('no licence')\n")
    script = """
import importlib.util, sys, threading
spec = importlib.util.find_spec("heavy")
spec.loader = importlib.util.LazyLoader(spec.loader)
sys.modules["heavy"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["heavy"])
threading.Thread(target=int).start()
sys.stdin.readline()
"""
    with executed(script, tmp_path):
        health(tmp_path)
    assert not (tmp_path / "loaded").exists()


def test_an_app_whose_loop_cannot_be_looked_for_is_told_of(tmp_path: Path) -> None:
    script = "import sys, threading\nsys._current_frames = None\nthreading.Thread(target=int).start()\nsys.stdin.readline()\n"
    with executed(script, tmp_path) as process:
        deadline = time.monotonic() + 20
        log = tmp_path / "injection.log"
        while not log.exists() or "not watched without a loop: TypeError" not in log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        _, err = process.communicate(timeout=30)
    assert err == ""


OLD_FINDER = """
import sys
class Old:  # as six had it before 1.16
    def find_module(self, name, path=None):
        return None
sys.meta_path.append(Old())
sys.path.clear()
try:
    import qasync
except ImportError as error:
    print(error)
"""


def test_a_finder_of_an_old_kind_is_left_out_as_python_does(tmp_path: Path) -> None:
    with executed(OLD_FINDER, tmp_path) as process:
        out, err = process.communicate(timeout=30)
    assert (out, err) == ("No module named 'qasync'\n", "")


def test_modules_that_replace_or_rename_themselves_are_imported_as_ever(tmp_path: Path) -> None:
    (tmp_path / "glfw.py").write_text("import sys\nsys.modules[__name__] = 'in its place'\n")
    (tmp_path / "qasync.py").write_text("__name__ = 'other'\n")
    script = "import glfw, qasync\nprint(glfw, qasync.__name__)\n"
    with executed(script, tmp_path) as process:
        out, err = process.communicate(timeout=30)
    assert (out, err) == ("in its place other\n", "")


def test_a_module_with_another_name_does_not_end_the_look_for_a_loop(tmp_path: Path) -> None:
    (tmp_path / "qasync.py").write_text("__name__ = 'other'\n")
    with executed("import qasync\n" + UNTIL_WATCHED + "input()", tmp_path):
        health(tmp_path)


# --- errors of ours ---


def test_a_toolkit_that_does_not_say_what_is_open_beats_all_the_same(agent: livegui.Agent) -> None:
    def look() -> list[str]:
        raise RuntimeError("that window was deleted")

    before = agent.health()["checks"]["main_loop"]["beats"]
    Frames(agent, look).beat()
    assert agent.health()["checks"]["main_loop"]["beats"] == before + 1


MANY_POOLS = """
import asyncio, socketserver, threading
from concurrent.futures import ThreadPoolExecutor
class Server(socketserver.BaseServer):
    def fileno(self):
        raise OSError("theirs")
threading.excepthook = lambda args: print(args.exc_value, flush=True)
async def main():
    pools = [ThreadPoolExecutor(1) for _ in range(300)]
    for pool in pools:
        pool.submit(int)
    threading.Thread(target=Server(None, None).serve_forever).start()
asyncio.run(main())
"""


def test_a_server_ends_of_its_own_exception_also_where_there_is_no_room_for_another_thread(
    tmp_path: Path,
) -> None:
    with executed(MANY_POOLS, tmp_path) as process:
        out, err = process.communicate(timeout=30)
    assert (out, err) == ("theirs\n", "")


def test_what_cannot_be_told_costs_nobody_the_agent(tmp_path: Path) -> None:
    script = """
import asyncio, sys
from livegui import _bootstrap
_bootstrap._finder.injection().when_watched(lambda agent: 1 / 0)
async def main():
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
asyncio.run(main())
"""
    with executed(script, tmp_path):
        health(tmp_path, beats)
    assert "ZeroDivisionError" in (tmp_path / "injection.log").read_text()


def test_a_note_that_no_file_can_hold_as_it_is_costs_the_app_nothing(tmp_path: Path) -> None:
    (tmp_path / "glfw.py").write_text(
        "def poll_events():\n    pass\ndef __getattr__(name):\n    raise AttributeError('\\udcff')\n"
    )
    script = "import glfw\nfor _ in range(3):\n    glfw.poll_events()\nprint('goes on')\n"
    with executed(script, tmp_path) as process:
        out, err = process.communicate(timeout=30)
    assert (out, err) == ("goes on\n", "")
    assert "glfw's events is not watched: AttributeError: \\udcff" in (tmp_path / "injection.log").read_text()


# --- children ---

CHILD = """
import asyncio, os, sys
async def main():
    await asyncio.sleep(0)
asyncio.run(main())
print("livegui._attach" in sys.modules, flush=True)
"""
STARTS_CHILDREN = """
import asyncio, multiprocessing, os, sys
CHILD = [sys.executable, "-c", open("child.py").read()]

def loops():
    asyncio.run(asyncio.sleep(0))
    print("livegui._attach" in sys.modules, flush=True)

def early():
    process = multiprocessing.get_context("fork").Process(target=loops)
    process.start()
    process.join()

def forks(exec, *more):
    pid = os.fork()
    if pid == 0:
        exec(sys.executable, CHILD, *more)
    os.waitpid(pid, 0)

async def main():
    os.spawnv(os.P_WAIT, sys.executable, CHILD)
    forks(os.execv)
    forks(os.execve, dict(os.environ))
    print("app", "livegui._attach" in sys.modules, flush=True)

early()
asyncio.run(main())
"""


@posix
def test_children_that_are_forked_are_no_agents(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    with executed(STARTS_CHILDREN, tmp_path) as process:
        out, err = process.communicate(timeout=30)
    assert (out.split("\n"), err) == ([*["False"] * 4, "app True", ""], "")


@posix
def test_a_child_that_is_forked_while_the_app_gets_its_agent_is_none_and_runs(tmp_path: Path) -> None:
    script = """
import asyncio, os, signal, sys
from livegui import _bootstrap
lock = _bootstrap._finder.injection()._lock
lock.acquire()  # as a thread has it that makes the agent
pid = os.fork()
if pid == 0:
    signal.alarm(10)
    asyncio.run(asyncio.sleep(0))
    print("child", "livegui._attach" in sys.modules, flush=True)
    os._exit(0)
os.waitpid(pid, 0)
lock.release()
asyncio.run(asyncio.sleep(0))
print("app", "livegui._attach" in sys.modules, flush=True)
"""
    with executed(script, tmp_path) as process:
        out, err = process.communicate(timeout=30)
    assert (out, err) == ("child False\napp True\n", "")


# --- loops ---

TWO_LOOPS = """
import asyncio, sys
async def interrupted():
    raise KeyboardInterrupt
async def exiting():
    sys.exit(3)
async def main():
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    raise RuntimeError("boom")
try:
    asyncio.run(asyncio.wait_for(asyncio.sleep(60), 0.01))
except asyncio.TimeoutError:
    pass
try:
    asyncio.run(interrupted())
except KeyboardInterrupt:
    pass
try:
    asyncio.run(exiting())
except SystemExit:
    pass
asyncio.run(main())
"""
EXITS = """
import asyncio, sys
async def main():
    await asyncio.sleep(0.1)
    sys.exit(3)
asyncio.run(main())
"""


def test_only_an_exception_that_ends_the_program_is_a_crash_of_a_loop_that_may_come_back(
    tmp_path: Path,
) -> None:
    with executed(TWO_LOOPS, tmp_path) as process:
        document = health(tmp_path, beats)
        assert (document["status"], document["reasons"]) == ("ok", [])
        _, err = process.communicate("\n", timeout=30)
    assert err.count("RuntimeError: boom") == 1
    journal = (tmp_path / "heartbeat.jsonl").read_text()
    assert "main_loop_crashed" in journal
    assert "RuntimeError: boom" in journal
    assert "TimeoutError" not in journal
    assert "sys.exit" not in journal


def test_a_sys_exit_that_leaves_asyncios_loop_is_told_with_its_place(tmp_path: Path) -> None:
    with executed(EXITS, tmp_path) as process:
        process.communicate(timeout=30)
    assert process.returncode == 3
    assert "sys.exit(3) at app.py:5" in (tmp_path / "heartbeat.jsonl").read_text()


HANGS = {
    "asyncio": """
import asyncio, glfw, sys, threading, time
def draw():
    while True:
        glfw.poll_events()
        time.sleep(0.01)
async def main():
    threading.Thread(target=draw, daemon=True).start()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    time.sleep(60)
asyncio.run(main())
""",
    "glfw": """
import glfw, sys, threading, time
def draw(while_):
    while while_():
        glfw.poll_events()
        time.sleep(0.01)
threading.Thread(target=draw, args=(lambda: True,), daemon=True).start()
reader = threading.Thread(target=sys.stdin.readline)
reader.start()
draw(reader.is_alive)
time.sleep(60)
""",
}
HANGS["pygame"] = (
    HANGS["glfw"]
    .replace("glfw.poll_events", "pygame.display.flip")
    .replace("import glfw", "import pygame")
    .replace("def draw", "pygame.init()\npygame.display.set_mode((50, 50))\ndef draw")
)


@pytest.mark.parametrize("loop", HANGS)
def test_frames_on_another_thread_do_not_hide_a_main_loop_that_hangs(loop: str, tmp_path: Path) -> None:
    (tmp_path / "glfw.py").write_text(GLFW)
    script, environment = HANGS[loop], {"SDL_VIDEODRIVER": "dummy", "LIVEGUI_STALL_AFTER_MS": "500"}
    is_real = loop == "pygame"
    with (
        shown(loop, script, loop, tmp_path, **environment)
        if is_real
        else executed(script, tmp_path, **environment)
    ) as process:
        assert process.stdin is not None
        health(tmp_path, beats)
        process.stdin.write("\n")
        process.stdin.flush()
        document = health(tmp_path, lambda document: document["status"] == "degraded")
        assert [reason["code"] for reason in document["reasons"]] == ["main_loop_stalled"]


UPDATES = """
import sys, threading, time, tkinter
root = tkinter.Tk()
reader = threading.Thread(target=sys.stdin.readline)
reader.start()
def fail():
    raise ValueError("bad value")
while reader.is_alive():
    root.update()
    time.sleep(0.01)
root.after(0, fail)
threading.Thread(target=lambda: sys.stdin.readline() and root.after(0, root.destroy), daemon=True).start()
root.mainloop()
"""


def test_tk_that_is_updated_and_then_runs_its_loop_is_wired_once(tmp_path: Path) -> None:
    with shown("tk", UPDATES, "tkinter", tmp_path) as process:
        assert process.stdin is not None
        document = health(tmp_path, beats)
        assert (document["status"], document["reasons"]) == ("ok", [])
        process.stdin.write("\n")
        process.stdin.flush()
        document = health(tmp_path, lambda document: bool(document["exceptions"]))
        (caught,) = document["exceptions"]
        assert (caught["message"], caught["count"]) == ("ValueError: bad value", 1)


LOOPS_GO = """
import asyncio, gc, weakref
known = []
async def main():
    known.append(weakref.ref(asyncio.get_running_loop()))
for _ in range(3):
    asyncio.run(main())
gc.collect()
print([loop() is None for loop in known], flush=True)
"""
ROOTS_GO = """
import gc, tkinter, weakref
known = []
for _ in range(3):
    root = tkinter.Tk()
    root.update(), root.update(), root.update()
    root.after(50, root.destroy)
    root.mainloop()
    known.append(weakref.ref(root))
    del root
gc.collect()
print([root() is None for root in known], flush=True)
"""


def test_asyncio_loops_that_have_ended_are_not_kept(tmp_path: Path) -> None:
    with executed(LOOPS_GO, tmp_path) as process:
        out, err = process.communicate(timeout=30)
    assert (out, err) == ("[True, True, True]\n", "")


def test_windows_of_tk_that_are_destroyed_are_not_kept(tmp_path: Path) -> None:
    with shown("tk", ROOTS_GO, "tkinter", tmp_path) as process:
        out, err = process.communicate(timeout=30)
    assert (out, err) == ("[True, True, True]\n", "")


# --- Dear ImGui ---

SIMPLE = """
import sys, threading
from imgui_bundle import hello_imgui
reader = threading.Thread(target=sys.stdin.readline)
reader.start()
def gui():
    if not reader.is_alive():
        hello_imgui.get_runner_params().app_shall_exit = True
simple = hello_imgui.SimpleRunnerParams()
simple.gui_function = gui
simple.ini_disable = True
hello_imgui.run(simple_params=simple)
print("ended")
"""
SAME_CALLBACKS = """
from imgui_bundle import hello_imgui, imgui
order = []
def own():
    order.append("own")
def gui():
    params.app_shall_exit = True
def allow_textures():
    imgui.get_io().backend_flags |= imgui.BackendFlags_.renderer_has_textures.value
for before in (None, own):
    params = hello_imgui.RunnerParams()
    params.ini_disable = True
    params.platform_backend_type = hello_imgui.PlatformBackendType.null
    params.renderer_backend_type = hello_imgui.RendererBackendType.null
    params.callbacks.post_init = allow_textures
    params.callbacks.show_gui = gui
    if before:
        params.callbacks.pre_new_frame = before
    hello_imgui.run(params)
    after = params.callbacks.pre_new_frame
    print(after is before or after.__closure__)
print(set(order))
"""


@pytest.mark.skipif(under_wine(), reason="simple parameters open a window, and there is no display")
def test_simple_parameters_may_be_given_by_name(tmp_path: Path) -> None:
    with shown("imgui_bundle", SIMPLE, "imgui_bundle", tmp_path) as process:
        health(tmp_path, beats)
        out, err = process.communicate("\n", timeout=30)
    assert (process.returncode, out, err) == (0, "ended\n", "")


def test_the_apps_own_parameters_are_as_they_were_after_a_run(tmp_path: Path) -> None:
    with executed(SAME_CALLBACKS, tmp_path) as process:
        out, err = process.communicate(timeout=30)
    assert (out, err) == ("None\nTrue\n{'own'}\n", "")


# --- launchers ---


def test_a_launcher_that_reads_what_the_app_prints_is_not_taken_for_the_app(suite: Suite) -> None:
    files = {
        "real.py": "import asyncio, slow\nasyncio.run(asyncio.sleep(60))\n",
        "slow.py": "import time\ntime.sleep(2)\n",
        "launch.py": "import subprocess, sys\nsubprocess.run([sys.executable, 'real.py'], capture_output=True)\n",
        "test_a.py": """
import time

def test_beats(live_gui):
    deadline = time.monotonic() + 20
    while live_gui.health()["checks"]["main_loop"]["beats"] < 5:
        assert time.monotonic() < deadline
        time.sleep(0.05)
""",
    }
    result = suite(files, ini="live_gui_command = {python} launch.py")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*main loop is not watched*")


# --- pools ---


def test_a_pool_that_is_wired_keeps_its_wiring_in_an_app_that_is_watched_as_well(tmp_path: Path) -> None:
    script = """
import asyncio, sys, livegui
from concurrent.futures import ThreadPoolExecutor
agent = livegui.start()
pool = ThreadPoolExecutor(thread_name_prefix="io")
agent.watch_executor(pool, "io")
async def main():
    pool.submit(int).result()
    pool.shutdown()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
asyncio.run(main())
"""
    with executed(script, tmp_path, "--always"):
        document = health(tmp_path, lambda document: document["status"] == "degraded")
        (reason,) = document["reasons"]
        assert (reason["code"], reason["component"]) == ("executor_shutdown", "io")


SAME_NAMES = """
import asyncio, sys, livegui
from concurrent.futures import ThreadPoolExecutor
agent = livegui.start()
wired = ThreadPoolExecutor(thread_name_prefix="io")
agent.watch_executor(wired, "io")
others = [ThreadPoolExecutor(thread_name_prefix="io") for _ in range(2)]
for other in others:
    other.submit(int).result()
async def main():
    wired.submit(int).result()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    WHAT
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
asyncio.run(main())
"""
ENDS_WIRED = ("wired.shutdown()", "executor_shutdown", "io")
IS_REFUSED = (
    "others[1].shutdown()\n    try:\n        others[1].submit(int)\n    except RuntimeError:\n        pass",
    "executor_refused",
    "io-3",
)


@pytest.mark.parametrize(("what", "code", "component"), [ENDS_WIRED, IS_REFUSED], ids=["wired", "not wired"])
def test_pools_of_one_name_are_told_apart(what: str, code: str, component: str, tmp_path: Path) -> None:
    with executed(SAME_NAMES.replace("WHAT", what), tmp_path, "--always") as process:
        assert process.stdin is not None
        document = health(tmp_path, beats)
        names = {pool["name"] for pool in document["checks"]["executors"]}
        assert names >= {"io", "io-2", "io-3"}
        process.stdin.write("\n")
        process.stdin.flush()
        document = health(tmp_path, lambda document: document["status"] == "degraded")
        (reason,) = document["reasons"]
        assert (reason["code"], reason["component"]) == (code, component)


TIMER = """
import asyncio, sys, threading
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(thread_name_prefix="io")
def work():
    pass
FIRST
async def main():
    pool.shutdown()
    timer = threading.Timer(0, pool.submit, (WORK,))
    timer.name = "later"
    timer.start()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
threading.excepthook = lambda args: None
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("first", "work", "counts"),
    [("pool.submit(int)", "int", True), ("", "work", True), ("", "int", False)],
    ids=["a pool of the app", "work of the app", "whose pool it is, is not known"],
)
def test_refused_work_of_a_timer_names_the_timer(first: str, work: str, counts: bool, tmp_path: Path) -> None:
    script = TIMER.replace("FIRST", first).replace("WORK", work)
    with executed(script, tmp_path):
        document = health(tmp_path, lambda document: beats(document) and bool(document["exceptions"]))
        if not counts:
            assert document["reasons"] == []
            return
        (reason,) = document["reasons"]
        assert reason["code"] == "executor_refused"
        assert 'refused the work of Timer "later": it was shut down by main() at app.py:' in reason["message"]
