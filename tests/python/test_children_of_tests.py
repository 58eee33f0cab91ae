"""Child processes of a test that is stopped: they end after its tear-down. Those of others go on."""

from __future__ import annotations

import pytest
from plain_suites import HELPERS, Suite, beside, unless_windows

#: What the suites below share: processes that run for long, and who still runs.
HELPER = """
import os, pathlib, subprocess, sys, time
from plain_suites import is_running

LONG = [sys.executable, "-c", "import time; time.sleep(99)"]
STUBBORN = [sys.executable, "-c",
    "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "pathlib.Path('stubborn').touch(); time.sleep(99)"]

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
NO_PLUGINS = ("-p", "no:xdist")


def test_what_the_culprit_has_started_runs_until_its_tear_down_is_over_and_then_ends(suite: Suite) -> None:
    starts = """
import asyncio, multiprocessing, os, subprocess, threading, time, pytest
from concurrent.futures import ProcessPoolExecutor
import helper

MINE = {"popen", "dropped", "shell", "by_thread", "by_pool", "asyncio", "fork", "spawn", "pool", "executor"}

@pytest.fixture
def looks_at_the_end(live_gui):
    yield
    assert helper.running() >= MINE | OTHERS, helper.running()

async def in_a_loop():
    child = await asyncio.create_subprocess_exec(*helper.LONG)
    helper.note("asyncio", child.pid)
    return child

def by_thread(name):
    helper.note(name, subprocess.Popen(helper.LONG).pid)

def test_healthy(live_gui, server, pool, threads):
    helper.note("healthy", subprocess.Popen(helper.LONG).pid)
    helper.note("server", server.pid)

def test_culprit(app, looks_at_the_end, pool, threads):
    global kept
    popen = subprocess.Popen(helper.LONG)
    helper.note("popen", popen.pid)
    helper.note("dropped", subprocess.Popen(helper.LONG).pid)
    helper.note("shell", subprocess.Popen(subprocess.list2cmdline(helper.LONG), shell=True).pid)
    thread = threading.Thread(target=by_thread, args=["by_thread"])
    thread.start()
    thread.join()
    threads.submit(by_thread, "by_pool").result()
    child = asyncio.run(in_a_loop())
    for kind in ("fork", "spawn") if os.name == "posix" else ("spawn",):
        process = multiprocessing.get_context(kind).Process(target=helper.sleeps, daemon=True)
        process.start()
        helper.note(kind, process.pid)
    own = multiprocessing.Pool(1)
    own.apply_async(helper.sleeps, ["pool"])
    executor = ProcessPoolExecutor(1)
    executor.submit(helper.sleeps, "executor")
    kept = [popen, child, own, executor]
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
    if not hasattr(pytest, "x") and unless_windows.args[0]:
        starts = starts.replace('"fork", ', "")
    files = {
        "helper.py": HELPER,
        "shared.py": conftest,
        "test_a.py": starts.replace("OTHERS", '{"healthy", "server", "worker"}'),
        "test_b.py": after,
    }
    result = suite(files, "-p", "shared", *NO_PLUGINS, ini=INI)
    result.assert_outcomes(failed=1, passed=2)
    result.stdout.fnmatch_lines(["test_a.py::test_culprit left processes *running, so livegui ended them*"])
