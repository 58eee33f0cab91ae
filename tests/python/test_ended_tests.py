"""Ends of tests that once did harm themselves: kept fixtures, tasks and threads that went on, lost verdicts."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from in_flight import UVLOOP
from plain_suites import CRASH_IN_SECOND_OF_THREE, NO_TRIO, PASSES, Suite, beside, under_wine, unless_windows

PYTESTS = {"7.4": "pytest==7.4.*", "8.4": "pytest==8.4.*", "newest": "pytest"}
ASYNC = ["pytest", "pytest-asyncio", "anyio", "trio", "uvloop", "greenlet"]
INI = "pythonpath = .\nasyncio_default_fixture_loop_scope = session"

#: A fixture that several files use, as in a suite's conftest.py.
PROJECT = """
import pathlib, time, pytest

@pytest.fixture(scope={scope!r})
def project(request, live_gui):
    request.addfinalizer(lambda: pathlib.Path("finalizers").open("a").write("x"))
    if not pathlib.Path("crashed").exists():
        pathlib.Path("crashed").touch()
        state = live_gui.generation_folder / "state"
        (state / "draft").write_text("crash boom")
        (state / "draft").rename(state / "command")
        {wait}
    return live_gui.generation
"""
USES_PROJECT = "def test_it(project, live_gui):\n    assert project == live_gui.generation == 2\n"
SLEEPS = "time.sleep(30)"
ASKS = "assert [1 for _ in iter(live_gui.is_healthy, False)] == 0, 'an ordinary failure'"


@pytest.fixture(params=PYTESTS)
def every_pytest(request: pytest.FixtureRequest, suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.setenv("PYTHONPATH", str(beside(f"pytest-{request.param}", [PYTESTS[request.param]])))
    return suite


@pytest.fixture
def async_suite(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.setenv("PYTHONPATH", str(beside("async", ASYNC)))
    return suite


# --- fixtures that a crash ended ------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["class", "module", "session"])
@pytest.mark.parametrize(
    ("wait", "ini"), [(SLEEPS, ""), (ASKS, "live_gui_abort = false")], ids=["told", "asked"]
)
def test_a_fixture_whose_set_up_crashed_the_app_is_set_up_anew_in_the_next_file(
    every_pytest: Suite, pytester: pytest.Pytester, scope: str, wait: str, ini: str
) -> None:
    files = {
        "plug.py": PROJECT.format(scope=scope, wait=wait),
        "test_a.py": USES_PROJECT,
        "test_b.py": USES_PROJECT,
    }
    result = every_pytest(files, "-p", "plug", "-p", "no:xdist", ini=f"{ini}\n{INI.splitlines()[0]}")
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(["*the app degraded during this test*", "*main_loop_crashed*boom*"])
    assert (pytester.path / "finalizers").read_text() == "xx"


def test_with_a_fresh_process_for_the_next_test_the_same_file_goes_on(
    every_pytest: Suite, pytester: pytest.Pytester
) -> None:
    second = USES_PROJECT.replace("test_it", "test_second")
    files = {"plug.py": PROJECT.format(scope="session", wait=SLEEPS), "test_a.py": USES_PROJECT + second}
    result = every_pytest(
        files, "-p", "plug", "-p", "no:xdist", ini="live_gui_respawn = test\npythonpath = ."
    )
    result.assert_outcomes(errors=1, passed=1)
    assert (pytester.path / "finalizers").read_text() == "xx"


def test_a_fixture_that_was_refused_in_a_victim_is_set_up_in_the_next_file(every_pytest: Suite) -> None:
    plug = """
import pytest

@pytest.fixture(scope="session")
def number(request):
    return request.getfixturevalue("live_gui").generation
"""
    victim = "\ndef test_unsuspecting(request):\n    request.getfixturevalue('number')\n"
    uses = "def test_it(request):\n    assert request.getfixturevalue('number') == 2\n"
    files = {"plug.py": plug, "test_a.py": CRASH_IN_SECOND_OF_THREE + victim, "test_b.py": uses}
    victim_too = "\ndef test_by_name(number):\n    pass\n"
    files["test_a.py"] += victim_too
    result = every_pytest(files, "-p", "plug", "-p", "no:xdist", ini="pythonpath = .")
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] == 2, result.stdout.str()  # test_first, and the next file


def test_a_test_that_asks_for_a_fixture_on_the_app_by_name_does_not_run_after_a_crash(
    every_pytest: Suite,
) -> None:
    plug = """
import pytest

@pytest.fixture(scope="module")
def connection(live_gui):
    return live_gui.hook_port

@pytest.fixture
def client(connection):
    return connection
"""
    asks = "\ndef test_{}(request):\n    request.getfixturevalue('client')\n"
    crashes = asks.format("connects") + CRASH_IN_SECOND_OF_THREE + asks.format("asks")
    files = {"plug.py": plug, "test_a.py": crashes, "test_b.py": asks.format("next")}
    result = every_pytest(files, "-p", "plug", "-p", "no:xdist", ini="pythonpath = .")
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] == 3, result.stdout.str()  # test_connects, test_first and the next file
    result.stdout.fnmatch_lines(["FAILED *test_asks - *did not run*"])


def test_a_finalizer_that_fails_is_an_error_of_the_culprit_s_tear_down(suite: Suite) -> None:
    plug = PROJECT.format(scope="session", wait=SLEEPS).replace(
        "    if not pathlib", "    request.addfinalizer(lambda: 1 / 0)\n    if not pathlib", 1
    )
    files = {"plug.py": plug, "test_a.py": USES_PROJECT, "test_b.py": "def test_b(live_gui):\n    pass\n"}
    result = suite(files, "-p", "plug", ini="pythonpath = .")
    result.assert_outcomes(errors=2, passed=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_it*", "*ZeroDivisionError*"])


# --- what goes on after the report ----------------------------------------------------------------

SESSION_LOOP = """
import asyncio, pathlib, time, pytest
pytestmark = pytest.mark.asyncio(loop_scope="{scope}")

async def test_it(app, live_gui):
    if live_gui.generation == 1:
        async def goes_on():
            await asyncio.sleep(0.5)
            pathlib.Path("late").touch()
        task = asyncio.create_task(goes_on())
        app.do("crash boom")
        for _ in range(10):
            await asyncio.sleep(0.1)
        pathlib.Path("late").touch()
    await asyncio.sleep(1.2)
    assert not pathlib.Path("late").exists()
"""


@pytest.mark.parametrize("scope", ["function", "module", "session"])
def test_no_task_of_the_culprit_goes_on_in_the_next_file(async_suite: Suite, scope: str) -> None:
    test = SESSION_LOOP.format(scope=scope)
    result = async_suite({"test_a.py": test, "test_b.py": test}, "-p", "no:xdist", ini=INI)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["> * await asyncio.sleep(0.1)", "*the app degraded during this test*"])


@pytest.mark.parametrize("library", ["asyncio", "uvloop"])
def test_a_task_that_cleans_up_does_so_before_the_next_test(async_suite: Suite, library: str) -> None:
    if library == "uvloop" and os.name == "nt":
        pytest.skip("there is no uvloop for Windows")
    test = """
import asyncio, pathlib, pytest
pytestmark = pytest.mark.asyncio(loop_scope="session")

async def cleans_up():
    try:
        await asyncio.sleep(30)
    finally:
        await asyncio.sleep(0.5)
        pathlib.Path("cleaned_up").touch()

async def test_culprit(app):
    task = asyncio.create_task(cleans_up())
    await asyncio.sleep(0)
    app.do("crash boom")
    await asyncio.sleep(30)
"""
    after = """
import pathlib, pytest
pytestmark = pytest.mark.asyncio(loop_scope="session")

async def test_next(live_gui):
    assert live_gui.generation == 2
    assert pathlib.Path("cleaned_up").exists()
"""
    plug = "import pytest\n" + UVLOOP if library == "uvloop" else ""
    files = {"plug.py": plug, "test_a.py": test, "test_b.py": after}
    result = async_suite(files, "-p", "plug", "-p", "no:xdist", ini=INI)
    assert result.parseoutcomes()["passed"] == 1, result.stdout.str()
    result.stdout.no_fnmatch_line("*went on when it was cancelled*")


def test_a_callback_of_the_culprit_does_not_run_in_the_next_file(async_suite: Suite) -> None:
    test = """
import asyncio, pathlib, pytest
pytestmark = pytest.mark.asyncio(loop_scope="session")

async def test_culprit(app):
    def again():
        pathlib.Path("calls").open("a").write("x")
        asyncio.get_running_loop().call_later(0.05, again)
    again()
    app.do("crash boom")
    await asyncio.sleep(30)
"""
    after = """
import asyncio, pathlib, pytest
pytestmark = pytest.mark.asyncio(loop_scope="session")

async def test_next(live_gui):
    before = pathlib.Path("calls").read_text()
    await asyncio.sleep(0.3)
    assert pathlib.Path("calls").read_text() == before
"""
    result = async_suite({"test_a.py": test, "test_b.py": after}, "-p", "no:xdist", ini=INI)
    result.assert_outcomes(failed=1, passed=1)


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_a_fixture_that_is_nearly_always_in_code_of_its_loop_leaves_that_usable(
    async_suite: Suite, library: str
) -> None:
    files = {
        "conftest.py": f"""
import anyio, pytest, time

@pytest.fixture(scope="session")
def anyio_backend():
    return "{library}"

@pytest.fixture(scope="session")
async def runs_for_the_session(anyio_backend):
    yield

@pytest.fixture(scope="session")
def state(live_gui):
    return lambda: live_gui.generation_folder / "state"

@pytest.fixture(scope="module")
async def polls(state, live_gui, runs_for_the_session):
    (state() / "draft").write_text("crash boom")
    (state() / "draft").rename(state() / "command")
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            await anyio.sleep(0)
        except BaseException:
            pass
    yield
"""
    }
    test = "import pytest\n\n@pytest.mark.anyio\nasync def test_it(polls, live_gui):\n    pass\n"
    files |= {f"test_{name}.py": test for name in "abcd"}
    async_suite(files, "-p", "no:xdist", ini=INI).assert_outcomes(errors=4)


def test_a_task_that_catches_what_cancels_it_is_named(async_suite: Suite) -> None:
    test = """
import asyncio, time, pytest
pytestmark = pytest.mark.asyncio(loop_scope="session")

async def stubborn():
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            pass

async def test_culprit(app):
    task = asyncio.create_task(stubborn(), name="the stubborn one")
    app.do("crash boom")
    await asyncio.sleep(30)
"""
    after = "def test_next(live_gui):\n    assert live_gui.generation == 2\n"
    result = async_suite({"test_a.py": test, "test_b.py": after}, "-p", "no:xdist", ini=INI)
    assert result.parseoutcomes()["passed"] == 1
    result.stdout.fnmatch_lines(["test_a.py::test_culprit left the stubborn one running: *stubborn*"])


OLDER = {
    "7.4": ["pytest==7.4.*", "pytest-asyncio==0.23.*", "anyio", "trio"],
    "8.4": ["pytest==8.4.*", "pytest-asyncio", "anyio", "trio"],
}


@pytest.mark.parametrize("version", OLDER)
@pytest.mark.parametrize("library", ["asyncio", "anyio-asyncio", "anyio-trio"])
def test_older_pytests_and_their_async_plugins(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester, version: str, library: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(beside(f"async-{version}", OLDER[version])))
    test = """
import anyio, pathlib, pytest
pytestmark = MARK

async def test_it(app, live_gui, resource):
    if live_gui.generation == 1:
        app.do("crash boom")
        for _ in range(10):
            await anyio.sleep(0.1)
        pathlib.Path("late").touch()
    await anyio.sleep(1.2)
    assert not pathlib.Path("late").exists()
"""
    plug = """
import anyio, pytest_asyncio, pytest

@pytest.fixture(scope="session")
def anyio_backend():
    return BACKEND

@FIXTURE
async def resource(anyio_backend):
    await anyio.sleep(0.01)
    yield
    await anyio.sleep(0.01)
"""
    backend = library.partition("-")[2] or "asyncio"
    if library == "asyncio":
        mark = "pytest.mark.asyncio(%s='session')" % ("scope" if version == "7.4" else "loop_scope")
        fixture = "pytest_asyncio.fixture(scope='session')"
    else:
        mark, fixture = "pytest.mark.anyio", "pytest.fixture(scope='session')"
    plug = plug.replace("BACKEND", repr(backend)).replace("FIXTURE", fixture)
    test = test.replace("MARK", mark)
    with (pytester.path / "conftest.py").open("a") as conftest:
        conftest.write(plug)
    files = {"test_a.py": test, "test_b.py": test}
    ini = "pythonpath = ." if version == "7.4" else INI
    result = suite(files, "-p", "no:xdist", ini=ini)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*await anyio.sleep(0.1)", "*the app degraded during this test*"])


def test_a_task_of_a_session_fixture_is_not_the_test_s(async_suite: Suite, pytester: pytest.Pytester) -> None:
    plug = """
import asyncio, pytest_asyncio

@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ticks(live_gui):
    seen = []
    async def tick():
        while True:
            seen.append(1)
            await asyncio.sleep(0.05)
    task = asyncio.create_task(tick())
    yield seen
    task.cancel()
"""
    test = SESSION_LOOP.format(scope="session").replace("(app, live_gui)", "(app, live_gui, ticks)")
    test += "    before = len(ticks)\n    await asyncio.sleep(0.3)\n    assert len(ticks) > before\n"
    files = {"plug.py": plug, "test_a.py": test, "test_b.py": test}
    async_suite(files, "-p", "plug", "-p", "no:xdist", ini=INI).assert_outcomes(failed=1, passed=1)


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_a_loop_that_the_test_itself_runs_is_ended_with_all_that_runs_in_it(
    async_suite: Suite, pytester: pytest.Pytester, library: str
) -> None:
    if library == "trio" and under_wine():
        pytest.skip(NO_TRIO)
    test = f"""
import pathlib, time, anyio

async def waits(app=None):
    try:
        if app is not None:
            app.do("crash boom")
        await anyio.sleep(30)
    finally:
        pathlib.Path("cleared").open("a").write("x")

async def main(app):
    async with anyio.create_task_group() as group:
        group.start_soon(waits)
        await anyio.sleep(0.01)
        await waits(app)

def test_culprit(app):
    anyio.run(main, app, backend={library!r})
"""
    result = async_suite({"test_a.py": test, "test_b.py": PASSES}, "-p", "no:xdist", ini=INI)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*the app degraded during this test*"])
    assert "TrioInternalError" not in result.stdout.str()
    assert (pytester.path / "cleared").read_text() == "xx"


GROUPS = """
import anyio, pytest

@pytest.fixture(scope="session")
def anyio_backend():
    return {library!r}

@pytest.fixture(scope="session")
async def services(anyio_backend, live_gui):
    async with anyio.create_task_group() as group:
        yield group
        group.cancel_scope.cancel()

@pytest.fixture
async def own_services(anyio_backend, live_gui):
    async with anyio.create_task_group() as group:
        yield group
        group.cancel_scope.cancel()

@pytest.fixture
async def limited(anyio_backend, live_gui):
    with anyio.fail_after(20):
        yield
"""


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_fixtures_may_hold_task_groups_and_cancel_scopes_while_the_tests_run(
    async_suite: Suite, pytester: pytest.Pytester, library: str
) -> None:
    if library == "trio" and under_wine():
        pytest.skip(NO_TRIO)
    test = """
import anyio, pytest
pytestmark = pytest.mark.anyio

async def works():
    await anyio.sleep(30)

async def test_first(live_gui, services, own_services, limited):
    await anyio.sleep(0)

async def test_culprit(app, services, own_services, limited):
    services.start_soon(works)
    app.do("crash boom")
    await anyio.sleep(20)
"""
    after = """
import anyio, pytest
pytestmark = pytest.mark.anyio

async def test_next(live_gui, services, own_services, limited):
    await anyio.sleep(0)
"""
    with (pytester.path / "conftest.py").open("a") as conftest:
        conftest.write(GROUPS.format(library=library))
    result = async_suite({"test_a.py": test, "test_b.py": after}, "-p", "no:xdist", ini=INI)
    result.assert_outcomes(failed=1, passed=2)
    result.stdout.fnmatch_lines(["> * await anyio.sleep(20)", "*the app degraded during this test*"])
    result.stdout.fnmatch_lines(["test_a.py::test_culprit left *works running: *a task group of a fixture*"])


@pytest.mark.parametrize("imports", ["", "import asyncio"], ids=["alone", "with asyncio loaded"])
@pytest.mark.parametrize("ini", ["", "live_gui_abort = false"], ids=["told", "asked"])
def test_a_suite_may_drive_its_coroutines_itself(
    suite: Suite, pytester: pytest.Pytester, imports: str, ini: str
) -> None:
    drives = """
import inspect, time, pytest

@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if inspect.iscoroutinefunction(pyfuncitem.obj):
        names = pyfuncitem._fixtureinfo.argnames
        coroutine = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
        try:
            while True:
                coroutine.send(None)
                time.sleep(0.01)
        except StopIteration:
            return True
"""
    test = f"""
import time, types
{imports}

@types.coroutine
def pause():
    yield

async def test_healthy(live_gui):
    for _ in range(3):
        await pause()

async def test_culprit(app):
    app.do("crash boom")
    for _ in range({100 if ini else 2000}):
        await pause()
"""
    with (pytester.path / "conftest.py").open("a") as conftest:
        conftest.write(drives)
    result = suite({"test_a.py": test}, "-p", "no:asyncio", "-p", "no:anyio", ini=ini)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*the app degraded during this test*"])


@pytest.mark.parametrize("method", ["test_it", "asyncSetUp", "asyncTearDown"])
def test_an_isolated_async_test_is_ended_wherever_it_awaits(
    suite: Suite, pytester: pytest.Pytester, method: str
) -> None:
    test = """
import asyncio, pathlib, unittest, pytest

class TestIt(unittest.IsolatedAsyncioTestCase):
    @pytest.fixture(autouse=True)
    def keep(self, app):
        self.app = app

    async def asyncSetUp(self):
        await self.waits("asyncSetUp")

    async def asyncTearDown(self):
        pathlib.Path("torn down").touch()
        await self.waits("asyncTearDown")

    async def test_it(self):
        await self.waits("test_it")

    async def waits(self, method):
        if method == METHOD:
            self.app.do("crash boom")
            await asyncio.sleep(30)
"""
    result = suite({"test_a.py": test.replace("METHOD", repr(method)), "test_b.py": PASSES}, "--durations=0")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*the app degraded during this test*"])
    assert (pytester.path / "torn down").exists() == (method != "asyncSetUp")


@unless_windows
def test_the_threads_of_a_parallel_run_end_with_the_test(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(beside("parallel", ["pytest", "pytest-run-parallel"])))
    test = """
import pathlib, time

def test_culprit(app):
    app.do("crash boom")
    for _ in range(100):
        time.sleep(0.1)
    pathlib.Path("late").touch()
"""
    after = """
import pathlib, time, pytest

@pytest.mark.parallel_threads(1)
def test_next(live_gui):
    time.sleep(0.5)
    assert live_gui.generation == 2 and not pathlib.Path("late").exists()
"""
    result = suite({"test_a.py": test, "test_b.py": after}, "--parallel-threads=4", "-p", "no:xdist")
    assert result.parseoutcomes()["passed"] == 1, result.stdout.str()
    result.stdout.fnmatch_lines(["PARALLEL FAILED test_a.py::test_culprit*"])
    assert "SystemExit" not in result.stdout.str()


HELPER = """
import asyncio, pathlib, threading, time

def hit():
    pathlib.Path("hits").open("a").write("x")

def works():
    while True:
        time.sleep(0.05)
        hit()

async def awaits():
    while True:
        await asyncio.sleep(0.05)
        hit()

class Worker(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)

    def run(self):
        works()
"""
STARTS = {
    "helper": "threading.Thread(target=helper.works, daemon=True).start()",
    "class": "helper.Worker().start()",
    "timer": "timer = threading.Timer(1.5, helper.hit); timer.daemon = True; timer.start()",
    "loop": "threading.Thread(target=asyncio.run, args=(helper.awaits(),), daemon=True).start()",
    "by a thread": "threading.Thread(target=lambda: helper.Worker().start(), daemon=True).start()",
    "older pool": "POOL.submit(helper.works)",
}


@pytest.mark.parametrize("starts", STARTS)
def test_what_the_culprit_started_on_threads_ends_with_it_wherever_its_code_is(
    suite: Suite, starts: str
) -> None:
    test = f"""
import asyncio, threading, time, helper
from concurrent.futures import ThreadPoolExecutor

POOL = ThreadPoolExecutor(1)

def test_first(live_gui):
    POOL.submit(time.sleep, 0).result()  # its thread is older than the culprit

def test_culprit(app):
    {STARTS[starts]}
    app.do("crash boom")
    time.sleep(30)
"""
    after = """
import pathlib, time

def hits():
    return pathlib.Path("hits").read_text() if pathlib.Path("hits").exists() else ""

def test_next(live_gui):
    before = hits()
    time.sleep(1.5 if not before else 0.3)
    assert hits() == before
    import test_a
    assert test_a.POOL.submit(int, "2").result(5) == 2, "the pool itself goes on"
"""
    files = {"helper.py": HELPER, "test_a.py": test, "test_b.py": after}
    result = suite(files, "-p", "no:xdist", ini="pythonpath = .")
    result.assert_outcomes(failed=1, passed=2)
    result.stdout.no_fnmatch_line("*did not end within*")


TOLD_AT_ONCE = {
    "to_thread": "asyncio.run(asyncio.to_thread(works))",
    "greenlet": "greenlet.greenlet(works).switch()",
}


@pytest.mark.parametrize("runs", TOLD_AT_ONCE)
def test_a_loop_that_waits_for_a_thread_and_a_greenlet_of_the_test_are_ended_at_once(
    async_suite: Suite, pytester: pytest.Pytester, runs: str
) -> None:
    test = f"""
import asyncio, pathlib, time, greenlet

def test_culprit(app):
    def works():
        for _ in range(60):
            time.sleep(0.1)
        pathlib.Path("late").touch()
    app.do("crash boom")
    {TOLD_AT_ONCE[runs]}
"""
    result = async_suite({"test_a.py": test, "test_b.py": PASSES}, "-p", "no:xdist", ini=INI)
    result.assert_outcomes(failed=1, passed=1)
    assert not (pytester.path / "late").exists()


def test_a_thread_that_does_not_end_is_named(suite: Suite) -> None:
    test = """
import threading, time

def sleeps():
    time.sleep(7)

def test_culprit(app):
    threading.Thread(target=sleeps, name="sleeper", daemon=True).start()
    app.do("crash boom")
    time.sleep(30)
"""
    result = suite({"test_a.py": test, "test_b.py": PASSES})
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "test_a.py::test_culprit left thread sleeper running at test_a.py:5 in sleeps: it did not end within 5 s*"
        ]
    )


def test_a_thread_of_a_session_fixture_is_not_the_test_s(suite: Suite) -> None:
    test = """
import threading, time, pytest

ticks = []

def tick():
    while True:
        ticks.append(1)
        time.sleep(0.05)

@pytest.fixture(scope="module", autouse=True)
def ticking(live_gui):
    threading.Thread(target=tick, daemon=True).start()

def test_culprit(app):
    app.do("crash boom")
    time.sleep(30)

def test_after():
    before = len(ticks)
    time.sleep(0.5)
    assert len(ticks) > before
"""
    suite({"test_a.py": test}, ini="live_gui_respawn = test").assert_outcomes(failed=1, passed=1)


@unless_windows
def test_a_pool_that_is_waited_for_starts_no_more_and_the_report_says_what_held_it_up(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    test = """
import pathlib, time
from concurrent.futures import ThreadPoolExecutor

def work(number):
    pathlib.Path(f"work {number}").touch()
    time.sleep(2)

def test_culprit(app):
    with ThreadPoolExecutor(2) as pool:
        for number in range(8):
            pool.submit(work, number)
        app.do("crash boom")
        time.sleep(30)
"""
    result = suite({"test_a.py": test, "test_b.py": PASSES})
    result.assert_outcomes(failed=1, passed=1)
    assert len(list(pytester.path.glob("work *"))) == 2
    result.stdout.re_match_lines(
        [
            r"test_a.py::test_culprit: its verdict was held up for \d+\.\d s by test_a.py:\d+ in test_culprit, which waits in .*__exit__\(\)"
        ]
    )


@unless_windows
def test_a_pool_of_processes_that_is_waited_for_starts_no_more(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    helper = """
import pathlib, time

def work(number):
    pathlib.Path(f"work {number}").touch()
    time.sleep(1)
"""
    test = """
import time, helper
from concurrent.futures import ProcessPoolExecutor

def test_culprit(app):
    with ProcessPoolExecutor(1) as pool:
        for number in range(8):
            pool.submit(helper.work, number)
        app.do("crash boom")
        time.sleep(30)
"""
    files = {"helper.py": helper, "test_a.py": test, "test_b.py": PASSES}
    result = suite(files, "-p", "no:xdist", ini="pythonpath = .")
    result.assert_outcomes(failed=1, passed=1)
    assert len(list(pytester.path.glob("work *"))) <= 4  # what runs, and what its queue holds already


HUB = """
import pathlib, time, greenlet, pytest

class Hub:
    def __init__(self):
        self.fiber = greenlet.greenlet(self.loop)

    def loop(self, who, until):
        while True:
            while time.monotonic() < until:
                time.sleep(0.01)
            who, until = who.switch()

    def sleep(self, seconds):
        self.fiber.switch(greenlet.getcurrent(), time.monotonic() + seconds)

@pytest.fixture(scope="session")
def hub():
    return Hub()
"""


def test_a_greenlet_whose_body_is_the_loop_lives_on_and_the_test_s_own_is_told(async_suite: Suite) -> None:
    test = """
def test_culprit(app, hub):
    app.do("crash boom")
    for _ in range(100):
        hub.sleep(0.1)

def test_next(live_gui, hub):
    hub.sleep(0.2)
    assert live_gui.generation == 2
"""
    files = {"plug.py": HUB, "test_a.py": test}
    result = async_suite(files, "-p", "plug", "-p", "no:xdist", ini=f"live_gui_respawn = test\n{INI}")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["> * hub.sleep(0.1)", "*the app degraded during this test*"])


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_playwright_s_sync_api_is_ended_at_once_and_goes_on_in_the_next_file(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(beside("playwright", ["playwright"])))
    plug = """
import pytest
from playwright.sync_api import sync_playwright

@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()

@pytest.fixture
def page(browser):
    page = browser.new_page()
    yield page
    page.close()
"""
    test = """
def test_culprit(page, app):
    page.set_content("<p>one</p>")
    app.do("crash boom")
    page.wait_for_selector("#never", timeout=30_000)

def test_victim(page, app):
    raise AssertionError("this must not run")
"""
    after = """
def test_next(page, live_gui):
    page.set_content("<p id=it>two</p>")
    assert page.text_content("#it") == "two" and live_gui.generation == 2
"""
    files = {"plug.py": plug, "test_a.py": test, "test_b.py": after}
    result = suite(files, "-p", "plug", "-p", "no:xdist", ini="pythonpath = .")
    result.assert_outcomes(failed=1, errors=1, passed=1)
    result.stdout.fnmatch_lines(["> * page.wait_for_selector(*", "*the app degraded during this test*"])


# --- tests that end already -----------------------------------------------------------------------


@unless_windows
@pytest.mark.parametrize("ends", ["pytest.exit('enough')", "os.kill(os.getpid(), signal.SIGINT)"])
def test_who_ends_the_run_ends_it_also_if_the_app_degrades_while_the_test_cleans_up(
    suite: Suite, ends: str
) -> None:
    test = f"""
import os, signal, time, pytest

def test_culprit(app, live_gui):
    try:
        {ends}
        time.sleep(30)
    finally:
        app.do("crash boom")
        while live_gui.is_healthy():
            time.sleep(0.01)
        time.sleep(0.3)
        print("it has cleaned up")
"""
    result = suite({"test_a.py": test, "test_b.py": PASSES}, "-s", "-p", "no:xdist")
    assert result.ret == pytest.ExitCode.INTERRUPTED, result.stdout.str()
    result.stdout.fnmatch_lines(["*it has cleaned up*"])
    result.stdout.no_fnmatch_line("*test_b.py*PASSED*")


def test_the_failure_of_a_test_is_shown_if_the_app_degrades_while_the_test_cleans_up(suite: Suite) -> None:
    test = """
import time

def test_culprit(app, live_gui):
    try:
        assert 0, "its own failure"
    finally:
        app.do("crash boom")
        while live_gui.is_healthy():
            time.sleep(0.01)
        time.sleep(0.3)
        print("it has cleaned up")
"""
    result = suite({"test_a.py": test, "test_b.py": PASSES}, "-s", "-p", "no:xdist")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*it has cleaned up*"])
    result.stdout.fnmatch_lines(["*AssertionError: its own failure*", "*the app degraded during this test*"])


def test_a_poll_whose_try_has_a_finally_is_ended_at_once(suite: Suite, pytester: pytest.Pytester) -> None:
    test = """
import pathlib, time

def test_culprit(app, live_gui):
    app.do("crash boom")
    for _ in range(60):
        try:
            try:
                assert 0, "not yet"
            finally:
                time.sleep(0.1)
        except AssertionError:
            pass
    pathlib.Path("late").touch()
"""
    result = suite({"test_a.py": test, "test_b.py": PASSES})
    result.assert_outcomes(failed=1, passed=1)
    assert not (pytester.path / "late").exists()


@unless_windows
def test_a_test_that_was_interrupted_has_not_passed(suite: Suite) -> None:
    test = """
import os, signal, time

def test_culprit(app):
    app.do("hang 3")
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)
"""
    result = suite({"test_a.py": test}, "-p", "no:xdist", ini="live_gui_abort = false")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["test_a.py::test_culprit left the main loop standing *(blamed by inference)"]
    )
    result.stdout.no_fnmatch_line("*it had passed*")


# --- the last tear-down ---------------------------------------------------------------------------

TEARS_DOWN = """
import time, pytest

@pytest.fixture(scope={scope!r})
def project(live_gui):
    yield
    state = live_gui.generation_folder / "state"
    (state / "draft").write_text("crash boom")
    (state / "draft").rename(state / "command")
    {wait}

def test_culprit(project):
    pass
"""
POLLS = """deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            time.sleep(0.1)
        except Exception:
            pass"""
GOES_ON = """while live_gui.health()["status"] == "ok":
        pass"""


@pytest.mark.parametrize("scope", ["function", "module", "session"])
@pytest.mark.parametrize("wait", [POLLS, GOES_ON], ids=["polls", "goes on"])
@pytest.mark.parametrize("options", [[], ["-n1"]], ids=["alone", "xdist"])
def test_a_crash_in_the_tear_down_of_the_last_test_is_an_error(
    suite: Suite, scope: str, wait: str, options: list[str]
) -> None:
    result = suite({"test_a.py": TEARS_DOWN.format(scope=scope, wait=wait)}, *options)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_culprit*", "*main_loop_crashed*boom*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("scope", ["function", "module", "session"])
def test_an_app_that_is_asked_to_end_in_the_last_tear_down_is_no_error(suite: Suite, scope: str) -> None:
    wait = "live_gui.process.wait(10)" if scope == "session" else "pass"
    test = TEARS_DOWN.format(scope=scope, wait=wait).replace(
        "crash boom", "stop" if scope == "session" else "nothing"
    )
    suite({"test_a.py": test}).assert_outcomes(passed=1)


@pytest.mark.parametrize("options", [[], ["-n1"]], ids=["alone", "xdist"])
def test_a_run_does_not_pass_whose_records_name_a_culprit_that_no_report_tells_of(
    suite: Suite, pytester: pytest.Pytester, options: list[str]
) -> None:
    # The last test does not use the app, so nobody asks it in its tear-down.
    conftest = """
@pytest.fixture(scope="session")
def client(live_gui):
    state = live_gui.generation_folder / "state"
    yield
    (state / "draft").write_text("crash boom")
    (state / "draft").rename(state / "command")
    time.sleep(1)
"""
    with (pytester.path / "conftest.py").open("a") as file:
        file.write(conftest)
    test = "def test_uses(client):\n    pass\n\ndef test_plain():\n    pass\n"
    result = suite({"test_a.py": test}, *options)
    result.stdout.fnmatch_lines(
        [
            "the app crashed and no test failed of it, so this run did not pass: test_a.py::test_uses: main_loop_crashed*"
        ]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (record,) = (pytester.path / ".livegui").glob("*/run.json")
    assert json.loads(record.read_text())["generations"][0]["culprit"]["test"] == "test_a.py::test_uses"


# --- who collects errors --------------------------------------------------------------------------

COLLECTS = """
import contextlib, pathlib, time, unittest, pytest

@contextlib.contextmanager
def collected():
    try:
        yield
    except BaseException as error:
        pathlib.Path("collected").open("a").write(type(error).__name__ + " ")

class TestUnit(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def keep(self, app):
        self.app = app

    def test_unit(self):
        self.app.do("crash boom")
        for number in range(3):
            with self.subTest(number=number):
                time.sleep(20)
        pathlib.Path("late").touch()

def test_fixture(app, subtests):
    app.do("crash boom")
    for number in range(3):
        with subtests.test(number=number):
            time.sleep(20)
    pathlib.Path("late").touch()

def test_quick(app, live_gui, subtests):
    app.do("crash boom")
    for number in range(3):
        with subtests.test(number=number):
            assert [1 for _ in iter(live_gui.is_healthy, False)] == 0, "it is dead"
    pathlib.Path("late").touch()

def test_own(app):
    app.do("crash boom")
    for _ in range(3):
        with collected():
            time.sleep(20)
    time.sleep(20)
    pathlib.Path("late").touch()
"""


@pytest.mark.parametrize("version", ["8.4", "newest"])
def test_who_collects_errors_gets_no_second_chance(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester, version: str
) -> None:
    packages = [PYTESTS[version], *(["pytest-subtests"] if version == "8.4" else [])]
    name = "subtests-8.4" if version == "8.4" else "pytest-newest"  # which has subtests of its own
    monkeypatch.setenv("PYTHONPATH", str(beside(name, packages)))
    result = suite(
        {"test_a.py": COLLECTS}, "-p", "no:xdist", ini="live_gui_respawn = test\nlive_gui_max_respawns = 9"
    )
    result.assert_outcomes(failed=4)
    failures, _, _summary = result.stdout.str().partition("short test summary info")  # in full under CI
    assert failures.count("livegui.errors.GuiDegraded: main_loop_crashed: RuntimeError") == 4
    for bad in ("SUBFAIL", "Aborted", "INTERNALERROR"):
        assert bad not in result.stdout.str().upper().replace("ABORTED", "Aborted"), bad
    assert not (pytester.path / "late").exists()


@unless_windows
def test_who_collects_errors_on_a_thread_of_the_culprit_gets_no_second_chance(
    suite: Suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(beside("pytest-newest", [PYTESTS["newest"]])))
    test = """
import pathlib, threading, time

def test_culprit(app, subtests):
    def works():
        for number in range(3):
            with subtests.test(number=number):
                for _ in range(20):
                    time.sleep(0.05)
        pathlib.Path("late").touch()

    thread = threading.Thread(target=works)
    thread.start()
    app.do("crash boom")
    thread.join()
"""
    result = suite({"test_a.py": test, "test_b.py": PASSES}, "-p", "no:xdist")
    result.assert_outcomes(failed=1, passed=1)
    for bad in ("SUBFAILED", "SystemExit", "Aborted"):
        assert bad not in result.stdout.str(), bad
    assert not (pytester.path / "late").exists()


def test_a_fixture_can_use_the_handle_in_its_tear_down_after_a_skipped_test(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    test = """
import pathlib, time, pytest

@pytest.fixture(scope="module")
def client(live_gui):
    yield live_gui.pid
    assert live_gui.is_alive() and live_gui.generation == 2, "the next process, as between tests"
    pathlib.Path("torn_down").touch()

def test_crash(app, client):
    app.do("crash boom")
    time.sleep(30)

@pytest.mark.skip
def test_skipped(client):
    pass
"""
    suite({"test_a.py": test, "test_b.py": PASSES}).assert_outcomes(failed=1, skipped=1, passed=1)
    assert (pytester.path / "torn_down").exists()
