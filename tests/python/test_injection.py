"""Apps that nobody wired, watched all the same: the real toolkits, in a suite and under ``livegui exec``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from executing import executed, health, shown
from plain_suites import Suite, not_here, under_wine
from unwired import unwired
from wiring import APPS, CATCHING, MORE, RUNS_ON, asks, run_on

import livegui
from livegui._bootstrap import SEAMS

needs_venv = pytest.mark.skipif(
    under_wine(), reason="the Python that is put together there can make no virtual environment"
)

#: Toolkits whose loop, or frames, a seam knows.
WATCHED = [name for name in APPS if name not in ("plain", "sdl")]
#: Loops that an exception leaves.
OPEN = ["imgui_bundle", "glfw", "pygame", "kivy"]

Injected = Callable[..., pytest.RunResult]


def other_python(folder: Path) -> Path:
    """The Python of a virtual environment without livegui."""
    venv.create(folder / "other", with_pip=False, symlinks=os.name == "posix")
    return next((folder / "other").glob("[bS]*/python*"))


@pytest.fixture
def injected(suite: Suite, pytester: pytest.Pytester) -> Injected:
    """As ``suite``, on an app of examples/wiring that has no line of livegui's."""

    def run(name: str, files: dict[str, str], *options: str, ini: str = "") -> pytest.RunResult:
        APPS[name].skip_unless_it_can_run()
        return run_on(unwired(name, pytester.path), suite, pytester, files, *options, ini=ini)

    return run


BEATS = """
import time

def test_beats(live_gui):
    before = live_gui.health()["checks"]["main_loop"]["beats"]
    deadline = time.monotonic() + 20
    while live_gui.health()["checks"]["main_loop"]["beats"] < before + 20:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert live_gui.health()["reasons"] == []
"""


@pytest.mark.parametrize("name", WATCHED)
def test_an_app_that_nobody_wired_beats(injected: Injected, name: str) -> None:
    injected(name, {"test_a.py": BEATS}).assert_outcomes(passed=1)


@pytest.mark.parametrize("name", OPEN)
def test_a_crash_fails_its_test_and_the_next_file_gets_a_fresh_process(injected: Injected, name: str) -> None:
    files = {"test_a.py": asks("crash boom"), "test_b.py": RUNS_ON.format(generation=2)}
    result = injected(name, files)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*main_loop_crashed*RuntimeError: boom*"])


@pytest.mark.parametrize("name", CATCHING)
def test_what_a_toolkit_swallows_is_heard(injected: Injected, name: str) -> None:
    files = {"test_a.py": asks("raise bad value"), "test_b.py": RUNS_ON.format(generation=1)}
    result = injected(name, files)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*GuiCallbackError: callback_exception: ValueError: bad value"])


@pytest.mark.parametrize("name", ["pyqt6", "pyqt5"])
def test_pyqt_still_aborts_of_an_exception_in_a_slot(injected: Injected, name: str) -> None:
    files = {"test_a.py": asks("raise bad value"), "test_b.py": RUNS_ON.format(generation=2)}
    result = injected(name, files)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*main_loop_crashed*ValueError: bad value*"])


# --- what can be told of an app without a toolkit ---

PLAIN = """
import os, pathlib, threading, time
command = pathlib.Path(os.environ["LIVEGUI_STATE_DIR"], "command")
keeps_alive = threading.Thread(target=threading.Event().wait)
keeps_alive.start()
while True:
    if command.exists():
        raise RuntimeError(command.read_text())
    time.sleep(0.01)
"""


def test_a_loop_that_no_seam_knows_is_not_watched_and_its_crash_is_told(suite: Suite) -> None:
    test = """
import time

def test_health(live_gui):
    health = live_gui.health()
    assert health["status"] == "ok"
    assert health["checks"]["main_loop"]["state"] == "not_watched"
    assert health["checks"]["main_loop"]["beats"] == 0

def test_crash(app):
    app.do("boom")
    time.sleep(30)
"""
    files = {"plain.py": PLAIN, "test_a.py": test, "test_b.py": RUNS_ON.format(generation=2)}
    result = suite(files, ini="live_gui_command = {python} plain.py")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*main_loop_crashed*RuntimeError: boom*"])
    told = [line for line in result.outlines if "the app's main loop is not watched" in line]
    assert len(told) == 1, "once, though there were two processes"


def test_an_app_that_is_not_watched_says_why_in_its_start_error(suite: Suite) -> None:
    files = {"plain.py": PLAIN, "test_a.py": "def test_it(live_gui):\n    pass\n"}
    for command, ini, told in [
        ("{python} -S plain.py", "", "*started with -S*call livegui.start() in the app*"),
        ("{python} plain.py", "live_gui_inject = false", "*live_gui_inject = false: *"),
    ]:
        options = f"live_gui_command = {command}\nlive_gui_ready_timeout = 1\n{ini}"
        result = suite(files, ini=options)
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*it never called livegui.start()*", told])


def test_a_wrong_mode_is_refused(suite: Suite) -> None:
    result = suite({"test_a.py": "def test_it(live_gui):\n    pass\n"}, ini="live_gui_inject = maybe")
    result.stdout.fnmatch_lines(["*live_gui_inject = maybe: expected auto, true or false*"])


# --- livegui exec ---


ASYNCIO = """
import asyncio, json, os, sys
async def main():
    ours = [name for name in os.environ if name.startswith("LIVEGUI_INJECT")]
    print(json.dumps([os.getpid(), ours, os.environ.get("PYTHONPATH")]), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
asyncio.run(main())
"""


def test_exec_runs_the_app_in_its_own_process_with_its_own_environment(tmp_path: Path) -> None:
    with executed(ASYNCIO, tmp_path, "--name", "mine", PYTHONPATH="/theirs") as process:
        assert process.stdout is not None
        pid, ours, path = json.loads(process.stdout.readline())
        document = health(tmp_path)
        assert document["app"] == "mine"
        assert document["pid"] == pid
        if os.name == "posix":
            assert pid == process.pid
        assert ours == []
        assert path == "/theirs"
        out, err = process.communicate("\n", timeout=30)
    assert (process.returncode, out, err) == (0, "", "")


def test_explain_says_what_is_patched_and_what_came_of_it(tmp_path: Path) -> None:
    with executed(ASYNCIO, tmp_path, "--explain") as process:
        _, err = process.communicate("\n", timeout=30)
    assert "livegui: patched asyncio.base_events.BaseEventLoop.run_forever" in err
    assert "livegui: watched, by asyncio's loop" in err


def test_exec_passes_on_how_the_app_ends_and_says_what_could_not_be_run(tmp_path: Path) -> None:
    with executed("import sys; sys.exit(7)", tmp_path) as process:
        process.communicate(timeout=30)
        assert process.returncode == 7
    done = subprocess.run(
        [sys.executable, "-m", "livegui", "exec", "--", "no/such/app.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no/such/app.py could not be run" in done.stderr
    assert "livegui exec -- python no/such/app.py" in done.stderr


SINGLE = """
import os, subprocess, sys, time
CODE = "import time; time.sleep(3); print('livegui._inject' in __import__('sys').modules)"
child = subprocess.Popen([sys.executable, "-c", CODE], stdout=subprocess.PIPE, text=True)
while not os.path.exists("end"):
    time.sleep(0.01)
print(child.communicate()[0], end="", flush=True)
raise RuntimeError("boom")
"""


def test_exec_watches_an_app_without_toolkit_and_threads_and_nothing_that_it_starts(tmp_path: Path) -> None:
    with executed(SINGLE, tmp_path) as process:
        document = health(tmp_path)
        assert document["checks"]["main_loop"]["state"] == "not_watched"
        if os.name == "posix":
            assert document["pid"] == process.pid
        (tmp_path / "end").touch()
        out, _ = process.communicate(timeout=30)
    assert out == "False\n", "no other Python pays for the look"
    assert "RuntimeError: boom" in (tmp_path / "heartbeat.jsonl").read_text()


CHILDREN = """
import asyncio, multiprocessing, os, subprocess, sys

def child():
    import asyncio
    asyncio.run(asyncio.sleep(0))
    with open("children", "a") as file:
        file.write("livegui._attach" in __import__("sys").modules and "an agent\\n" or "none\\n")

CODE = "import app; app.child()"
METHODS = [method for method in ("spawn", "forkserver") if method in multiprocessing.get_all_start_methods()]

async def main():
    subprocess.run([sys.executable, "-c", CODE], check=True)
    for method in METHODS:
        process = multiprocessing.get_context(method).Process(target=child)
        process.start()
        process.join()
    print("done", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)

if __name__ == "__main__":
    for method in METHODS:
        early = multiprocessing.get_context(method).Process(target=child)
        early.start()
        early.join()
    asyncio.run(main())
"""


def test_children_of_the_app_are_no_agents(tmp_path: Path) -> None:
    with executed(CHILDREN, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        assert health(tmp_path)["status"] == "ok"
        process.communicate("\n", timeout=30)
    count = 1 + 2 * (2 if os.name == "posix" else 1)
    assert (tmp_path / "children").read_text() == count * "none\n"


ASKS_FOR_A_CHILD = """
import asyncio, subprocess, sys
async def main():
    subprocess.Popen([sys.executable, "-m", "livegui", "exec", "--run-dir", "theirs", "--", sys.executable, "child.py"])
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
asyncio.run(main())
"""


def test_a_child_that_is_started_with_exec_has_its_own_agent(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(
        "import asyncio, sys\nasyncio.run(asyncio.to_thread(sys.stdin.readline))\n"
    )
    with executed(ASKS_FOR_A_CHILD, tmp_path):
        child = health(tmp_path / "theirs")
        app = health(tmp_path)
        assert (app["app"], child["app"]) == ("app.py", "child.py")
        assert app["pid"] != child["pid"]


@pytest.mark.skipif(os.name != "posix", reason="exec")
def test_an_app_that_takes_its_own_place_is_the_app_again(tmp_path: Path) -> None:
    script = """
import asyncio, os, sys
async def main():
    if len(sys.argv) == 1:
        os.execv(sys.executable, [sys.executable, sys.argv[0], "again"])
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
asyncio.run(main())
"""
    with executed(script, tmp_path):
        health(tmp_path, lambda document: document["checks"]["main_loop"]["beats"] > 5)


def test_an_app_that_starts_an_agent_is_left_to_its_own_wiring(tmp_path: Path) -> None:
    script = """
import asyncio, sys, livegui
agent = livegui.start("by hand")
async def main():
    for _ in range(10):
        await asyncio.sleep(0.02)
    is_patched = hasattr(asyncio.BaseEventLoop.run_forever, "__wrapped__")
    print(agent.health()["status"], is_patched, flush=True)
asyncio.run(main())
"""
    with executed(script, tmp_path) as process:
        out, err = process.communicate(timeout=30)
    assert (out, err) == ("starting False\n", ""), "nobody beats for it"


TRACES = """
import os, subprocess, sys
print([name for name in sys.modules if name.startswith("livegui")], [f for f in sys.meta_path if "livegui" in repr(f)])
print([name for name in os.environ if name.startswith("LIVEGUI_INJECT")], os.environ.get("PYTHONPATH"), sys.path[1:3])
if len(sys.argv) == 1:
    sys.stdout.flush()
    subprocess.run([sys.executable, __file__, "child"])
"""


@pytest.mark.parametrize("theirs", ["", "/theirs"])
def test_livegui_0_leaves_no_trace(theirs: str, tmp_path: Path) -> None:
    with executed(TRACES, tmp_path, "--explain", LIVEGUI="0", PYTHONPATH=theirs) as process:
        out, err = process.communicate(timeout=30)
    environment = os.environ | {"PYTHONPATH": theirs}
    command = [sys.executable, str(tmp_path / "app.py")]
    plain = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    # A variable that is set, but empty, is as good as none.
    assert out.replace(" None ", "  ") == plain.stdout.replace(" None ", "  ")
    assert out.startswith("[] []\n[] ")
    assert err == ""


@needs_venv
def test_livegui_0_leaves_no_trace_in_an_environment_without_livegui(tmp_path: Path) -> None:
    python = other_python(tmp_path)
    with executed(TRACES, tmp_path, python=str(python), LIVEGUI="0", PYTHONPATH="/theirs") as process:
        out, err = process.communicate(timeout=30)
    command = [str(python), str(tmp_path / "app.py")]
    environment = os.environ | {"PYTHONPATH": "/theirs"}
    plain = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert (out, err) == (plain.stdout, "")


def test_a_sitecustomize_of_somebody_else_still_runs_once(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    # `livegui exec` itself is a Python, too, before it becomes the app.
    (theirs / "sitecustomize.py").write_text(
        "import os; os.environ.get('LIVEGUI_INJECT') and print('theirs')\n"
    )
    script = "import sys; print(sys.modules['sitecustomize'].__file__)"
    with executed(script, tmp_path, PYTHONPATH=str(theirs)) as process:
        out, err = process.communicate(timeout=30)
    assert (out, err) == (f"theirs\n{theirs / 'sitecustomize.py'}\n", "")


COMES_ALONG = """
import asyncio, importlib.util, json, sys
async def main():
    names = ("pytest", "imgui_bundle", "_pytest")
    print(json.dumps([[name for name in names if importlib.util.find_spec(name)], sys.path]), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
asyncio.run(main())
"""


def run_where_only_our_package_comes_along(python: str, folder: Path) -> list[str]:
    """Watch an app on a Python without livegui. Returns which packages of pytest's Python it could import."""
    with executed(COMES_ALONG, folder, python=python) as process:
        assert process.stdout is not None
        seen = process.stdout.readline()
        health(folder)
        _, err = process.communicate("\n", timeout=30)
    command = [python, str(folder / "app.py")]
    plain = subprocess.run(command, input="\n", capture_output=True, text=True, check=True)
    assert (seen, err) == (plain.stdout, plain.stderr)
    packages: list[str] = json.loads(seen)[0]
    return packages


@needs_venv
def test_an_environment_without_livegui_gets_our_package_and_nothing_else(tmp_path: Path) -> None:
    assert run_where_only_our_package_comes_along(str(other_python(tmp_path)), tmp_path) == []


# --- a good guest ---

GUEST = """
import asyncio, concurrent.futures, inspect, json, socketserver, sys, threading
from concurrent.futures import ThreadPoolExecutor
functions = [asyncio.BaseEventLoop.run_forever, asyncio.BaseEventLoop.run_until_complete, ThreadPoolExecutor.submit,
             ThreadPoolExecutor.shutdown, socketserver.BaseServer.serve_forever, threading.Thread.start,
             asyncio.BaseEventLoop.run_in_executor, asyncio.BaseEventLoop.shutdown_default_executor,
             asyncio.BaseEventLoop.close, asyncio.BaseEventLoop.call_exception_handler]
print(json.dumps([[f.__name__, f.__qualname__, f.__module__, f.__doc__, str(inspect.signature(f)),
                   inspect.iscoroutinefunction(f)] for f in functions]))
print(json.dumps(sorted(name for name in sys.modules if not name.startswith("livegui") and name != "__future__")))
print(sys.path, sys.flags, [type(f).__name__ for f in sys.meta_path if "livegui" not in type(f).__module__])
try:
    with ThreadPoolExecutor() as pool:
        pass
    pool.submit(print, flush=True)
except RuntimeError as error:
    print(error)
try:
    pool.submit()
except TypeError as error:
    print(error)
"""


def test_the_app_sees_the_same_functions_modules_paths_and_errors(tmp_path: Path) -> None:
    with executed(GUEST, tmp_path) as process:
        injected_out, err = process.communicate(timeout=30)
    plain = subprocess.run(
        [sys.executable, str(tmp_path / "app.py")], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert injected_out == plain.stdout
    assert err == plain.stderr == ""


# --- pools and hook servers ---

REFUSED = """
import asyncio, sys
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(thread_name_prefix="io")

def close():
    pool.shutdown()

def click():
    pool.submit(print, flush=True)

async def main():
    with ThreadPoolExecutor() as other:
        other.submit(int).result()
    click()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    close()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    try:
        click()
    except RuntimeError as error:
        print(error, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)

asyncio.run(main())
"""


def test_refused_work_is_a_reason_that_names_who_gave_it_and_who_ended_the_pool(tmp_path: Path) -> None:
    def pools(document: dict[str, Any]) -> dict[str, str]:
        return {pool["name"]: pool["state"] for pool in document["checks"]["executors"]}

    with executed(REFUSED, tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "\n"
        health(tmp_path, lambda document: pools(document).get("io") == "ok")
        process.stdin.write("\n")
        process.stdin.flush()
        closed = health(tmp_path, lambda document: pools(document)["io"] == "shutdown")
        assert closed["status"] == "ok", "a pool that ends is no trouble"
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "cannot schedule new futures after shutdown\n"
        document = health(tmp_path, lambda document: document["status"] == "degraded")
        (reason,) = document["reasons"]
        assert (reason["code"], reason["component"]) == ("executor_refused", "io")
        assert (
            'ThreadPoolExecutor "io" refused the work of click() at app.py:11: it was shut down by close() at app.py:8 '
            in reason["message"]
        )
        assert reason["message"].endswith(" s before")


LIBRARY = """
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(thread_name_prefix="theirs")
pool.submit(int)
pool.shutdown()
def use():
    pool.submit(int)
"""
USES_LIBRARY = """
import asyncio, sys, theirs
async def main():
    try:
        theirs.use()
    except RuntimeError:
        print("refused", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
asyncio.run(main())
"""
REFUSED_BY_LOOP = """
import asyncio
async def close():
    await asyncio.get_running_loop().shutdown_default_executor()

async def click():
    await asyncio.to_thread(int)

async def main():
    await asyncio.to_thread(int)
    await close()
    try:
        await click()
    except RuntimeError as error:
        print(error, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("library_pools", [False, True])
def test_work_that_a_library_is_refused_counts_only_on_request(library_pools: bool, tmp_path: Path) -> None:
    library = tmp_path / "site-packages"
    library.mkdir()
    (library / "theirs.py").write_text(LIBRARY)
    options = ["--library-pools"] if library_pools else []
    with executed(USES_LIBRARY, tmp_path, *options, PYTHONPATH=str(library)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "refused\n"
        document = health(
            tmp_path, lambda document: document["status"] == ("degraded" if library_pools else "ok")
        )
        names = [pool["name"] for pool in document["checks"]["executors"]]
        if library_pools:
            (reason,) = document["reasons"]
            assert (reason["code"], reason["component"]) == ("executor_refused", "theirs")
            assert "refused the work of use() at theirs.py:7" in reason["message"]
            assert "theirs" in names
        else:
            assert document["reasons"] == []
            assert names == ["asyncio"], "only the app's own work"


USED_BY_BOTH = """
import asyncio, sys, theirs
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(thread_name_prefix="mine")
theirs.submit_to(pool)
async def main():
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.readline)
    pool.submit(int)
    await loop.run_in_executor(None, sys.stdin.readline)
asyncio.run(main())
"""


def test_a_pool_is_listed_at_the_first_work_of_the_app_whoever_used_it_before(tmp_path: Path) -> None:
    def names(document: dict[str, Any]) -> list[str]:
        return [pool["name"] for pool in document["checks"]["executors"]]

    library = tmp_path / "site-packages"
    library.mkdir()
    (library / "theirs.py").write_text("def submit_to(pool):\n    pool.submit(int)\n")
    with executed(USED_BY_BOTH, tmp_path, PYTHONPATH=str(library)) as process:
        assert process.stdin is not None
        assert names(health(tmp_path, lambda document: names(document) != [])) == ["asyncio"]
        process.stdin.write("\n")
        process.stdin.flush()
        health(tmp_path, lambda document: names(document) == ["asyncio", "mine"])
        process.communicate("\n", timeout=30)


def test_a_suite_can_count_the_work_of_packages(suite: Suite) -> None:
    script = USES_LIBRARY.replace(
        "import asyncio, sys, theirs",
        "import asyncio, os, sys\nsys.path.insert(0, 'site-packages')\nimport theirs",
    ).replace("    try:", "    while not os.path.exists('go'):\n        await asyncio.sleep(0.01)\n    try:")
    test = (
        "import pathlib, time\ndef test_it(live_gui):\n    pathlib.Path('go').touch()\n    time.sleep(30)\n"
    )
    files = {"uses.py": script, "site-packages/theirs.py": LIBRARY, "test_a.py": test}
    ini = "live_gui_command = {python} uses.py\nlive_gui_library_pools = true"
    result = suite(files, ini=ini)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*executor_refused*refused the work of use() at theirs.py:7*"])


def test_work_that_a_loop_refuses_names_who_gave_it_and_who_ended_its_executor(tmp_path: Path) -> None:
    with executed(REFUSED_BY_LOOP, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "Executor shutdown has been called\n"
        document = health(tmp_path, lambda document: document["status"] == "degraded")
        (reason,) = document["reasons"]
        assert (reason["code"], reason["component"]) == ("executor_refused", "asyncio")
        assert (
            'asyncio default executor "asyncio" refused the work of click() at app.py:7: it was shut down by close() at app.py:4 '
            in reason["message"]
        )


def test_a_hook_server_that_ends_of_an_exception_is_named(tmp_path: Path) -> None:
    script = """
import asyncio, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

class Server(HTTPServer):
    def service_actions(self):
        raise OSError("the hook server broke")

server = Server(("127.0.0.1", 0), BaseHTTPRequestHandler)
threading.excepthook = lambda args: None
threading.Thread(target=server.serve_forever, args=(0.01,), name="hooks").start()

async def main():
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
asyncio.run(main())
"""
    with executed(script, tmp_path):
        document = health(tmp_path, lambda document: document["status"] == "degraded")
        (reason,) = document["reasons"]
        assert (reason["code"], reason["component"]) == ("thread_died", "hooks")
        assert reason["message"] == 'thread "hooks": OSError: the hook server broke'
        assert "service_actions" in reason["detail"]["traceback"]


def test_each_seam_has_its_file() -> None:
    package = Path(livegui.__file__).parent
    for known_by in {known_by for known_by in SEAMS.values() if known_by}:
        assert (package / (known_by.replace(".", "/") + ".py")).exists(), known_by


# --- toolkits that examples/wiring has no app for ---

PYGLET = """
import pyglet, sys, threading
window = pyglet.window.Window(50, 50)
def end(dt):
    raise ValueError("bad value")
reader = threading.Thread(target=sys.stdin.readline)
reader.start()
pyglet.clock.schedule_interval(lambda dt: reader.is_alive() or end(dt), 0.02)
pyglet.app.run()
"""
QASYNC = """
import asyncio, os, sys
from PySide6.QtCore import QCoreApplication
import qasync
app = QCoreApplication(sys.argv)
loop = qasync.QEventLoop(app)
asyncio.set_event_loop(loop)
def fail():
    raise ValueError("bad value")
async def main():
    await loop.run_in_executor(None, sys.stdin.readline)
    loop.call_soon(fail)
    await loop.run_in_executor(None, sys.stdin.readline)
with loop:
    loop.run_until_complete(main())
"""
WX = """
import os, sys, threading, wx
app = wx.App()
frame = wx.Frame(None, title="hello")
frame.Show()
def fail():
    raise ValueError("bad value")
def read():
    sys.stdin.readline()
    wx.CallAfter(fail)
    sys.stdin.readline()
    wx.CallAfter(frame.Close)
threading.Thread(target=read, daemon=True).start()
app.MainLoop()
"""
GTK = """
import sys, threading, gi
gi.require_version("Gtk", "3.0")
from gi.repository import GLib, Gtk
window = Gtk.Window(title="hello")
window.show_all()
window.connect("destroy", Gtk.main_quit)
def fail():
    raise ValueError("bad value")
def read():
    sys.stdin.readline()
    GLib.idle_add(fail)
    sys.stdin.readline()
    GLib.idle_add(window.destroy)
threading.Thread(target=read, daemon=True).start()
Gtk.main()
"""
GLIB = (
    GTK.replace("Gtk.main()", "loop.run()")
    .replace("Gtk.main_quit", "lambda _: loop.quit()")
    .replace("window = ", "loop = GLib.MainLoop()\nwindow = ")
)
GIO = """
import sys, threading
from gi.repository import Gio, GLib
app = Gio.Application(flags=Gio.ApplicationFlags.NON_UNIQUE)
app.connect("activate", lambda app: app.hold())
def fail():
    raise ValueError("bad value")
def read():
    sys.stdin.readline()
    GLib.idle_add(fail)
    sys.stdin.readline()
    GLib.idle_add(app.quit)
threading.Thread(target=read, daemon=True).start()
app.run()
"""
SWALLOWING = {
    "qasync": (QASYNC, "qasync", "asyncio"),
    "wx": (WX, "wx", "gui"),
    "gtk": (GTK, "gi", "gui"),
    "glib": (GLIB, "gi", "gui"),
    "gio": (GIO, "gi", "gui"),
}


@pytest.mark.parametrize("name", SWALLOWING)
def test_a_toolkit_that_swallows_is_heard_and_its_quit_is_an_announced_end(name: str, tmp_path: Path) -> None:
    script, needs, source = SWALLOWING[name]
    with shown(name, script, needs, tmp_path) as process:
        assert process.stdin is not None
        health(tmp_path, lambda document: document["checks"]["main_loop"]["beats"] > 5)
        process.stdin.write("\n")
        process.stdin.flush()
        document = health(tmp_path, lambda document: bool(document["exceptions"]))
        (caught,) = document["exceptions"]
        assert (caught["source"], caught["message"]) == (source, "ValueError: bad value")
        _, err = process.communicate("\n", timeout=30)
    assert "ValueError: bad value" in err, "it is printed as before"
    assert process.returncode == 0
    journal = (tmp_path / "heartbeat.jsonl").read_text()
    assert '"status":"stopping"' in journal
    assert "main_loop_exited" not in journal


KIVY = """
from kivy.app import App
from kivy.base import ExceptionHandler, ExceptionManager
from kivy.clock import Clock
from kivy.uix.label import Label
class Passes(ExceptionHandler):
    def handle_exception(self, inst):
        return ExceptionManager.PASS
ExceptionManager.add_handler(Passes())
def fail(dt):
    raise ValueError("bad value")
class Passing(App):
    def build(self):
        Clock.schedule_once(fail, 0.5)
        return Label(text="x")
Passing().run()
"""


def test_what_a_handler_of_kivy_passes_is_heard(tmp_path: Path) -> None:
    with shown("kivy", KIVY, "kivy", tmp_path, KIVY_NO_FILELOG="1"):
        document = health(tmp_path, lambda document: bool(document["exceptions"]))
        (caught,) = document["exceptions"]
        assert (caught["source"], caught["message"]) == ("gui", "ValueError: bad value")


def test_what_leaves_pyglets_loop_is_a_crash(tmp_path: Path) -> None:
    with shown("pyglet", PYGLET, "pyglet", tmp_path) as process:
        health(tmp_path, lambda document: document["checks"]["main_loop"]["beats"] > 5)
        process.communicate("\n", timeout=30)
    assert "main_loop_crashed" in (tmp_path / "heartbeat.jsonl").read_text()


def test_a_pool_that_is_dropped_goes_at_once(tmp_path: Path) -> None:
    script = """
import asyncio, weakref
from concurrent.futures import ThreadPoolExecutor
async def main():
    pool = ThreadPoolExecutor()
    pool.submit(int).result()
    known = weakref.ref(pool)
    del pool
    print(known() is None, flush=True)
asyncio.run(main())
"""
    with executed(script, tmp_path) as process:
        out, err = process.communicate(timeout=30)
    assert (out, err) == ("True\n", "")


# --- the modes, and what cannot be watched ---


@pytest.mark.parametrize("name", ["plain", "pyside6", "imgui_bundle", "pygame"])
def test_an_app_that_is_wired_and_watched_as_well_has_one_agent(
    suite: Suite, name: str, pytester: pytest.Pytester
) -> None:
    app = APPS[name]
    app.skip_unless_it_can_run()
    conftest = pytester.path / "conftest.py"
    fixture = (
        f"\n@pytest.fixture(scope='session')\ndef live_gui_env():\n    return {app.all_environment()!r}\n"
    )
    conftest.write_text(conftest.read_text() + fixture)
    test = (
        BEATS
        + "    assert live_gui.health()['app'] == 'myapp'\n    assert live_gui.health()['checks']['main_loop']['frame_ms']['p50'] > 4\n"
    )
    files = {
        "test_a.py": test,
        "test_b.py": asks("crash boom") if name != "pyside6" else "",
        "test_c.py": RUNS_ON.format(generation=1 + (name != "pyside6")),
    }
    result = suite(files, ini=f"live_gui_command = {app.command()}\nlive_gui_inject = true")
    result.assert_outcomes(passed=2, failed=int(name != "pyside6"))


@needs_venv
def test_a_native_module_that_cannot_be_loaded_is_said_in_the_start_error(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    package = Path(livegui.__file__).parent
    copy = pytester.path / "elsewhere" / "livegui"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("_livegui.*", "__pycache__"))
    (copy / "_livegui.py").write_text("raise ImportError('wrong ELF class')")
    python = other_python(pytester.path)
    conftest = pytester.path / "conftest.py"
    conftest.write_text(
        conftest.read_text()
        + f"""
@pytest.fixture(scope="session")
def live_gui_env():
    return {{"PYTHONPATH": {str(copy.parent)!r}}}
"""
    )
    loop = "import asyncio; asyncio.run(asyncio.sleep(30))"
    ini = f"live_gui_command = {python} -c '{loop}'\nlive_gui_ready_timeout = 1"
    if os.name == "nt":
        ini = ini.replace("'", '"')
    result = suite({"test_a.py": "def test_it(live_gui):\n    pass\n"}, ini=ini)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [f"*not watched: ImportError: wrong ELF class: *{python} -m pip install livegui"]
    )


def test_a_toolkit_of_another_version_is_watched_as_far_as_it_can_be(tmp_path: Path) -> None:
    (tmp_path / "glfw.py").write_text("def poll_events():\n    pass\ndef post_empty_event():\n    pass\n")
    script = "import glfw, time\nwhile True:\n    glfw.poll_events()\n    time.sleep(0.01)\n"
    with executed(script, tmp_path, "--explain") as process:
        health(tmp_path, lambda document: document["checks"]["main_loop"]["beats"] > 5)
        process.kill()
        _, err = process.communicate(timeout=30)
    assert "livegui: patched glfw.poll_events" in err
    assert "livegui: not wired: there is no glfw.wait_events" in err


def test_a_loop_that_cannot_be_wired_runs_all_the_same_and_is_not_watched(tmp_path: Path) -> None:
    (tmp_path / "glfw.py").write_text("def poll_events():\n    pass\n")
    script = "import glfw, time\nwhile True:\n    glfw.poll_events()\n    time.sleep(0.01)\n"
    with executed(script, tmp_path, LIVEGUI_STARTUP_MS="500"):
        document = health(tmp_path, lambda document: document["uptime_ms"] > 1000)
        assert document["checks"]["main_loop"]["state"] == "not_watched"
        assert document["reasons"] == []
    assert "glfw's events is not watched: AttributeError" in (tmp_path / "injection.log").read_text()


@pytest.mark.parametrize("how", ["server.run()", "asyncio.run(server.serve())"])
def test_uvicorn_on_a_thread_that_cannot_serve_is_named(how: str, tmp_path: Path) -> None:
    script = """
import asyncio, socket, sys, threading, uvicorn
taken = socket.create_server(("127.0.0.1", 0))
async def app(scope, receive, send):
    pass
server = uvicorn.Server(uvicorn.Config(app, port=taken.getsockname()[1], log_level="critical"))
threading.Thread(target=lambda: HOW, name="hooks").start()
async def main():
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
asyncio.run(main())
"""
    if not MORE or not (Path(MORE) / "uvicorn").exists():
        not_here("uvicorn is not installed; `python3 dev.py test` does that")
    with executed(script.replace("HOW", how), tmp_path, PYTHONPATH=MORE):
        document = health(tmp_path, lambda document: document["status"] == "degraded")
        (reason,) = document["reasons"]
        assert (reason["code"], reason["component"]) == ("thread_died", "hooks")
        assert "SystemExit" in reason["message"]


# --- Dear ImGui, by other ways than run() ---

READS = """
import sys, threading, time
reader = threading.Thread(target=sys.stdin.readline)
reader.start()
"""
NEW_FRAME = (
    READS
    + """
from imgui_bundle import imgui
imgui.create_context()
io = imgui.get_io()
io.display_size = (100, 100)
io.set_ini_filename("")
io.backend_flags |= imgui.BackendFlags_.renderer_has_textures.value
while reader.is_alive():
    imgui.new_frame()
    imgui.end_frame()
    time.sleep(0.01)
imgui.new_frame()
imgui.end_child()
"""
)
MANUAL_RENDER = (
    READS
    + """
from imgui_bundle import hello_imgui, imgui, immapp
def gui():
    if not reader.is_alive():
        imgui.end_child()
params = hello_imgui.RunnerParams()
params.ini_disable = True
params.platform_backend_type = hello_imgui.PlatformBackendType.null
params.renderer_backend_type = hello_imgui.RendererBackendType.null
params.fps_idling.enable_idling = False
def allow_textures():
    imgui.get_io().backend_flags |= imgui.BackendFlags_.renderer_has_textures.value
params.callbacks.post_init = allow_textures
params.callbacks.show_gui = gui
WAY
"""
)
WAYS = {
    "new_frame": NEW_FRAME,
    "hello_imgui.manual_render": MANUAL_RENDER.replace(
        "WAY",
        "hello_imgui.manual_render.setup_from_runner_params(params)\nwhile True:\n    hello_imgui.manual_render.render()\n    time.sleep(0.01)",
    ),
    "immapp.manual_render": MANUAL_RENDER.replace(
        "WAY",
        "immapp.manual_render.setup_from_runner_params(params)\nwhile True:\n    immapp.manual_render.render()\n    time.sleep(0.01)",
    ),
    "immapp.run": MANUAL_RENDER.replace("WAY", "immapp.run(params, immapp.AddOnsParams())"),
    "by name": MANUAL_RENDER.replace("WAY", "hello_imgui.run(runner_params=params)"),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_assert_of_dear_imgui_is_a_crash_however_its_frames_are_made(way: str, tmp_path: Path) -> None:
    with executed(WAYS[way], tmp_path) as process:
        health(tmp_path, lambda document: document["checks"]["main_loop"]["beats"] > 5)
        process.communicate("\n", timeout=30)
    assert process.returncode != 0
    assert "main_loop_crashed" in (tmp_path / "heartbeat.jsonl").read_text()
