"""Child processes of a test that is stopped: they end after its tear-down. Those of others go on."""

from __future__ import annotations

import pytest
from plain_suites import HELPERS, Suite, beside, is_running, unless_windows

#: What the suites below share: processes that run for long, and who still runs.
HELPER = """
import os, pathlib, subprocess, sys, time
from plain_suites import is_running

LONG = [sys.executable, "-c", "import time; time.sleep(99)"]
STUBBORN = [sys.executable, "-c",
    "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "pathlib.Path('stubborn').touch(); time.sleep(99)"]
stubborn = pathlib.Path("stubborn")

def note(name, pid):
    with pathlib.Path("pids").open("a") as file:
        file.write(f"{name} {pid}\\n")

def noted():
    return dict(line.split() for line in pathlib.Path("pids").read_text().splitlines())

def sleeps(name=None):
    if name:
        note(name, os.getpid())
    time.sleep(99)

def until(is_so):
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)

def running():
    return {name for name, pid in noted().items() if is_running(int(pid))}
"""
INI = f"{HELPERS} ."
ALONE = ("-p", "no:xdist")


def test_what_the_culprit_has_started_runs_until_its_tear_down_is_over_and_then_ends(suite: Suite) -> None:
    starts = """
import asyncio, multiprocessing, os, subprocess, threading, time, pytest
from concurrent.futures import ProcessPoolExecutor
import helper

POSIX = os.name == "posix"
KINDS = ["fork", "spawn"] if POSIX else ["spawn"]
MINE = {"popen", "by_thread", "by_pool", "asyncio", "pool", "executor", *KINDS}
MINE |= {"dropped", "shell"} if POSIX else set()
kept = []
OTHERS = {"healthy", "server", "worker"}

@pytest.fixture
def looks_at_the_end(live_gui):
    yield
    assert helper.running() >= MINE | OTHERS, helper.running()

async def in_a_loop():
    child = await asyncio.create_subprocess_exec(*helper.LONG)
    helper.note("asyncio", child.pid)
    return child

def by_thread(name):
    kept.append(subprocess.Popen(helper.LONG))
    helper.note(name, kept[-1].pid)

def test_healthy(live_gui, server, pool, threads):
    helper.note("healthy", subprocess.Popen(helper.LONG).pid)
    helper.note("server", server.pid)

def test_culprit(app, looks_at_the_end, pool, threads):
    by_thread("popen")
    if POSIX:
        helper.note("dropped", subprocess.Popen(helper.LONG).pid)
        shell = subprocess.Popen(f"true; {subprocess.list2cmdline(helper.LONG)}; true", shell=True, start_new_session=True)
        helper.note("shell", shell.pid)
    thread = threading.Thread(target=by_thread, args=["by_thread"])
    thread.start()
    thread.join()
    threads.submit(by_thread, "by_pool").result()
    child = asyncio.run(in_a_loop())
    for kind in KINDS:
        process = multiprocessing.get_context(kind).Process(target=helper.sleeps, daemon=True)
        process.start()
        helper.note(kind, process.pid)
    own = multiprocessing.Pool(1)
    own.apply_async(helper.sleeps, ["pool"])
    executor = ProcessPoolExecutor(1)
    executor.submit(helper.sleeps, "executor")
    kept.extend([child, own, executor])
    helper.note("worker", pool.submit(os.getpid).result())
    helper.until(lambda: {"pool", "executor"} <= helper.noted().keys())
    app.do("crash boom")
    time.sleep(30)
"""
    conftest = """
import subprocess, pytest, helper
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

@pytest.fixture(scope="session")
def server(live_gui):
    with subprocess.Popen(helper.LONG) as server:
        yield server
        server.kill()

@pytest.fixture(scope="session")
def pool(live_gui):
    with ProcessPoolExecutor(1) as pool:
        yield pool

@pytest.fixture(scope="session")
def threads(live_gui):
    with ThreadPoolExecutor(1) as pool:
        yield pool
"""
    after = """
import os, signal, subprocess
import helper

def test_next(live_gui, pool):
    assert live_gui.generation == 2
    assert helper.running() == {"healthy", "server", "worker"}
    assert pool.submit(os.getpid).result() == int(helper.noted()["worker"])
    os.kill(int(helper.noted()["healthy"]), signal.SIGTERM)
"""
    files = {
        "helper.py": HELPER,
        "shared.py": conftest,
        "test_a.py": starts,
        "test_b.py": after,
    }
    result = suite(files, "-p", "shared", *ALONE, ini=INI)
    result.assert_outcomes(failed=1, passed=2)
    result.stdout.fnmatch_lines(["test_a.py::test_culprit left processes *running, so livegui ended them*"])


def test_what_a_package_has_started_goes_on_and_is_named(suite: Suite) -> None:
    package = """
import subprocess, helper

kept = []

def start():
    kept.append(subprocess.Popen(helper.LONG))
    return kept[0]
"""
    test = """
import time, helper, package

def test_culprit(app):
    helper.note("driver", package.start().pid)
    app.do("crash boom")
    time.sleep(30)
"""
    after = """
import os, signal, helper

def test_next(live_gui):
    assert helper.running() == {"driver"}
    os.kill(int(helper.noted()["driver"]), signal.SIGTERM)
"""
    files = {"helper.py": HELPER, "site-packages/package.py": package, "test_a.py": test, "test_b.py": after}
    result = suite(files, *ALONE, ini=f"{INI} site-packages")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "test_a.py::test_culprit left process * (*time.sleep(99)) running: a package started it and may need it*"
        ]
    )


def test_the_driver_of_playwright_goes_on_and_is_named(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(beside("playwright", ["playwright"])))
    test = """
import time
from playwright.sync_api import sync_playwright

def test_culprit(app):
    global playwright
    playwright = sync_playwright().start()
    app.do("crash boom")
    time.sleep(30)
"""
    after = """
def test_next(live_gui):
    from test_a import playwright
    playwright.request.new_context().dispose()  # the driver answers
    playwright.stop()
"""
    result = suite({"test_a.py": test, "test_b.py": after}, *ALONE, ini=INI)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        ["test_a.py::test_culprit left process * (*playwright*) running: a package *"]
    )


@unless_windows
def test_in_the_last_test_too_a_child_that_refuses_to_end_is_killed_and_named(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    test = """
import os, subprocess, sys, time, pytest
import helper

@pytest.fixture(scope="session")
def server(live_gui, request):
    global kept
    kept = subprocess.Popen(helper.STUBBORN)
    helper.note("server", kept.pid)
    request.addfinalizer(lambda: helper.note("found", os.getpid()) if helper.running() else None)
    helper.until(helper.stubborn.exists)
    state = live_gui.generation_folder / "state"
    (state / "draft").write_text("crash boom")
    (state / "draft").rename(state / "command")
    time.sleep(30)

def test_culprit(server):
    pass
"""
    result = suite({"helper.py": HELPER, "test_a.py": test}, *ALONE, ini=INI)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["test_a.py::test_culprit left process * running, so livegui asked it to end and killed it 5 s later"]
    )
    noted = dict(line.split() for line in (pytester.path / "pids").read_text().splitlines())
    assert "found" in noted, "its finalizer runs first"
    assert not is_running(int(noted["server"]))


#: How a test may wait for a child of its own while it is stopped, and how long that may take.
WAITS = {
    "with": (20, "with subprocess.Popen(helper.LONG):"),
    "executor": (20, "with executes(helper.sleeps):"),
    "pool": (20, "with multiprocessing.Pool(1) as own, started(own.apply_async, helper.sleeps):"),
    "thread": (20, "with ThreadPoolExecutor(1) as own, started(own.submit, subprocess.call, helper.LONG):"),
    "stubborn": (
        20,
        "with subprocess.Popen(helper.STUBBORN), started(helper.until, helper.stubborn.exists):",
    ),
    "join": (40, "with joined(multiprocessing.Process(target=helper.sleeps)):"),
}


@unless_windows
def test_a_child_for_which_the_culprit_waits_does_not_hold_the_verdict_up(suite: Suite) -> None:
    test = """
import contextlib, multiprocessing, subprocess, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
import helper

@contextlib.contextmanager
def joined(process):
    process.start()
    try:
        yield
    finally:
        process.join()

@contextlib.contextmanager
def started(how, *arguments):
    how(*arguments)
    yield

@contextlib.contextmanager
def executes(work):
    with ProcessPoolExecutor(1) as pool:
        pool.submit(work)
        yield

def crash(app):
    global crashed
    crashed = time.monotonic()
    app.do("crash boom")
    time.sleep(30)
"""
    files = {"helper.py": HELPER}
    for name, (limit, how) in WAITS.items():
        files[f"test_{name}.py"] = f"""{test}
def test_culprit(app):
    {how}
        crash(app)

def test_after(live_gui):
    assert time.monotonic() - crashed < {limit}
"""
    result = suite(files, "-n3", "--dist=loadfile", ini=f"{INI}\nlive_gui_respawn = test")
    result.assert_outcomes(failed=len(WAITS), passed=len(WAITS))
    for name in WAITS.keys() - {"pool", "thread"}:  # these may end it by themselves
        result.stdout.fnmatch_lines([f"test_{name}.py::test_culprit * process *"])


@unless_windows
def test_what_the_test_ends_itself_is_left_to_it(suite: Suite, pytester: pytest.Pytester) -> None:
    helper = """
import pathlib, signal, sys, time

def on_term(*_):
    pathlib.Path("asked").open("a").write("x")
    time.sleep(1)
    pathlib.Path("saved").touch()
    sys.exit()

signal.signal(signal.SIGTERM, on_term)
pathlib.Path("ready").touch()
time.sleep(99)
"""
    test = """
import pathlib, subprocess, sys, time
import helper

def test_culprit(app):
    child = subprocess.Popen([sys.executable, "child.py"])
    try:
        helper.until(pathlib.Path("ready").exists)
        app.do("crash boom")
        time.sleep(30)
    finally:
        child.terminate()
        child.wait()
"""
    files = {"child.py": helper, "helper.py": HELPER, "test_a.py": test}
    suite(files, *ALONE, ini=INI).assert_outcomes(failed=1)
    assert (pytester.path / "saved").exists()
    assert (pytester.path / "asked").read_text() == "x", "nobody else has asked it"
