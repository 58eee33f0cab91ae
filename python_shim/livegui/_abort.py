"""Raising in a running test, and only there.

The native alarm sends the main thread a signal, over and over, from a thread without the GIL. The
handler decides whether this is a moment at which the test may be ended, and if so raises.
"""

from __future__ import annotations

import signal
import sys
import sysconfig
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

    from livegui._livegui import NativeLive
    from livegui.errors import LiveGuiError

#: Ignored unless handled, used by hardly anybody, and harmless if it comes late. On Windows only a
#: simulated Ctrl-C wakes the main thread out of a sleep.
SIGNAL: int = getattr(signal, "SIGURG", signal.SIGINT)

_STANDARD_LIBRARY = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
#: Not the test's own: whoever called them is not asked either. livegui's handle is: a test waits in it.
_NOT_THE_TESTS = ("_pytest", "pluggy", "pytest")
_OURS = ("livegui.pytest_plugin", "livegui._abort", "livegui._report")


class Aborted(BaseException):
    """Ends the running test. No ``Exception``: a polling loop's ``except Exception`` must not eat it.

    The plugin puts its ``verdict`` in its place; where a test runner of another kind reports it first,
    as unittest's does, its text is the verdict's.
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
            live.arm()

    def disarm(self, live: NativeLive) -> None:
        """From here on it must not be."""
        self._live = None
        live.disarm()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        __tracebackhide__ = True
        live = self._live
        if live is None or not live.is_ringing():
            # Not ours, or too late: on Windows this is somebody's Ctrl-C.
            if callable(self._earlier):
                self._earlier(number, frame)
            return
        if _is_ending() or not _is_in_a_test(frame):
            return  # the alarm knocks again
        verdict = live.verdict_on_running()
        if verdict is None:
            return  # it recovered in this very moment
        if self._once:
            self.disarm(live)
        raise verdict if self._tears_down else Aborted(verdict)


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
        standard = file.startswith(_STANDARD_LIBRARY) and "site-packages" not in file
        if not standard and not file.startswith("<frozen "):
            return True
        frame = frame.f_back
    return False
