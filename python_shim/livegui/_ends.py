"""Ends that a test declares: ``expect_exit()``, ``expect_degraded()`` and the mark ``live_gui_ends_app``."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import pytest

from livegui._process import GuiProcess
from livegui.errors import LiveGuiError

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from livegui._handle import LiveGui
    from livegui._livegui import NativeEnd, NativeLive

#: An exit status as in ``subprocess.Popen.returncode``, or the signal that ends the process.
Status = int | signal.Signals

MARK = "live_gui_ends_app"
#: How many seconds the app may take by default.
WITHIN_S = 10.0
#: The exit statuses of a process on Windows that was asked to end, or was killed.
_ENDED_ON_WINDOWS = (0xC000013A, 1)


class ExpectedEnd:
    """An end of the app that a test has declared. As a context manager, it waits for that end when it exits.

    Attributes:
        how: how the app ended, for people; None before it has ended.
        generation: the number of the process that ended.
        reasons: ``(code, component, message)`` of each reason for which the app was degraded then.
        seconds: the time from the end of the block to the end of the app.
    """

    def __init__(self, native: NativeLive, script: str, declare: Callable[[], None], within: float) -> None:
        if not within >= 0:
            raise ValueError(f"within = {within}: expected seconds, 0 or more")
        self._native = native
        self._script = script
        self._declare = declare
        self._within = within
        self._end: NativeEnd | None = None
        self.how: str | None = None
        self.generation = 0
        self.reasons: list[tuple[str, str, str]] = []
        self.seconds = 0.0

    def __repr__(self) -> str:
        return f"<ExpectedEnd generation={self.generation} how={self.how!r}>"

    @property
    def process(self) -> GuiProcess:
        """The process that ended: its pid, its ``returncode``."""
        if self._end is None:
            raise RuntimeError("the app has not ended yet: this is known after the block")
        return GuiProcess(self._end.process, self._script)

    @property
    def status(self) -> int | None:
        """The exit status; negative if it is the number of a signal; None if the app has not ended."""
        return None if self._end is None else self._end.process.poll()

    def __enter__(self) -> ExpectedEnd:
        __tracebackhide__ = True
        self._declare()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        if error is not None:
            try:
                self._native.withdraw_end()
            except LiveGuiError as otherwise:  # the app ended, but not as declared, and that caused the error
                if isinstance(error, Exception):
                    raise otherwise from error
            return
        began = time.monotonic()
        try:
            end = self._native.await_end(self._within)
        except BaseException:
            with contextlib.suppress(LiveGuiError):
                self._native.withdraw_end()  # something else ends the test
            raise
        self.seconds = time.monotonic() - began
        self._end, self.how, self.generation, self.reasons = end, end.how, end.generation, end.reasons


def statuses(status: Status | Collection[Status] | None) -> list[int] | None:
    """The expected statuses as in ``Popen.returncode``; None for any."""
    if status is None:
        return None
    given = status if isinstance(status, Collection) else [status]
    if isinstance(status, str | bytes) or not given:
        raise TypeError(f"status = {status!r}: expected an exit status, a signal, a set of these, or None")
    return [code for one in given for code in _codes(one)]


def _codes(status: object) -> tuple[int, ...]:
    if isinstance(status, signal.Signals):
        return _ENDED_ON_WINDOWS if sys.platform == "win32" else (-status,)
    if not isinstance(status, int) or isinstance(status, bool):
        raise TypeError(f"status = {status!r}: expected an exit status, a signal, a set of these, or None")
    if sys.platform == "win32":
        return (status & 0xFFFFFFFF,)
    return (int(status),)


def describe(config: pytest.Config) -> None:
    """Declare the marker for ``--strict-markers`` and ``--markers``."""
    what = (
        "the test ends the app: with this status (any, unless it is given), so many seconds after it at most"
    )
    config.addinivalue_line("markers", f"{MARK}(status=None, within={WITHIN_S:g}): {what} (livegui)")


def register(manager: pytest.PytestPluginManager) -> None:
    """Register what runs tests with the marker, once such a test or an app exists."""
    if not manager.has_plugin("livegui-ends"):
        manager.register(EndsApp(), "livegui-ends")


class EndsApp:
    """Runs a test with the marker inside ``live_gui.expect_exit(…)``."""

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        __tracebackhide__ = True
        mark = item.get_closest_marker(MARK) if MARK in item.keywords else None
        if mark is None:
            return (yield)
        with _expected(item, mark):
            return (yield)


def _expected(item: pytest.Item, mark: pytest.Mark) -> ExpectedEnd:
    __tracebackhide__ = True
    handle: LiveGui | None = getattr(item, "funcargs", {}).get("live_gui")
    if handle is None:
        request = getattr(item, "_request", None)
        if request is None:
            pytest.fail(
                f"{MARK}: a test of this kind has no fixtures; use live_gui.expect_exit()", pytrace=False
            )
        handle = request.getfixturevalue("live_gui")
    try:
        return _from_mark(handle, *mark.args, **mark.kwargs)
    except (TypeError, ValueError) as error:
        pytest.fail(f"{MARK}: {error}", pytrace=False)


def _from_mark(
    handle: LiveGui, status: Status | Collection[Status] | None = None, within: float = WITHIN_S
) -> ExpectedEnd:
    return handle.expect_exit(status, within)
