"""The suites of the matrix of in-flight verdicts: a phase, a scope, who runs the test, and what it waits in."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import dataclass

PHASES = ["setup", "call", "teardown"]
SCOPES = ["function", "class", "module", "session"]
RUNNERS = ["sync", "asyncio", "trio", "uvloop", "greenlet", "unittest", "subtests", "threads"]
WAITS = ["sleep", "poll", "stubborn poll", "await", "lock"]

#: What a wait may take before it is told, seconds; a sleep that nobody interrupts is LONG.
AT_ONCE = 0.1
LONG = 8.0
#: The stubborn poll catches everything, also what ends it, for so long.
STUBBORN = 2.0


@dataclass(frozen=True)
class Cell:
    """One case."""

    phase: str
    scope: str
    runner: str
    wait: str

    def __str__(self) -> str:
        return "-".join([self.phase, self.scope, self.runner, self.wait]).replace(" ", "_")

    @property
    def is_async(self) -> bool:
        """Whether the code that waits is a coroutine."""
        return self.runner in ("asyncio", "trio", "uvloop") or (
            self.runner == "unittest" and self.wait == "await"
        )

    def why_not(self) -> str | None:
        """Why there is no such case."""
        if self.wait == "await" and not self.is_async and self.runner != "greenlet":
            return f"nothing can be awaited in {self.runner}"
        if self.runner == "subtests" and self.phase != "call":
            return "subtests are parts of a test's call"
        if self.runner == "unittest" and self.scope == "session":
            return "unittest has no fixtures of a session"
        if (
            self.runner == "unittest"
            and self.wait == "await"
            and self.phase != "call"
            and self.scope != "function"
        ):
            return "unittest awaits in asyncSetUp and asyncTearDown only, which are of one test"
        return None

    @property
    def ends_by_itself(self) -> bool:
        """Whether nothing can end the wait, so that it is a shorter one."""
        # See docs/platforms.md: on Windows nothing reaches into a lock, nor a thread that waits for others.
        is_deaf = sys.platform == "win32" and (self.wait == "lock" or self.runner == "threads")
        return is_deaf or (self.runner == "threads" and self.wait in ("sleep", "lock"))

    def limit(self) -> float:
        """Until when the verdict has to be there, seconds after the crash."""
        if self.wait == "stubborn poll":
            return STUBBORN  # it ends when it likes
        return LONG / 2 if self.ends_by_itself else AT_ONCE


CONFTEST = """
import pathlib, sys, threading, time, pytest

HERE = pathlib.Path(__file__).parent

def note(what):
    with open(HERE / "times", "a") as file:
        file.write(f"{time.monotonic()} {what}\\n")

class App:
    def __init__(self, live_gui):
        self.live_gui = live_gui

    def crash_once(self):
        if not (HERE / "crashed").exists():
            (HERE / "crashed").touch()
            state = self.live_gui.run_folder / f"gen-{self.live_gui.generation}" / "state"
            (state / "draft").write_text("crash boom")
            note("crash")
            (state / "draft").rename(state / "command")
            return True
        return False

@pytest.fixture(scope="session")
def app(live_gui):
    return App(live_gui)

def pytest_runtest_logreport(report):
    if report.failed:
        note(f"report {report.when} {report.nodeid}")

@pytest.fixture(scope="SCOPE")
def outer(app):
    yield
    note("outer cleared up")
"""

ASYNCIO = """
import asyncio, pytest_asyncio
"""

UVLOOP = """
import uvloop

@pytest.fixture(scope="session")
def event_loop_policy():
    return uvloop.EventLoopPolicy()
"""

TRIO = """
@pytest.fixture(scope="session")
def anyio_backend():
    return "trio"

@pytest.fixture(scope="session")
async def runs_for_the_session(anyio_backend):
    yield
"""

#: Of the shape of Playwright's sync API: asyncio's loop runs in a greenlet of its own.
GREENLET = """
import asyncio, greenlet

class Hub:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.end = self.loop.create_future()
        self.fiber = greenlet.greenlet(lambda: self.loop.run_until_complete(self.end))

    def sleep(self, seconds):
        me = greenlet.getcurrent()
        task = self.loop.create_task(asyncio.sleep(seconds))
        task.add_done_callback(lambda _: me.switch())
        while not task.done():
            self.fiber.switch()
        asyncio._set_running_loop(self.loop)
        return task.result()

@pytest.fixture(scope="session")
def hub():
    hub = Hub()
    yield hub
    asyncio._set_running_loop(None)
"""


def _wait(cell: Cell) -> str:
    """Statements that wait, and leave a note whenever they go on."""
    nap = {"greenlet": "hub.sleep(0.05)", "trio": "await anyio.sleep(0.05)"}.get(
        cell.runner, "time.sleep(0.05)"
    )
    if cell.is_async and cell.runner != "trio":
        nap = "await asyncio.sleep(0.05)"
    long = LONG / 2 if cell.ends_by_itself or cell.runner == "threads" else LONG
    forever = nap.replace("0.05", str(long))
    poll = "deadline = time.monotonic() + {limit}\nwhile time.monotonic() < deadline:\n    try:\n        {nap}\n    except {error}:\n        pass\n    note('goes on')\n"
    return {
        "sleep": f"time.sleep({long})\nnote('goes on')\n",
        "poll": poll.format(limit=long, nap=nap, error="Exception"),
        "stubborn poll": poll.format(limit=STUBBORN, nap=nap, error="BaseException"),
        "await": f"{forever}\nnote('goes on')\n",
        "lock": f"lock = threading.Lock()\nlock.acquire()\nlock.acquire(timeout={long})\nnote('goes on')\n",
    }[cell.wait]


def _indent(text: str, by: int = 4) -> str:
    return textwrap.indent(text, " " * by)


def _crash(cell: Cell, app: str = "app") -> str:
    """Statements that crash the app and wait."""
    wait = _wait(cell)
    if cell.runner == "threads":
        wait = f"def wait():\n{_indent(wait)}thread = threading.Thread(target=wait)\nthread.start()\nthread.join()\n"
    if cell.runner == "subtests":
        wait = f"for number in range(3):\n    with subtests.test(number=number):\n{_indent(wait, 8)}note('goes on')\n"
    return f"if {app}.crash_once():\n{_indent(wait)}"


IMPORTS = "import threading, time, unittest, pytest\nfrom conftest import note\n"


def suite(cell: Cell) -> dict[str, str]:
    """The files of its suite: in ``test_a.py`` the app is crashed, ``test_b.py`` is the next file."""
    if cell.runner == "unittest":
        return _unittest_suite(cell)
    conftest = CONFTEST.replace("SCOPE", cell.scope)
    imports, marks, kind, fixture = IMPORTS, "", "def", f"@pytest.fixture(scope={cell.scope!r})"
    arguments = ["app", "outer", "request"]
    if cell.runner in ("asyncio", "uvloop"):
        conftest += ASYNCIO + (UVLOOP if cell.runner == "uvloop" else "")
        imports += "import asyncio, pytest_asyncio\n"
        marks, kind = 'pytestmark = pytest.mark.asyncio(loop_scope="session")\n', "async def"
        fixture = f"@pytest_asyncio.fixture(scope={cell.scope!r}, loop_scope='session')"
    if cell.runner == "trio":
        conftest += TRIO
        imports += "import anyio\n"
        marks, kind = "pytestmark = pytest.mark.anyio\n", "async def"
        arguments.append("runs_for_the_session")
    if cell.runner == "greenlet":
        conftest += GREENLET
        arguments.append("hub")
    crash = _indent(_crash(cell))
    during = {phase: crash if cell.phase == phase else "" for phase in PHASES}
    project = f"""
{fixture}
{kind} project({", ".join(arguments)}):
    request.addfinalizer(lambda: note("project cleared up"))
{during["setup"]}
    yield
{during["teardown"]}
"""
    beside = [argument for argument in arguments if argument not in ("request", "outer")]
    if cell.runner == "subtests":
        beside.append("subtests")
    test = f"""
class TestIt:
    {kind} test_it(self, project, {", ".join(beside)}):
{_indent(during["call"]) or "        pass"}
"""
    nap = "await anyio.sleep(0.6)" if cell.runner == "trio" else "await asyncio.sleep(0.6)"
    nap = (
        nap if kind == "async def" else ("hub.sleep(0.6)" if cell.runner == "greenlet" else "time.sleep(0.6)")
    )
    after = f"""
class TestNext:
    {kind} test_next(self, project, {", ".join(beside)}):
        {nap}
        assert app.live_gui.is_healthy()
"""
    conftest += imports.replace("from conftest import note\n", "") + project
    return {
        "conftest.py": conftest,
        "test_a.py": imports + marks + test,
        "test_b.py": imports + marks + after,
    }


def _unittest_suite(cell: Cell) -> dict[str, str]:
    """unittest's own fixtures: setUp() and its like, of a test, a class and a module."""
    conftest = CONFTEST.replace("SCOPE", cell.scope if cell.scope != "function" else "class")
    conftest += """
@pytest.fixture(scope="session", autouse=True)
def everywhere(app):
    global APP
    APP = app
"""
    crash = _crash(cell, "conftest.APP")
    is_async = cell.is_async
    base = "unittest.IsolatedAsyncioTestCase" if is_async else "unittest.TestCase"
    kind = "async def" if is_async else "def"
    names = {
        "function": ("asyncSetUp" if is_async else "setUp", "asyncTearDown" if is_async else "tearDown"),
        "class": ("setUpClass", "tearDownClass"),
        "module": ("setUpModule", "tearDownModule"),
    }[cell.scope]
    of = {"setup": names[0], "teardown": names[1]}.get(cell.phase)
    module = classwide = method = ""
    body = _indent(crash) if of else ""
    if of and cell.scope == "module":
        module = f"def {of}():\n{body}"
    elif of and cell.scope == "class":
        classwide = f"    @classmethod\n    def {of}(cls):\n{_indent(body)}"
    elif of:
        method = f"    {kind} {of}(self):\n{_indent(body)}"
    call = _indent(crash, 8) if cell.phase == "call" else "        pass\n"
    test = f"""
{module}
@pytest.mark.usefixtures("outer", "live_gui")
class TestIt({base}):
{classwide}
{method}
    {kind} test_it(self):
{call}
"""
    after = """
@pytest.mark.usefixtures("outer", "live_gui")
class TestNext(unittest.TestCase):
    def test_next(self):
        time.sleep(0.6)
        assert conftest.APP.live_gui.is_healthy()
"""
    imports = IMPORTS + "import asyncio, conftest\n"
    return {"conftest.py": conftest, "test_a.py": imports + test, "test_b.py": imports + after}
