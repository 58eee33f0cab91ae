"""Shared by the tests of the Python face."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page import page

import livegui

__all__ = ["page"]

HERE = Path(__file__).parent

# A shell's background job ignores Ctrl-C, and so would every program that a test starts and ends with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The pytests that tests start are no workers of the one that runs the tests.
for name in ("PYTEST_XDIST_TESTRUNUID", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
    os.environ.pop(name, None)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[livegui.Agent]:
    """An agent of this process that has beaten once."""
    agent = livegui.start("test", run_dir=tmp_path)
    agent.beat()
    yield agent
    agent.stop()


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    """Run a suite on the plain app: ``suite({"test_a.py": "...", ...}, "--option", ini="key = value")``.

    Its tests have ``app``: ``app.do("crash boom")`` has the app do something in its next frame.
    """
    for name in ("CI", "BUILD_NUMBER"):  # with these pytest's summary has lines of any length
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")  # as pytester reads it, on Windows too
    shutil.copy(HERE / "plain_app.py", pytester.path / "plain_app.py")
    pytester.makeconftest(
        """
        import os, pathlib, time, pytest

        class App:
            def __init__(self, live_gui):
                self.live_gui = live_gui

            def do(self, what):
                generation = self.live_gui.run_folder / f"gen-{self.live_gui.generation}"
                draft = generation / "state" / "draft"
                draft.write_text(what, encoding="utf-8")
                draft.rename(generation / "state" / "command")

        @pytest.fixture
        def app(live_gui):
            return App(live_gui)
        """
    )

    def run(files: dict[str, str], *options: str, ini: str = "") -> pytest.RunResult:
        command = "live_gui_command = {python} plain_app.py" if "live_gui_command" not in ini else ""
        (pytester.path / "pytest.ini").write_text(f"[pytest]\n{command}\n{ini}\n")
        for name, text in files.items():
            (pytester.path / name).parent.mkdir(parents=True, exist_ok=True)
            (pytester.path / name).write_text(text, encoding="utf-8")
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *options, timeout=180)

    return run


@pytest.fixture
def quick_to_call_it_a_stall(
    suite: Callable[..., pytest.RunResult], pytester: pytest.Pytester
) -> Callable[..., pytest.RunResult]:
    """The same with an app that is called stalled after a quarter of a second."""
    conftest = pytester.path / "conftest.py"
    fixture = """
@pytest.fixture(scope="session")
def live_gui_env():
    return {"LIVEGUI_STALL_AFTER_MS": "250"}
"""
    conftest.write_text(conftest.read_text() + fixture)
    return suite
