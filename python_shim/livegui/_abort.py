"""Raising in a running test, and only there.

The native alarm sends the main thread a signal, over and over, from a thread without the GIL. The
handler decides whether this is a moment at which the test may be ended, and if so raises.
"""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
import time
from pathlib import Path
from types import CodeType, TracebackType
from typing import TYPE_CHECKING, Any

from livegui._livegui import take_knock

if TYPE_CHECKING:
    from types import FrameType

    from livegui._livegui import NativeLive
    from livegui.errors import LiveGuiError

#: On POSIX one that is ignored unless handled, used by hardly anybody, and harmless if it comes late. On
#: Windows the Ctrl-Break of a console, never Ctrl-C: one of those that came late would end pytest.
SIGNAL: int
if sys.platform == "win32":
    SIGNAL = signal.SIGBREAK
else:
    SIGNAL = signal.SIGURG

#: Somebody who swallows it is told again, after twice as long each time: an event loop prints what its
#: callbacks raise.
_AGAIN_AFTER_S = 0.02
_AGAIN_AFTER_AT_MOST_S = 5.0

_STANDARD_LIBRARY = tuple({sysconfig.get_path(kind) + os.sep for kind in ("stdlib", "platstdlib")})
#: Not the test's own: whoever called them is not asked either. livegui's handle is: a test waits in it.
_NOT_THE_TESTS = ("_pytest", "pluggy", "pytest")
_OURS = ("livegui.pytest_plugin", "livegui._abort", "livegui._report")


class Aborted(BaseException):
    """Ends the running test. No ``Exception``: a polling loop's ``except Exception`` must not eat it.

    The plugin puts its ``verdict`` in its place.
    """

    def __init__(self, verdict: LiveGuiError) -> None:
        super().__init__(str(verdict))
        self.verdict = verdict


class Abort:
    """Ends the test that runs on this thread, once the app is no longer fit to be tested."""

    def __init__(self) -> None:
        self._live: NativeLive | None = None
        self._earlier: Any = None
        self._installed = False
        self._once = False
        self._tears_down = False
        self._not_before = 0.0
        self._pause = _AGAIN_AFTER_S

    def install(self) -> bool:
        """Take the signal. False if this is not the main thread, where alone that can be done."""
        try:
            self._earlier = signal.signal(SIGNAL, self._on_signal)
        except ValueError:
            return False
        self._installed = True
        return True

    def uninstall(self) -> None:
        """Give the signal back to whoever had it."""
        if self._installed:
            self._installed = False
            signal.signal(SIGNAL, self._earlier if self._earlier is not None else signal.SIG_DFL)

    def arm(self, live: NativeLive, *, once: bool = False, tears_down: bool = False) -> None:
        """From here on the test may be ended by :class:`Aborted`.

        It is raised again if the test swallowed it, unless ``once``: unittest reports what a test method
        raises and goes on to ``tearDown()``, which is for clearing up. One that ``tears_down`` gets the
        verdict itself, an ``Exception``: after anything else pytest would leave the other fixtures standing.
        """
        if self._installed:
            self._live = live
            self._once = once
            self._tears_down = tears_down
            self._not_before, self._pause = 0.0, _AGAIN_AFTER_S
            live.arm()

    def disarm(self, live: NativeLive) -> None:
        """From here on it must not be."""
        self._live = None
        live.disarm()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        __tracebackhide__ = True
        is_ours = take_knock()
        live = self._live
        if live is None or not live.is_ringing():
            if not is_ours:
                self._pass_on(number, frame)
            return  # too late
        now = time.monotonic()
        if now < self._not_before or _is_ending() or not _is_in_a_test(frame) or _is_in_a_qt_loop():
            return  # the alarm knocks again
        verdict = live.verdict_on_running()
        if verdict is None:
            return  # it recovered in this very moment
        self._not_before, self._pause = now + self._pause, min(2 * self._pause, _AGAIN_AFTER_AT_MOST_S)
        if self._once:
            self.disarm(live)
        raise verdict if self._tears_down else Aborted(verdict)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        """Do what this signal did before, which somebody else sent."""
        if callable(self._earlier):
            self._earlier(number, frame)
        elif sys.platform == "win32" and self._earlier == signal.SIG_DFL:
            # It would have ended pytest on the spot: so it does, in good order.
            signal.default_int_handler(number, frame)


def _is_ending() -> bool:
    """Whether the test is on its way out already, in a ``finally`` or an ``__exit__`` of its own."""
    error = sys.exc_info()[1]
    while error is not None:
        if isinstance(error, Aborted):
            return True
        error = error.__context__
    return False


def _is_in_a_test(frame: FrameType | None) -> bool:
    """Whether the interrupted code is the test's, or was called by it: not pytest's own."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in _NOT_THE_TESTS or module in _OURS:
            return False
        if module.startswith("livegui."):
            frame = frame.f_back
            continue
        file = frame.f_code.co_filename
        standard = file.startswith(_STANDARD_LIBRARY) and "site-packages" not in Path(file).parts
        if not standard and not file.startswith("<frozen "):
            return True
        frame = frame.f_back
    return False


def _is_in_a_qt_loop() -> bool:
    """Whether this thread waits in an event loop of Qt, where PyQt ends the process of whoever raises."""
    for binding in ("PyQt6", "PySide6", "PyQt5", "PySide2"):
        core = sys.modules.get(f"{binding}.QtCore")
        if core is not None and core.QThread.currentThread().loopLevel() > 0:
            return True
    return False


def give_lines(error: BaseException) -> None:
    """Give each entry of an error's traceback, and of those it came from, a line.

    What a signal handler raises can come at an instruction without one (the end of a loop, in Python
    3.11), and pytest calculates with them.
    """
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        error_here = left.pop()
        if error_here is None or id(error_here) in seen:
            continue
        seen.add(id(error_here))
        left += [error_here.__cause__, error_here.__context__, *getattr(error_here, "exceptions", ())]
        error_here.__traceback__ = _with_lines(error_here.__traceback__)


def _with_lines(traceback: TracebackType | None) -> TracebackType | None:
    entries = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    lines: list[int | None] = [entry.tb_lineno for entry in entries]
    if None not in lines:
        return entries[0] if entries else None
    for entry, line in zip(reversed(entries), reversed(lines), strict=True):
        code = entry.tb_frame.f_code
        near = _line_before(code, entry.tb_lasti) if line is None else line
        traceback = TracebackType(traceback, entry.tb_frame, entry.tb_lasti, near)
    return traceback


def _line_before(code: CodeType, instruction: int) -> int:
    before = (line for start, _end, line in code.co_lines() if start <= instruction and line is not None)
    return max(before, default=code.co_firstlineno)
