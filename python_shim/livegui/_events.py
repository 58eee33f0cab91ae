"""Records what this pytest does in the folder of its run, and for a program that follows it."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from livegui._livegui import NativeEvents
from livegui._text import plain

if TYPE_CHECKING:
    from collections.abc import Generator

#: Names the file to append events to. Without it, no program follows this pytest.
FILE = "LIVEGUI_EVENTS"
#: Names a file with the node ids, as a JSON list, of the only tests to run.
ONLY = "LIVEGUI_ONLY"
#: Set for what this pytest starts, so that a pytest that one of its tests runs is not followed.
FOLLOWED = "LIVEGUI_FOLLOWED"
#: The property of a report that names the test to blame for it.
CULPRIT = "live_gui_culprit"


class Attempt:
    """The reports of one test, as they come. A rerun starts again."""

    __slots__ = ("culprit", "duration_s", "line", "message", "outcome", "reruns")

    def __init__(self, line: int | None = None) -> None:
        self.outcome = "passed"
        self.message = ""
        self.culprit: str | None = None
        self.duration_s = 0.0
        self.reruns = 0
        #: The line of the test in its file, from 1.
        self.line = line

    def add(self, report: pytest.TestReport) -> None:
        """Take in the report of a phase that did more than pass."""
        if report.outcome == "rerun":  # type: ignore[comparison-overlap]  # of pytest-rerunfailures
            self.outcome, self.message, self.reruns = "passed", "", self.reruns + 1
        elif report.failed:
            self.message += report.longreprtext
            if self.outcome != "failed":
                self.outcome = "failed" if report.when == "call" else "error"
            if report.when == "setup":
                self.culprit = _culprit(report)
                self.outcome = "error" if self.culprit is None else "victim"
        elif hasattr(report, "wasxfail"):
            self.outcome = "xfailed" if report.skipped else "xpassed"
            self.message = report.wasxfail
        elif report.skipped:
            self.outcome = "skipped"
            reason = report.longrepr
            self.message = reason[2] if isinstance(reason, tuple) else report.longreprtext


class OnAGeneration(Protocol):
    """Knows which process the running test runs on, and has pictures of it."""

    generation: int | None
    screenshots: list[str]


class Events:
    """Follows a process that runs tests: the only one, or an xdist worker."""

    def __init__(self, native: NativeEvents, ours: OnAGeneration) -> None:
        self.native = native
        self.is_followed = native.is_followed
        self.ours = ours
        self.session: pytest.Session | None = None
        self.attempt = Attempt()

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self.session = session
        self.native.session_started(session.config.rootpath)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.native.collection_failed(report.nodeid, report.longreprtext)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        path = os.environ.get(ONLY)
        if not path:
            return
        wanted = set(json.loads(Path(path).read_text(encoding="utf-8")))
        config.hook.pytest_deselected(items=[item for item in items if plain(item.nodeid) not in wanted])
        items[:] = [item for item in items if plain(item.nodeid) in wanted]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.native.collected([item.nodeid for item in session.items])

    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        line = location[1]
        self.attempt = Attempt(None if line is None else line + 1)
        self.native.test_started(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        attempt = self.attempt
        attempt.duration_s += report.duration
        # Quicker than hasattr(), which raises an error in every test.
        if report.outcome != "passed" or "wasxfail" in vars(report):
            attempt.add(report)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        attempt = self.attempt
        self.native.test_finished(
            nodeid,
            outcome=attempt.outcome,
            duration_s=attempt.duration_s,
            message=attempt.message,
            culprit=attempt.culprit,
            generation=self.ours.generation,
            reruns=attempt.reruns,
            line=attempt.line,
            screenshots=self.ours.screenshots,
        )
        if self.is_followed and self.session is not None and self.native.is_asked_to_stop():
            self.session.shouldstop = "whoever follows this run asked for its end"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        try:
            return (yield)
        finally:
            if not _is_worker(session.config):
                self.native.session_finished(int(session.exitstatus))


class ControllerEvents:
    """Follows the controller of xdist, because only that knows of workers that died."""

    def __init__(self, native: NativeEvents, path: str) -> None:
        self.native = native
        self.path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when not in ("setup", "call", "teardown"):  # "???" is made up for a worker that died
            self.native.test_finished(
                report.nodeid,
                outcome="error",
                duration_s=0.0,
                message=str(report.longrepr),
                culprit=None,
                generation=None,
                reruns=0,
                line=None,
                screenshots=[],
            )

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[FILE] = self.path

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        try:
            return (yield)
        finally:
            self.native.session_finished(int(session.exitstatus))


def follow(config: pytest.Config, ours: OnAGeneration) -> NativeEvents | None:
    """Record events. The controller of xdist does so only if a program follows it."""
    worker_input = getattr(config, "workerinput", None)
    if worker_input is not None:
        path, worker = worker_input.get(FILE), worker_input["workerid"]
    else:
        path, worker = None if os.environ.get(FOLLOWED) else os.environ.get(FILE), None
    distributes = config.getoption("dist", "no") != "no" and not config.option.collectonly
    controls = worker is None and distributes
    if path:
        os.environ[FOLLOWED] = "1"
        if sys.platform == "win32":
            # With this signal, a following program asks for a proper end. By default it would end pytest at
            # once.
            with suppress(ValueError):  # not on the main thread
                signal.signal(signal.SIGBREAK, signal.default_int_handler)
    elif controls:
        return None
    native = NativeEvents(path or None, worker)
    config.pluginmanager.register(
        ControllerEvents(native, path) if controls and path else Events(native, ours), "livegui-events"
    )
    return native


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _culprit(report: pytest.TestReport) -> str | None:
    return next((str(value) for name, value in report.user_properties if name == CULPRIT), None)
