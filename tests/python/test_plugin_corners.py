"""The plugin where set-ups, tear-downs, skips, other runners and other people's files come in."""

from __future__ import annotations

import json
import socket
import sys
import time

import pytest
from plain_suites import CRASH_IN_SECOND_OF_THREE, HELPERS, PASSES, Suite, is_running


def test_a_crash_in_the_set_up_that_starts_the_app_fails_it_at_once(suite: Suite) -> None:
    test = """
import time, pytest

@pytest.fixture
def project(app):
    app.do("crash boom")
    time.sleep(60)

def test_culprit(project):
    pass
"""
    result = suite({"test_a.py": test, "test_b.py": PASSES})
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(["*the app degraded during this test*"])


@pytest.mark.parametrize(
    "ends", ["", "\n    while True:\n        try: time.sleep(1)\n        except Exception: break"]
)
def test_a_crash_in_a_tear_down_ends_what_waits_there_and_the_other_fixtures_are_cleared_up(
    suite: Suite, ends: str
) -> None:
    test = f"""
import pathlib, time, pytest

@pytest.fixture
def outer():
    yield
    time.sleep(0.1)
    pathlib.Path("outer").touch()

@pytest.fixture
def project(outer, app):
    yield
    app.do("crash boom"){ends or "; time.sleep(60)"}

@pytest.fixture
def inner(project):
    yield
    pathlib.Path("inner").touch()

def test_culprit(inner):
    pass
"""
    after = (
        PASSES
        + """
def test_torn_down():
    import pathlib
    assert pathlib.Path('outer').exists() and pathlib.Path('inner').exists()
"""
    )
    result = suite({"test_a.py": test, "test_b.py": after})
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_culprit*", "*main_loop_crashed*"])


def test_the_tear_down_of_a_test_that_has_failed_already_is_left_alone(suite: Suite) -> None:
    test = """
import pathlib, time, pytest

@pytest.fixture
def container(app):
    yield
    time.sleep(0.5)
    pathlib.Path("stopped").touch()

def test_culprit(container, app):
    app.do("crash boom")
    time.sleep(60)
"""
    after = "def test_stopped():\n    import pathlib; assert pathlib.Path('stopped').exists()\n"
    suite({"test_a.py": test, "test_b.py": after}).assert_outcomes(failed=1, passed=1)


def test_a_test_that_asks_for_the_app_by_name_is_looked_after_as_well(suite: Suite) -> None:
    test = """
import time, pytest

@pytest.fixture
def by_name(request):
    return request.getfixturevalue("live_gui")

@pytest.fixture
def do(by_name):
    def do(what):
        folder = by_name.run_folder / f"gen-{by_name.generation}" / "state"
        by_name.is_alive()
        (folder / "draft").write_text(what)
        (folder / "draft").rename(folder / "command")
    return do

def test_first(do):
    do("nothing")

def test_culprit(do):
    do("crash boom")
    time.sleep(60)

def test_victim(do):
    do("nothing")
"""
    result = suite({"test_a.py": test, "test_b.py": PASSES})
    outcomes = result.parseoutcomes()
    # The victim is refused in its set-up, as soon as one of its fixtures has led to the app.
    assert outcomes == {"passed": 2, "failed": 1, "errors": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            "*did not run: test_culprit left the app degraded*",
            "*the app degraded during this test*",
        ]
    )


@pytest.mark.parametrize("wait", ["live_gui.process.wait()", "live_gui.wait_until_ok(60); time.sleep(60)"])
def test_a_test_that_waits_in_the_handle_is_failed_too(suite: Suite, wait: str) -> None:
    test = f"""
import time

def test_culprit(app, live_gui):
    app.do("crash boom")
    {wait}
"""
    suite({"test_a.py": test}).assert_outcomes(failed=1)


def test_a_test_that_is_skipped_is_no_victim_and_gets_no_process(suite: Suite) -> None:
    skipped = """
import pytest

@pytest.mark.skip(reason="not today")
def test_skipped(app):
    pass
"""
    files = {"test_a.py": CRASH_IN_SECOND_OF_THREE + skipped, "test_b.py": skipped, "test_c.py": PASSES}
    result = suite(files)
    result.assert_outcomes(passed=2, failed=1, errors=1, skipped=2)
    result.stdout.fnmatch_lines(["test_c.py  fresh process (generation 2)*"])
    result.stdout.no_fnmatch_line("test_b.py  fresh process*")


def test_who_ends_the_run_ends_it_whatever_the_app_s_state(suite: Suite) -> None:
    test = """
import pytest

def test_exit(app, live_gui):
    app.do("crash boom")
    while live_gui.health()["status"] == "ok":
        pass
    pytest.exit("the gui is dead", 7)

def test_never(app):
    pass
"""
    result = suite({"test_a.py": test}, ini="live_gui_abort = false")
    assert result.ret == 7
    result.stdout.fnmatch_lines(["*the gui is dead*"])


def test_a_unittest_shows_the_verdict_and_tears_down_in_peace(suite: Suite) -> None:
    test = """
import pathlib, time, unittest, pytest

class TestOld(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def with_app(self, app):
        self.app = app

    def tearDown(self):
        time.sleep(0.5)
        pathlib.Path("torn down").touch()

    def test_culprit(self):
        self.app.do("crash boom")
        time.sleep(60)

def test_torn_down():
    assert pathlib.Path("torn down").exists()
"""
    result = suite({"test_a.py": test})
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] == 1, result.stdout.str()
    assert outcomes["passed"] == 1
    result.stdout.fnmatch_lines(
        ["*GuiDegraded: main_loop_crashed: RuntimeError: boom", "*the app degraded during this test*"]
    )


def test_a_loop_that_hung_before_a_test_is_blamed_on_the_one_before(suite: Suite) -> None:
    test = """
import time

def test_culprit(app):
    app.do("hang 30")
    time.sleep(0.3)

def test_innocent(app):
    time.sleep(60)
"""
    stall_soon = """
import pytest

@pytest.fixture(scope="session")
def live_gui_env():
    return {"LIVEGUI_STALL_AFTER_MS": "1500"}
"""
    result = suite({"test_a.py": stall_soon + test, "test_b.py": PASSES})
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*GuiDegraded: main_loop_stalled: no beat for *",
            "*the app degraded before this test did anything; it followed test_a.py::test_culprit*",
            "test_b.py  fresh process (generation 2): generation 1 was degraded after test_a.py::test_culprit*",
        ]
    )


def test_files_that_pass_in_between_keep_the_budget_whole(suite: Suite) -> None:
    crash = "import time\n\ndef test_culprit(app):\n    app.do('crash boom')\n    time.sleep(60)\n"
    good = "def test_good(app):\n    pass\n"
    files = {f"test_{number}.py": good if number % 2 else crash for number in range(8)}
    suite(files, ini="live_gui_max_respawns = 1").assert_outcomes(failed=4, passed=4)


def test_a_port_that_the_app_only_connects_to_is_none_of_ours(suite: Suite) -> None:
    test = "def test_port(live_gui):\n    assert live_gui.hook_port not in (1920, {port})\n"
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        command = f"{{python}} plain_app.py --viewport 1920 --db-port {port} --hook-port {{hook_port}}"
        ini = f"live_gui_command = {command}\nlive_gui_ready_timeout = 5"  # nothing listens on the hook port
        suite({"test_a.py": test.format(port=port)}, ini=ini).assert_outcomes(passed=1)


def test_a_file_of_the_user_s_is_never_written_over(suite: Suite, pytester: pytest.Pytester) -> None:
    (pytester.path / ".gitignore").write_text("mine\n")
    suite({"test_a.py": PASSES}, ini="live_gui_run_dir = .").assert_outcomes(passed=1)
    assert (pytester.path / ".gitignore").read_text() == "mine\n"


def test_an_interrupted_start_is_told_to_the_rest_of_its_file(suite: Suite) -> None:
    launcher = """
import pathlib, runpy, time
if pathlib.Path("slow").exists():
    time.sleep(60)
runpy.run_path("plain_app.py", run_name="__main__")
"""
    second = """
def test_a(app):
    pass

def test_b(app):
    pass
"""
    plugin = """
import _thread, pathlib, signal, threading

def alarm(*_):
    raise TimeoutError("as pytest-timeout does")

def pytest_runtest_protocol(item):
    if item.name == "test_a":
        pathlib.Path("slow").touch()
        signal.signal(signal.SIGINT, alarm)
        threading.Timer(0.5, _thread.interrupt_main).start()
"""
    files = {"launcher.py": launcher, "test_1.py": PASSES, "test_2.py": second, "impatient.py": plugin}
    ini = "live_gui_command = {python} launcher.py\nlive_gui_scope = module\npythonpath = ."
    result = suite(files, "-p", "impatient", ini=ini)
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(["*TimeoutError: as pytest-timeout does*", "*its start was interrupted*"])


@pytest.mark.skipif(sys.platform == "darwin", reason="nothing tells of it there: docs/platforms.md")
def test_a_helper_without_our_environment_is_ended_though_the_app_died_first(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    launcher = """
import os, pathlib, runpy, subprocess, sys
needed = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=needed)
pathlib.Path("child").write_text(str(child.pid))
runpy.run_path("plain_app.py", run_name="__main__")
"""
    test = "import time\n\ndef test_culprit(app):\n    app.do('exit 1')\n    time.sleep(60)\n"
    suite({"launcher.py": launcher, "test_a.py": test}, ini="live_gui_command = {python} launcher.py")
    child = int((pytester.path / "child").read_text())
    deadline = time.monotonic() + 5
    while is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_under_xdist_every_worker_has_its_own_app_and_the_summary_tells_of_all(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    names = ["test_a.py", "test_b.py", "test_c.py", "test_d.py"]
    files = {name: CRASH_IN_SECOND_OF_THREE if name < "test_c" else PASSES for name in names}
    alone = suite(files).parseoutcomes()
    result = suite(files, "-n2", "--dist=loadfile")
    assert result.parseoutcomes() | {"warnings": 0} == alone | {"warnings": 0}
    result.stdout.fnmatch_lines(
        ["*- live_gui -*", "test_?.py  fresh process (generation 2): test_?.py::test_culprit*"]
    )
    # Which worker gets which file is xdist's to say; that each has an app of its own is ours.
    records = [json.loads(path.read_text()) for path in (pytester.path / ".livegui").glob("*/run.json")]
    assert len({record["pid"] for record in records}) == 3, "one run alone, then two workers"


#: Goes round without an instruction of a line of its own, which Python 3.11 has no number for.
LOOP = """
    live_gui.process.kill()
    for a in itertools.repeat(0):
        if a:
            if a: print()
            else: print()
"""


@pytest.mark.parametrize(
    "test",
    [
        "def test_culprit(live_gui):" + LOOP,
        "class TestIt(unittest.TestCase):\n"
        "  @pytest.fixture(autouse=True)\n"
        "  def keep(self, live_gui): self.live_gui = live_gui\n"
        "  def test_culprit(self):\n    live_gui = self.live_gui" + LOOP,
        "def test_culprit(live_gui):\n  try:" + LOOP + "  finally:\n    raise ValueError('on its way out')",
        "@pytest.fixture\ndef project(live_gui):\n    yield" + LOOP + "def test_culprit(project): pass",
    ],
    ids=["function", "unittest", "context", "tear-down"],
)
def test_a_loop_whose_end_has_no_line_is_ended_like_any_other(suite: Suite, test: str) -> None:
    result = suite({"test_a.py": "import itertools, unittest, pytest\n\n" + test, "test_b.py": PASSES})
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    result.stdout.fnmatch_lines(["*GuiExited*", "*passed*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_asking_for_the_number_of_the_process_is_a_use_of_it(suite: Suite) -> None:
    test = """
import pytest

@pytest.fixture(scope="session")
def client(request):
    return request.getfixturevalue("live_gui")

def test_it(request):
    client = request.getfixturevalue("client")
    generation = client.generation
    assert client.generation_folder.name == f"gen-{generation}"
    client.pid
    assert client.generation == generation == NUMBER
"""
    files = {f"test_{number}.py": test.replace("NUMBER", str(number)) for number in (1, 2)}
    conftest = "\n".join(files["test_1.py"].splitlines()[:6])
    files = {name: "\n".join(text.splitlines()[7:]) for name, text in files.items()}
    suite(
        {**files, "plug.py": conftest}, "-p", "plug", ini="live_gui_scope = module\npythonpath = ."
    ).assert_outcomes(passed=2)


def test_somebody_who_swallows_every_verdict_is_told_less_and_less_often(suite: Suite) -> None:
    test = """
import time

def test_culprit(live_gui):
    swallowed = 0
    deadline = time.monotonic() + 3
    process = live_gui.process
    while time.monotonic() < deadline:
        try:
            process.kill()
            while time.monotonic() < deadline:
                pass
        except BaseException:
            swallowed += 1
    print("swallowed", swallowed)
"""
    result = suite({"test_a.py": test})
    result.assert_outcomes(failed=1)
    (line,) = (line for line in result.outlines if line.startswith("swallowed"))
    assert 2 <= int(line.split()[1]) <= 9


def test_a_question_that_waits_for_its_answer_keeps_nobody_from_the_handle(suite: Suite) -> None:
    test = """
import threading, time
from plain_suites import resume, suspend

def test_it(live_gui):
    suspend(live_gui.pid)

    def ask():
        try:
            live_gui.health()
        except Exception:
            pass

    asks = threading.Thread(target=ask)
    asks.start()
    time.sleep(0.3)  # by then it has asked
    assert live_gui.generation == 1 and live_gui.hook_port and live_gui.process.poll() is None
    assert live_gui.is_healthy()
    assert asks.is_alive(), "each of these waited for the answer"
    resume(live_gui.pid)
    asks.join()
"""
    suite({"test_a.py": test}, ini=HELPERS).assert_outcomes(passed=1)
