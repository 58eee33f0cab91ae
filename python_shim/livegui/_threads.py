"""What only Python can see of its threads: which ended and why, and which keep the process alive."""

from __future__ import annotations

import os
import sys
import threading
import weakref

from livegui._crash import describe, format_traceback

TYPE_CHECKING = False  # typing takes a third of the time that the agent's start does
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from livegui._livegui import NativeAgent

#: How many frames one line shows.
_FRAMES = 3
#: Modules of debuggers: a frame of one means that somebody debugs.
_DEBUGGERS = frozenset({"bdb", "pdb", "ipdb", "pudb", "pydevd", "_pydevd_bundle", "debugpy", "pdbpp"})


class ThreadWatch:
    """Watches one thread, through a weak reference.

    If the thread has not started yet, its ``run`` is wrapped, so that its end is known at once. If it
    already runs, an exception is known at once too (``threading.excepthook``), but a plain return only when
    the canary checks.
    """

    def __init__(self, native: NativeAgent, thread: threading.Thread, name: str) -> None:
        self._native = native
        self._name = name
        self.ended = False
        self.target = weakref.ref(thread)
        if thread.ident is None:
            self._wrap_run(thread)

    def forget(self) -> None:
        """Another thread has taken the name. From now on this one is not reported."""
        self.ended = True

    def look(self) -> None:
        """Checks whether the thread lives; the canary calls this a few times a second."""
        thread = self.target()
        if thread is None or (thread.ident is not None and not thread.is_alive()):
            self.end(None)

    def end(self, error: BaseException | None) -> None:
        """The thread ended, because of ``error`` if there is one."""
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
    """Records exceptions that end threads. An earlier ``threading.excepthook`` is still called."""

    def __init__(self, watches: dict[str, ThreadWatch], record: Callable[[BaseException, str], None]) -> None:
        self._watches = watches
        self._record = record
        self._earlier = threading.excepthook
        threading.excepthook = self._hook

    def remove(self) -> None:
        """Restores the earlier hook, unless something else has replaced ours since and may still call it."""
        # Each access makes a new bound method: equal, but never identical.
        if threading.excepthook == self._hook:
            threading.excepthook = self._earlier

    def _hook(self, args: Any, /) -> None:
        try:
            error = args.exc_value
            for watch in self._watches.copy().values():
                if watch.target() is args.thread:
                    watch.end(error)
            # threading ignores these by default.
            if error is not None and not isinstance(error, SystemExit):
                self._record(error, "thread")
        finally:
            self._earlier(args)


class UnraisableHook:
    """Records exceptions that cannot be raised. An earlier ``sys.unraisablehook`` is still called."""

    def __init__(self, record: Callable[[BaseException, str], None]) -> None:
        self._record = record
        self._earlier = sys.unraisablehook
        sys.unraisablehook = self._hook

    def remove(self) -> None:
        """Restores the earlier hook, unless something else has replaced ours since and may still call it."""
        if sys.unraisablehook == self._hook:
            sys.unraisablehook = self._earlier

    def _hook(self, args: Any, /) -> None:
        try:
            if args.exc_value is not None:
                self._record(args.exc_value, "unraisable")
        finally:
            self._earlier(args)


def who_keeps_alive() -> str:
    """The names of the threads that keep the process alive after its main thread ended."""
    main = threading.main_thread()
    others = [thread for thread in threading.enumerate() if thread is not main and not thread.daemon]
    return ", ".join(sorted(thread.name for thread in others))


def main_thread_place() -> str | None:
    """The innermost frames of the main thread, in the words of py-spy: ``wait (app.py:7), called by …``."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    places: list[str] = []
    while frame is not None and len(places) < _FRAMES:
        file = _below_path(frame.f_code.co_filename)
        places.append(f"{frame.f_code.co_name} ({file}:{frame.f_lineno})")
        frame = frame.f_back
    return ", called by ".join(places) or None


def _below_path(file: str) -> str:
    """A file's name without the folder in which Python found it."""
    folders = [folder for folder in sys.path if folder and file.startswith(folder + os.sep)]
    return file[len(max(folders, key=len)) + 1 :] if folders else file


def look_at_main_thread() -> tuple[bool, bool]:
    """Whether a debugger is active in the main thread, and whether the main thread has ended.

    A main thread that has ended still waits for the other threads. Its outermost frame is then
    ``threading._shutdown``, also while it waits for the workers of an executor. (No hook reports that
    reliably, because hooks run last in, first out, and one that blocks keeps the others from running.)
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
