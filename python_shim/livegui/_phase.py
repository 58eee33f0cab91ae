"""A phase of a test (its set-up, call or tear-down), and with what it must fail."""

from __future__ import annotations

import bdb
import os
import threading
import unittest
from typing import TYPE_CHECKING, Literal

import pytest

from livegui import _report
from livegui._abort import Aborted, Within
from livegui._frames import give_lines, without_runners
from livegui._livegui import answer_at_end
from livegui._span import Span, running_threads
from livegui.errors import LiveGuiError

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from livegui._livegui import NativeLive
    from livegui._session import Session


class Phase:
    """One phase of a test. If the app degrades during it, the test fails because of that.

    Args:
        ask: whether to query the app again at the end, so that a crash is not left for the next test.
        last: whether nothing needs the app afterwards.
        tears_down: if the app degrades, stop only what runs then (for example a poll). The tear-downs of
            other fixtures must still run, for the sake of the next test.
    """

    __slots__ = ("_last", "_within", "ask", "item", "last", "session", "span", "tears_down")

    def __init__(
        self,
        session: Session,
        item: pytest.Item,
        *,
        ask: bool = False,
        tears_down: bool = False,
        last: bool = False,
    ) -> None:
        self.session = session
        self.item = item
        self.ask = ask
        self.tears_down = tears_down
        self.last = last
        #: What is stopped as a whole; None as long as this run has no app.
        self.span: Span | None = None
        self._within: Within | None = None
        #: The last error of the app, if it was closed in this phase.
        self._last: LiveGuiError | None = None

    def __enter__(self) -> Phase:
        session = self.session
        session.phase, session.verdict, session.abort.told = self, None, None
        if session.live is not None:
            self.follow()
            if session.used:
                self.arm()
        return self

    def follow(self) -> None:
        """Record the test's code from here on. Only runs with an app do this, so others pay nothing."""
        session, item = self.session, self.item
        files = {str(item.path)}
        if self.tears_down:
            files |= session.fixtures.files
        once = self.tears_down or is_unittest(item)
        folder = str(session.config.rootpath) + os.sep
        self.span = Span(files=files, folder=folder, name=item.nodeid, last=self.last, once=once)
        self.span.threads = running_threads()
        if self.ask and not self.tears_down and isinstance(item, pytest.Function):
            self.span.function = item.function
        self._within = session.abort.within(self.span)
        self._within.__enter__()

    def arm(self) -> None:
        """Let the alarm stop the phase, because the test uses the app."""
        session = self.session
        if not session.failed and session.live is not None:
            session.abort.arm(session.live)

    def ask_last(self) -> None:
        """The app is about to be closed, so query it now, instead of at the end of the phase."""
        session = self.session
        if session.used and not session.failed and session.live is not None:
            session.abort.disarm(session.live)
            self._last = session.abort.told or self._confirm(session.live)
            if self._last is not None:
                self._settle()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        session, live, abort = self.session, self.session.live, self.session.abort
        session.phase = None
        if self._within is None:
            if isinstance(error, LiveGuiError):
                session.failed = True
            return  # there was no app
        self._within.__exit__(None, None, None)
        if session.used and live is not None:
            abort.disarm(live)
        if session.failed:
            return
        if isinstance(error, LiveGuiError):
            session.failed = True
            return
        if isinstance(error, pytest.exit.Exception | bdb.BdbQuit | KeyboardInterrupt):
            return  # the user wants to end the run
        verdict = self._verdict(error)
        if verdict is None:
            return
        session.failed, session.verdict = True, verdict
        if self.ask:  # each set-up of a fixture handled itself
            self._settle()
        if isinstance(error, Exception | pytest.fail.Exception):
            raise verdict from error
        # What ended the test adds nothing to the verdict, but its cause may.
        cause = error.__cause__ if isinstance(error, Aborted) else None
        raise verdict.with_traceback(without_runners(abort.ended_at or where)) from cause

    def _verdict(self, error: BaseException | None) -> LiveGuiError | None:
        """The error with which to fail the phase, which ended by itself with ``error``."""
        session, told = self.session, self.session.abort.told
        if self._last is not None:
            return self._last
        if not session.used or session.live is None:
            return None
        answer = answer_at_end(_end(error), told is not None, self.ask)
        if answer == "known":
            return session.live.verdict_on_running()
        if answer == "asked_now":
            return self._confirm(session.live) or told
        return told if answer == "told" else None

    def _settle(self) -> None:
        live, abort = self.session.live, self.session.abort
        if live is not None and self.span is not None and abort.is_installed:
            abort.settle(live, self.span)

    def _confirm(self, live: NativeLive) -> LiveGuiError | None:
        verdict = live.confirm()
        return None if self.last and live.has_ended_in_order() else verdict


class Reports:
    """Follows the reports of tests, once there is an app. Runs after the hooks of other plugins."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember which tests have reports about the app."""
        if report.outcome != "passed":
            self.session.told.add(report)

    @pytest.hookimpl(specname="pytest_runtest_makereport", wrapper=True)
    def pytest_runtest_makereport_of_all(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note the outcome, name the culprit, and take a picture of the app."""
        report = yield
        if not report.passed:
            self.session.passed = False
        elif report.when == "call" and self.session.passed is None:
            self.session.passed = True
        if call.excinfo is not None:
            _report.shorten(report, call.excinfo)
            _report.name_culprit(item, report, call.excinfo)
            _report.tell_what_did_not_run(item, report, call.excinfo)
        if self.session.verdict is not None and report.failed:
            _report.lead_with(report, self.session.verdict)
        self.session.show(item, report)
        return report

    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        """Make the error readable, after unittest's has replaced what pytest caught."""
        error = None if call.excinfo is None else call.excinfo.value
        if isinstance(error, SystemExit) and self._ends_a_thread():
            raise error
        if self.session.phase is not None:
            self._refuse_to_go_on(error)
        elif error is None:
            return
        elif self.session.failed:
            verdict = self.session.verdict
            if verdict is not None and not isinstance(error, LiveGuiError | pytest.skip.Exception):
                cause = error if isinstance(error, Exception | pytest.fail.Exception) else None
                error = verdict.with_traceback(error.__traceback__)
                error.__cause__ = cause
            give_lines(error)
            error = error.with_traceback(without_runners(error.__traceback__))
            call.excinfo = pytest.ExceptionInfo.from_exception(error)

    def _ends_a_thread(self) -> bool:
        """Whether this is a thread of a test that was stopped, in code that collects what ends the thread."""
        session = self.session
        is_stopped = session.abort.is_installed and (session.failed or session.abort.told is not None)
        return is_stopped and threading.current_thread() is not threading.main_thread()

    def _refuse_to_go_on(self, error: BaseException | None) -> None:
        """Code that collects errors in mid-test, such as subtests, must not go on after this one."""
        session = self.session
        if isinstance(error, Aborted):
            raise error
        abort, live = session.abort, session.live
        if abort.told is not None and error is None:
            raise abort.aborted()
        if live is None or session.failed or not session.used or not abort.is_installed:
            return
        if error is not None and not isinstance(error, pytest.skip.Exception | KeyboardInterrupt):
            abort.told = abort.told or live.confirm()
            abort.reraise(error)


def _end(error: BaseException | None) -> Literal["returned", "raised", "failed", "left"]:
    if error is None:
        return "returned"
    if isinstance(error, Exception):
        return "raised"
    return "failed" if isinstance(error, pytest.fail.Exception) else "left"


def is_unittest(item: pytest.Item | None) -> bool:
    """Whether it is a unittest test."""
    cls = getattr(item, "cls", None)
    return isinstance(cls, type) and issubclass(cls, unittest.TestCase)
