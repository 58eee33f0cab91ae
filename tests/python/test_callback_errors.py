"""Exceptions that the app survives: heard by its agent, and what they mean for the running test."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plain_suites import PASSES, Suite

import livegui
from livegui import _crash


def raised(text: str = "bad value") -> ValueError:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def test_an_exception_is_told_with_its_place_and_traceback_and_the_app_stays_ok(agent: livegui.Agent) -> None:
    agent.record_exception(raised())
    document = agent.health()
    (caught,) = document["exceptions"]
    assert document["status"] == "ok"
    assert caught["source"] == "gui"
    assert caught["message"] == "ValueError: bad value"
    assert "test_callback_errors.py:" in caught["place"]
    assert caught["place"].endswith(" in raised")
    assert "Traceback (most recent call last)" in caught["detail"]["traceback"]


def test_the_place_is_the_apps_own_though_a_library_raised(agent: livegui.Agent) -> None:
    try:
        json.loads("{")
    except ValueError as error:
        agent.record_exception(error)
    (caught,) = agent.health()["exceptions"]
    assert caught["place"].endswith("in test_the_place_is_the_apps_own_though_a_library_raised")


def test_one_that_comes_in_every_frame_is_counted_and_wakes_who_waits_only_now_and_then(
    agent: livegui.Agent,
) -> None:
    before = agent.health()["seq"]
    error = raised()
    for _ in range(500):
        agent.record_exception(error)
    document = agent.health()
    (caught,) = document["exceptions"]
    assert caught["count"] == 500
    assert 20 <= document["seq"] - before < 30  # the first 16, then when the count doubles, or after a pause


def test_a_source_that_is_none_is_refused(agent: livegui.Agent) -> None:
    with pytest.raises(
        ValueError, match="source=qt: expected gui, asyncio, thread, task, unraisable, toolkit or wake"
    ):
        agent.record_exception(raised(), "qt")


def test_a_report_degrades_with_its_traceback_until_it_is_cleared(agent: livegui.Agent) -> None:
    agent.report(raised())
    (reason,) = agent.health()["reasons"]
    assert (reason["code"], reason["component"], reason["recoverable"]) == ("callback_exception", "app", True)
    assert reason["message"] == "ValueError: bad value"
    assert "in raised" in reason["detail"]["traceback"]
    agent.clear("callback_exception")
    assert agent.health()["status"] == "ok"
    agent.degrade("no room", code="disk_full", error=raised("x"))
    (reason,) = agent.health()["reasons"]
    assert "ValueError: x" in reason["detail"]["traceback"]
    with pytest.raises(ValueError, match="livegui's own"):
        agent.report(raised(), code="main_loop_stalled")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_threads_and_finalizers_are_heard_and_the_hooks_given_back(tmp_path: Path) -> None:
    heard: list[object] = []
    before = threading.excepthook, sys.unraisablehook
    threading.excepthook, sys.unraisablehook = heard.append, heard.append
    ours = threading.excepthook, sys.unraisablehook
    try:
        agent = livegui.start("test", run_dir=tmp_path)

        class Bad:
            def __del__(self) -> None:
                raise OSError("late")

        thread = threading.Thread(target=json.loads, args=("{",))
        thread.start()
        thread.join()
        for _ in range(3):
            Bad()
            gc.collect()
        sources = [(caught["source"], caught["count"]) for caught in agent.health()["exceptions"]]
        assert sources == [("thread", 1), ("unraisable", 3)]
        assert len(heard) == 4
        agent.stop()
        assert (threading.excepthook, sys.unraisablehook) == ours
    finally:
        threading.excepthook, sys.unraisablehook = before


def run(code: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"LIVEGUI_RUN_DIR": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_app_that_is_told_to_is_degraded_by_a_callback_and_by_nothing_else(tmp_path: Path) -> None:
    code = """
import json, livegui
agent = livegui.start("x")
agent.beat()
agent.record_exception(OSError("thread"), "thread")
assert agent.health()["status"] == "ok"
agent.record_exception(ValueError("bad"), "asyncio")
print(json.dumps(agent.health()["reasons"]))
agent.clear("callback_exception")
assert agent.health()["status"] == "ok"
"""
    done = run(code, tmp_path, LIVEGUI_CALLBACK_ERRORS="degrade")
    assert done.returncode == 0, done.stderr
    (reason,) = json.loads(done.stdout)
    assert (reason["code"], reason["message"]) == ("callback_exception", "ValueError: bad")
    refused = run("import livegui; livegui.start('x')", tmp_path, LIVEGUI_CALLBACK_ERRORS="ignore")
    assert "LIVEGUI_CALLBACK_ERRORS=ignore: expected note, fail or degrade" in refused.stderr


ASYNCIO = """
import asyncio, gc, livegui
from livegui.toolkits import asyncio as live_asyncio

agent = livegui.start("x")

async def task():
    raise OSError("nobody asks")

def callback():
    raise ValueError("bad")

async def main():
    loop = asyncio.get_running_loop()
    if {handler}:
        loop.set_exception_handler(lambda loop, context: print("handler:", context["exception"]))
    live_asyncio.install(agent)
    loop.call_soon(callback)
    asyncio.ensure_future(task())
    await asyncio.sleep(0.05)
    gc.collect()
    print(sorted((c["source"], c["message"]) for c in agent.health()["exceptions"]))
    agent.stopping()

with agent.main_loop():
    asyncio.run(main())
"""


@pytest.mark.parametrize("handler", [False, True])
def test_asyncio_tells_callbacks_from_tasks_and_its_handler_is_called_as_before(
    tmp_path: Path, handler: bool
) -> None:
    done = run(ASYNCIO.format(handler=handler), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "[('asyncio', 'ValueError: bad'), ('task', 'OSError: nobody asks')]" in done.stdout
    printed = done.stdout.count("handler:") if handler else done.stderr.count("Error: ")
    assert printed == 2


@pytest.fixture
def recording(suite: Suite, pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """The suite on the plain app, which takes ``swallow SOURCE TEXT`` and ``swallow_always TEXT`` too."""
    app = pytester.path / "plain_app.py"
    text = app.read_text()
    ours = """
def swallow(agent, source, text):
    try:
        raise ValueError(text)
    except ValueError as error:
        agent.record_exception(error, source)


def do(agent: livegui.Agent, what: str, argument: str) -> bool:
    if what == "swallow":
        swallow(agent, *argument.split(" ", 1))
    if what == "swallow_always":
        beat = agent.beat
        agent.beat = lambda: (beat(), swallow(agent, "gui", argument))
"""
    app.write_text(text.replace("def do(agent: livegui.Agent, what: str, argument: str) -> bool:\n", ours))
    return suite


SWALLOWS = """
import time

def test_first(app):
    app.do("swallow gui bad value")
    time.sleep(60)

def test_second(app, live_gui):
    assert live_gui.generation == 1
    assert live_gui.is_healthy()
"""

UNTIL_IT_IS_KNOWN = 'app.live_gui.wait_for(lambda: app.live_gui.health()["exceptions"])'


def record_of(pytester: pytest.Pytester) -> dict[str, Any]:
    (path,) = (pytester.path / ".livegui").glob("*/run.json")
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def test_it_fails_the_running_test_at_once_and_nobody_else(
    recording: Suite, pytester: pytest.Pytester
) -> None:
    result = recording({"test_a.py": SWALLOWS, "test_b.py": PASSES}, "--junitxml=report.xml")
    result.assert_outcomes(failed=1, passed=2)
    result.stdout.fnmatch_lines(
        [
            "*GuiCallbackError: callback_exception: ValueError: bad value",
            "*a callback of the app raised at plain_app.py:* in swallow during this test; the app goes on (generation 1, pid *",
            "*Traceback (most recent call last):",
        ]
    )
    (generation,) = record_of(pytester)["generations"]
    assert (generation["state"], generation["culprit"]) == ("ended", None)
    assert record_of(pytester)["notes"] == []
    names = [case.get("name") for case in ET.parse(pytester.path / "report.xml").iter("testcase")]
    assert names == ["test_first", "test_second", "test_next"]


def test_one_that_the_test_does_not_wait_for_is_still_its_own(recording: Suite) -> None:
    test = """
def test_first(app, live_gui):
    app.do("swallow asyncio bad value")
    while not live_gui.health()["exceptions"]:
        pass

def test_same_again(app, live_gui):
    app.do("swallow asyncio bad value")
    while live_gui.health()["exceptions"][0]["count"] < 2:
        pass

def test_third_time(app, live_gui):
    app.do("swallow asyncio bad value")
    while live_gui.health()["exceptions"][0]["count"] < 3:
        pass

def test_clean(live_gui):
    pass
"""
    recording({"test_a.py": test}).assert_outcomes(failed=3, passed=1)


def test_a_test_that_fails_because_of_it_shows_both(recording: Suite) -> None:
    test = """
import pytest

def test_first(app, live_gui):
    app.do("swallow gui bad value")
    while not live_gui.health()["exceptions"]:
        pass
    pytest.fail("the project was not switched")
"""
    result = recording({"test_a.py": test}, ini="live_gui_abort = false")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the project was not switched*", "*GuiCallbackError: callback_exception*"])


def test_with_note_nobody_fails_and_the_report_says_it_once(
    recording: Suite, pytester: pytest.Pytester
) -> None:
    files = {"test_a.py": SWALLOWS.replace("time.sleep(60)", UNTIL_IT_IS_KNOWN), "test_b.py": PASSES}
    result = recording(files, ini="live_gui_callback_errors = note")
    result.assert_outcomes(passed=3)
    (remark,) = record_of(pytester)["remarks"]
    assert remark.startswith(
        "test_a.py::test_first: a callback raised: ValueError: bad value at plain_app.py:"
    )
    result.stdout.fnmatch_lines(["test_a.py::test_first: a callback raised: ValueError: bad value at *"])


def test_with_degrade_it_is_a_reason(recording: Suite) -> None:
    files = {"test_a.py": SWALLOWS, "test_b.py": PASSES}
    result = recording(files, ini="live_gui_callback_errors = degrade")
    result.assert_outcomes(failed=1, errors=1, passed=1)
    result.stdout.fnmatch_lines(
        ["test_b.py  fresh process (generation 2): *callback_exception: ValueError: bad value"]
    )


@pytest.mark.parametrize("source", ["thread", "task", "unraisable"])
def test_what_is_no_callback_is_a_note(recording: Suite, pytester: pytest.Pytester, source: str) -> None:
    test = SWALLOWS.replace("swallow gui", f"swallow {source}").replace("time.sleep(60)", UNTIL_IT_IS_KNOWN)
    recording({"test_a.py": test}).assert_outcomes(passed=2)
    (remark,) = record_of(pytester)["remarks"]
    assert remark.startswith("test_a.py::test_first: ")
    assert "ValueError: bad value" in remark


def test_between_tests_it_is_a_note_that_names_the_test_before(
    recording: Suite, pytester: pytest.Pytester
) -> None:
    between = """
import pathlib, time

def pytest_runtest_logfinish(nodeid):
    if nodeid.endswith("test_before"):
        (state,) = pathlib.Path(".livegui").glob("*/gen-1/state")
        (state / "draft").write_text("swallow gui bad value")
        (state / "draft").rename(state / "command")
        time.sleep(0.5)
"""
    files = {
        "test_a.py": "def test_before(app):\n    pass\n\ndef test_after(app):\n    pass\n",
        "between.py": between,
    }
    recording(files, "-p", "between", ini="pythonpath = .").assert_outcomes(passed=2)
    (remark,) = record_of(pytester)["remarks"]
    assert remark.startswith("test_a.py::test_before: a callback raised: ValueError: bad value")


def test_an_app_that_raises_in_every_frame_writes_no_endless_record(
    recording: Suite, pytester: pytest.Pytester
) -> None:
    test = """
import time

def test_first(app):
    app.do("swallow_always bad value")
    time.sleep(60)

def test_second(app):
    time.sleep(1)
"""
    outcomes = recording({"test_a.py": test}).parseoutcomes()
    # The next exception may come while the second test is set up.
    assert outcomes in ({"failed": 2}, {"failed": 1, "errors": 1})
    assert len((pytester.path / ".livegui").glob("*/run.json").__next__().read_bytes()) < 4096


def test_a_bad_value_is_refused(suite: Suite) -> None:
    result = suite({"test_a.py": PASSES}, ini="live_gui_callback_errors = ignore")
    result.stdout.fnmatch_lines(["*live_gui_callback_errors = ignore: expected note, fail or degrade*"])


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_a_segfault_says_where(suite: Suite) -> None:
    test = """
import time

def test_culprit(app):
    app.do("kill SIGSEGV")
    time.sleep(60)
"""
    result = suite({"test_a.py": test})
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*Fatal Python error: Segmentation fault",
            "*Current thread 0x* (most recent call first):",
            '*plain_app.py", line * in do',
        ]
    )
    result.stdout.no_fnmatch_line("*_canary.py*")


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("where", ["live_gui_env", "environment"])
def test_who_wants_no_fault_handler_gets_none(
    suite: Suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    test = """
import time

def test_culprit(app):
    app.do("kill SIGSEGV")
    time.sleep(60)
"""
    if where == "environment":
        monkeypatch.setenv("PYTHONFAULTHANDLER", "")
    else:
        conftest = pytester.path / "conftest.py"
        fixture = (
            '\n@pytest.fixture(scope="session")\ndef live_gui_env():\n    return {"PYTHONFAULTHANDLER": ""}\n'
        )
        conftest.write_text(conftest.read_text() + fixture)
    result = suite({"test_a.py": test})
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*Fatal Python error*")


@pytest.mark.parametrize(
    ("file", "is_library"),
    [
        (f"{Path(os.__file__).parent}/json/decoder.py", True),
        (f"{Path(os.__file__).parent}-app/x.py", False),
        (f"{Path(livegui.__file__).parent}/_attach.py", True),
        # Unless livegui itself is installed, and not edited here: then its neighbours are libraries too.
        (f"{Path(livegui.__file__).parent}_app/x.py", "site-packages" in Path(livegui.__file__).parts),
        ("/home/u/venv/lib/site-packages/some/x.py", True),
        ("/usr/lib/python3/dist-packages/some/x.py", True),
        ("/home/u/my-site-packages-fork/app.py", False),
        ("/home/u/dist-packages.py", False),
    ],
)
def test_whose_code_it_is_is_told_by_whole_folders(file: str, is_library: bool) -> None:
    assert _crash.is_library(file.replace("/", os.sep)) == is_library
