"""Coroutines that a stopped test has given to a loop in another thread: they end, and the loop goes on."""

from __future__ import annotations

import os

import pytest
from plain_suites import NO_TRIO, Suite, beside, under_wine

#: pytest warns of what ends a thread.
UNHANDLED = "error::pytest.PytestUnhandledThreadExceptionWarning"
ASYNC = ["pytest", "pytest-asyncio", "anyio", "trio", "uvloop", "greenlet"]

#: A loop in a thread of a session fixture, in which a task of the fixture runs, and anyio's portals.
LOOPS = """
import asyncio, os, pathlib, threading, time, pytest

class Loop:
    def __init__(self):
        if os.environ.get("LOOP") == "uvloop":
            from uvloop import new_event_loop
        else:
            from asyncio import new_event_loop
        self.ticks, self.loop = 0, new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True, name="of the fixture").start()
        self.call(self.tick)

    def call(self, function, *arguments):
        return asyncio.run_coroutine_threadsafe(function(*arguments), self.loop)

    async def tick(self):
        while True:
            self.ticks += 1
            await asyncio.sleep(0.02)

    def goes_on(self):
        before, deadline = self.ticks, time.monotonic() + 20
        while self.ticks < before + 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return True

@pytest.fixture(scope="session")
def other(live_gui):
    return Loop()

@pytest.fixture(scope="session", params=[os.environ.get("PORTAL", "asyncio")])
def portal(live_gui, request):
    from anyio.from_thread import start_blocking_portal
    with start_blocking_portal(request.param) as portal:
        yield portal

def hit():
    pathlib.Path("hits").open("a").write("x")

async def hits():
    try:
        while True:
            hit()
            await asyncio.sleep(0.02)
    finally:
        await asyncio.sleep(0.3)
        pathlib.Path("cleaned up").touch()

async def hits_in_trio():
    import trio
    try:
        while True:
            hit()
            await trio.sleep(0.02)
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.3)
        pathlib.Path("cleaned up").touch()
"""
SEVERAL = """
    other.call(hits)
    other.call(lambda: asyncio.wait_for(hits(), 99))
    other.call(makes_another).result()
    {more}
    app.do("crash boom")"""
#: What the culprit starts, and in which loops. (uvloop does not list its callbacks.)
STARTS = {
    ("several", "asyncio"): SEVERAL.format(
        more="other.loop.call_soon_threadsafe(again); portal.start_task_soon(hits)"
    ),
    ("several", "uvloop"): SEVERAL.format(more=""),
    ("several", "trio"): "for _ in range(3): portal.start_task_soon(hits_in_trio)\n    app.do('crash boom')",
    ("its own function", "asyncio"): "other.call(inner); app.do('crash boom')",
    ("its own function", "uvloop"): "other.call(inner); app.do('crash boom')",
    ("waits for the portal", "asyncio"): "portal.call(crashes)",
    ("waits for the portal", "trio"): "portal.call(crashes)",
}


@pytest.mark.parametrize(("starts", "loop"), STARTS)
def test_what_the_culprit_runs_in_a_loop_of_a_fixture_ends_and_the_loop_goes_on(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, starts: str, loop: str
) -> None:
    if starts == "waits for the portal" and os.name == "nt":
        pytest.skip("nothing interrupts Future.result() there")
    if loop == "uvloop" and os.name == "nt":
        pytest.skip("there is no uvloop for Windows")
    if loop == "trio" and under_wine():
        pytest.skip(NO_TRIO)
    monkeypatch.setenv("PYTHONPATH", str(beside("async", ASYNC)))
    monkeypatch.setenv("LOOP", loop)
    monkeypatch.setenv("PORTAL", "trio" if loop == "trio" else "asyncio")
    test = f"""
import asyncio, pathlib, time, shared
from shared import hit, hits, hits_in_trio

class LacksEverything(asyncio.AbstractEventLoop):
    pass

no_loop = LacksEverything()

async def makes_another():
    global kept
    kept = asyncio.create_task(hits())

def test_culprit(app, other, portal):
    async def inner():
        while True:
            deadline = time.monotonic() + 0.1
            while time.monotonic() < deadline:  # nearly always in a step of it
                hit()
            await asyncio.sleep(0.001)
    def again():
        hit()
        other.loop.call_later(0.02, again)
    async def crashes():
        app.do("crash boom")
        await {"hits_in_trio" if loop == "trio" else "hits"}()
    {STARTS[starts, loop]}
    time.sleep(30)
"""
    after = f"""
import pathlib, time

def test_next(other, portal, live_gui):
    before = pathlib.Path("hits").read_text()
    time.sleep(0.2)
    assert pathlib.Path("hits").read_text() == before
    assert pathlib.Path("cleaned up").exists() == {starts != "its own function"}
    assert other.goes_on()
    assert portal.call(int, "2") == 2
    assert live_gui.generation == 2
"""
    files = {"shared.py": LOOPS, "test_a.py": test, "test_b.py": after}
    result = suite(files, "-p", "shared", "-p", "no:xdist", ini="pythonpath = .")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.no_fnmatch_line("*test_culprit left * running*")


def test_a_thread_of_the_culprit_that_runs_uvloop_ends(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.name == "nt":
        pytest.skip("there is no uvloop for Windows")
    monkeypatch.setenv("PYTHONPATH", str(beside("async", ASYNC)))
    test = """
import asyncio, threading, time, uvloop

async def sleeps():
    begun.set()
    await asyncio.sleep(60)

def runs():
    loop = uvloop.new_event_loop()
    loop.run_until_complete(sleeps())

begun, thread = threading.Event(), threading.Thread(target=runs)

def test_culprit(app):
    thread.start()
    begun.wait(60)
    app.do("crash boom")
    time.sleep(30)
"""
    after = "import test_a\n\ndef test_next(live_gui):\n    assert not test_a.thread.is_alive()\n"
    result = suite({"test_a.py": test, "test_b.py": after}, "-W", UNHANDLED, ini="pythonpath = .")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.no_fnmatch_line("*test_culprit left * running*")


def test_a_task_of_a_nursery_that_cannot_be_cancelled_alone_is_named(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    if under_wine():
        pytest.skip(NO_TRIO)
    monkeypatch.setenv("PYTHONPATH", str(beside("async", ASYNC)))
    nursery = """
import queue, threading, pytest, trio

async def opens(found):
    async with trio.open_nursery() as nursery:
        found(nursery, trio.lowlevel.current_trio_token())
        await trio.sleep_forever()

@pytest.fixture(scope="session")
def start_soon(live_gui):
    found = queue.Queue()
    threading.Thread(target=trio.run, args=(opens, lambda *both: found.put(both)), daemon=True).start()
    nursery, token = found.get(timeout=60)
    return lambda *args, **kwargs: trio.from_thread.run_sync(
        lambda: nursery.start_soon(*args, **kwargs), trio_token=token
    )
"""
    test = """
import time, trio

async def sleeps():
    await trio.sleep(60)

def test_culprit(app, start_soon):
    start_soon(sleeps, name="the sleeper")
    app.do("crash boom")
    time.sleep(30)
"""
    after = """
import queue, trio

async def puts(found):
    found(1)

def test_next(start_soon):
    found = queue.Queue()
    start_soon(puts, found.put)
    assert found.get(timeout=60)
"""
    files = {"shared.py": nursery, "test_a.py": test, "test_b.py": after}
    result = suite(files, "-p", "shared", "-p", "no:xdist", ini="pythonpath = .")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["test_a.py::test_culprit left the sleeper running: *ends with that"])


def test_a_task_in_a_loop_that_stands_still_is_named(suite: Suite) -> None:
    test = """
import asyncio, threading, time

begun = threading.Event()

async def sleeps():
    asyncio.current_task().set_name("the sleeper")
    begun.set()
    time.sleep(7)

def test_culprit(app, other):
    other.call(sleeps)
    begun.wait(60)
    app.do("crash boom")
    time.sleep(30)
"""
    after = "def test_next(other):\n    assert other.goes_on()\n"
    files = {"shared.py": LOOPS, "test_a.py": test, "test_b.py": after}
    result = suite(files, "-p", "shared", "-p", "no:xdist", ini="pythonpath = .")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        ["test_a.py::test_culprit left the sleeper running: the loop * did not turn*"]
    )


def test_a_task_that_a_package_has_started_there_goes_on_and_is_named(suite: Suite) -> None:
    package = """
import asyncio

async def reads():
    while True:
        await asyncio.sleep(0.02)

async def connects():
    global reader
    reader = asyncio.create_task(reads(), name="the reader")
"""
    test = """
import time, package

def test_culprit(app, other):
    other.call(package.connects).result()
    app.do("crash boom")
    time.sleep(30)
"""
    after = """
import package

def test_next(other):
    assert other.goes_on() and not package.reader.done()
"""
    files = {"shared.py": LOOPS, "site-packages/package.py": package, "test_a.py": test, "test_b.py": after}
    result = suite(files, "-p", "shared", "-p", "no:xdist", ini="pythonpath = . site-packages")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["test_a.py::test_culprit left the reader running: *a package may need it"])
