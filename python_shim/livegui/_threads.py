"""What only Python can see of its threads: which ended and why, and who keeps the process alive."""

from __future__ import annotations

import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

from livegui._crash import describe, format_traceback

if TYPE_CHECKING:
    from collections.abc import Callable

    from livegui._livegui import NativeAgent

#: Whoever debugs sits in one of these.
_DEBUGGERS = frozenset({"bdb", "pdb", "ipdb", "pudb", "pydevd", "_pydevd_bundle", "debugpy", "pdbpp"})


class ThreadWatch:
    """Watches one thread; keeps a weak reference only.

    A thread that is not started yet has its ``run`` wrapped, so that its end is heard of at once. Of
    one that runs already an exception is heard of at once too (``threading.excepthook``), and a plain
    return when the canary looks.
    """

    def __init__(self, native: NativeAgent, thread: threading.Thread, name: str) -> None:
        self._native = native
        self._name = name
        self.ended = False
        self.target = weakref.ref(thread)
        if thread.ident is None:
            self._wrap_run(thread)

    def forget(self) -> None:
        """Another has taken its name: what becomes of this one is no news any more."""
        self.ended = True

    def look(self) -> None:
        """Look whether it lives; the canary calls this a few times a second."""
        thread = self.target()
        if thread is None or (thread.ident is not None and not thread.is_alive()):
            self.end(None)

    def end(self, error: BaseException | None) -> None:
        """It ended, of ``error`` if there is one."""
        if self.ended:
            return
        self.ended = True
        if error is None:
            self._native.thread_ended(self._name, None, None)
        else:
            self._native.thread_ended(self._name, describe(error), format_traceback(error))

    def _wrap_run(self, thread: threading.Thread) -> None:
        run = thread.run

        def watched() -> None:
            try:
                run()
            except BaseException as error:
                self.end(error)
                raise
            self.end(None)

        thread.run = watched  # type: ignore[method-assign]  # on the instance


class ThreadHook:
    """Hears of exceptions that end threads; whoever had ``threading.excepthook`` is called as before."""

    def __init__(self, watches: dict[str, ThreadWatch], record: Callable[[BaseException, str], None]) -> None:
        self._watches = watches
        self._record = record
        self._earlier = threading.excepthook
        threading.excepthook = self._hook

    def remove(self) -> None:
        """Give the hook back, unless somebody has taken it since: they call us, and we them."""
        # Bound methods are made anew each time: equal, never identical.
        if threading.excepthook == self._hook:
            threading.excepthook = self._earlier

    def _hook(self, args: Any, /) -> None:
        try:
            error = args.exc_value
            for watch in self._watches.copy().values():
                if watch.target() is args.thread:
                    watch.end(error)
            # By default threading keeps quiet about these.
            if error is not None and not isinstance(error, SystemExit):
                self._record(error, "thread")
        finally:
            self._earlier(args)


class UnraisableHook:
    """Hears of exceptions that can be raised nowhere; an earlier ``sys.unraisablehook`` is called too."""

    def __init__(self, record: Callable[[BaseException, str], None]) -> None:
        self._record = record
        self._earlier = sys.unraisablehook
        sys.unraisablehook = self._hook

    def remove(self) -> None:
        """Give the hook back, unless somebody has taken it since: they call us, and we them."""
        if sys.unraisablehook == self._hook:
            sys.unraisablehook = self._earlier

    def _hook(self, args: Any, /) -> None:
        try:
            if args.exc_value is not None:
                self._record(args.exc_value, "unraisable")
        finally:
            self._earlier(args)


def who_keeps_alive() -> str:
    """The threads that keep the process alive after its main thread: their names."""
    main = threading.main_thread()
    others = [thread for thread in threading.enumerate() if thread is not main and not thread.daemon]
    return ", ".join(sorted(thread.name for thread in others))


def look_at_main_thread() -> tuple[bool, bool]:
    """Whether somebody is debugging the main thread, and whether it has ended.

    What is left of a main thread that has ended is the wait for the other threads: its outermost frame
    is then ``threading._shutdown``, also while workers of an executor are waited for. (No hook tells of
    that reliably: they run last in, first out, and one that blocks keeps the others from running.)
    """
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    debugged = False
    for _ in range(1000):
        if frame is None:
            return debugged, False
        module = str(frame.f_globals.get("__name__", ""))
        debugged = debugged or module.partition(".")[0] in _DEBUGGERS
        if frame.f_back is None:
            return debugged, module == "threading" and frame.f_code.co_name == "_shutdown"
        frame = frame.f_back
    return debugged, False
