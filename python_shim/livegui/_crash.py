"""The context around an app's main loop."""

from __future__ import annotations

import os
import sys
import threading

TYPE_CHECKING = False  # typing takes a third of the time that the agent's start does
if TYPE_CHECKING:
    from types import TracebackType

    from livegui._livegui import NativeAgent


#: After an app has left its loop for now, the agent excuses the missing beats for at most a day.
_AWAY_S = 24 * 60 * 60.0
#: An app that has come back to its loop this many times does so again and again. One that has not may only
#: have used it to start, and now be in a loop of its own that cannot be seen.
_RETURNS = 3


class MainLoop:
    """Reports to the agent how the main loop was left. Exceptions pass through."""

    def __init__(self, native: NativeAgent) -> None:
        self._native = native
        #: The threads that are in it; usually one.
        self._inside: list[int] = []
        #: The open pause since a loop was left that may be entered again.
        self._away: int | None = None
        #: How often one was entered again.
        self.returns = 0
        #: Where ``sys.exit()`` was last called, if a toolkit's adapter records that.
        self._last_exit: str | None = None
        #: The unhandled ``sys.exit()`` that has left a loop which may be entered again.
        self._left_by: str | None = None
        #: Whether a toolkit's loop has returned, with which the app ends unless another one is entered.
        self.has_returned = False
        #: Whether an exception that ends the program is reported even if no hook was called for it.
        self.ends_with_program = False
        #: Whether the end of this loop was reported.
        self._is_over = False

    def __enter__(self) -> None:
        self._inside.append(threading.get_ident())
        self._is_over = False
        # asyncio runs its loop again, to clean up, while the exception propagates.
        if not isinstance(sys.exc_info()[1], SystemExit):
            self._left_by = None
        self._native.main_loop_entered()
        self.come_back()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._inside.remove(threading.get_ident())
        self.end_by(error)

    def end_by(self, error: BaseException | None) -> None:
        """The loop is over, because of this exception if there is one."""
        self._is_over = True
        if error is None:
            self._native.main_loop_exited(None)
        elif isinstance(error, (SystemExit, KeyboardInterrupt, GeneratorExit)):
            # It was asked to end, so it is not broken.
            self._native.main_loop_exited(exit_of(error))
        else:
            self._native.main_loop_crashed(describe(error), format_traceback(error))

    def is_inside(self) -> bool:
        """Whether any thread is in the main loop."""
        return bool(self._inside)

    def leave_for_now(self, error: BaseException | None, *, may_end: bool = False) -> None:
        """The loop was left, but may be entered again. Until then no beat is expected.

        A beat before a hand-over is expected of an app that usually comes back soon, and of one that may end
        instead (``may_end``).
        """
        self._inside.remove(threading.get_ident())
        if isinstance(error, SystemExit):
            self._left_by = exit_of(error)
        self.come_back()
        self.has_returned = may_end
        self._native.tell_open([])  # what was open in that loop is over
        usable = self.returns < _RETURNS and not may_end
        self._away = self._native.pause("outside of the main loop", _AWAY_S, usable)

    @property
    def is_away(self) -> bool:
        """Whether the loop was left for now."""
        return self._away is not None

    def come_back(self) -> None:
        """A loop is entered after it was left for now."""
        self.has_returned = False
        away, self._away = self._away, None
        if away is not None:
            self.returns += 1
            self._native.resume(away)

    def note_exit(self, status: object, where: str) -> None:
        """``sys.exit(status)`` is called. This is reported only if it ends the process right here."""
        if threading.get_ident() in self._inside:
            self._last_exit = _exit_words(status, where)

    def exit_from_inside(self, where: str) -> None:
        """Report, when the interpreter exits, whether ``sys.exit()`` in the loop caused it.

        If this thread is still in the loop, no exception has left it.
        """
        if threading.get_ident() in self._inside:
            inside = f" inside of the main loop at {where}" if where else " inside of the main loop"
            self._native.main_loop_exited(self._last_exit or f"sys.exit(){inside}")
        elif self._left_by is not None:
            self._native.main_loop_exited(self._left_by)
        else:
            self.end_with_program()

    def end_with_program(self) -> None:
        """The program ends. If an exception ends it, report that, unless it was reported before."""
        error = what_ended_the_program() if self.ends_with_program and not self._is_over else None
        if error is None:
            self.end_if_returned()
        else:
            self.end_by(error)

    def end_if_returned(self) -> None:
        """The program ends. If its loop had returned, that was on purpose."""
        if self.has_returned:
            self.has_returned = False
            self._native.stopping()
            self._native.main_loop_exited(None)


def what_ended_the_program() -> BaseException | None:
    """The exception that has ended the main thread, if there is one. Python keeps it, whoever prints it."""
    error = getattr(sys, "last_value", None)
    entry = getattr(error, "__traceback__", None)
    # Python also keeps exceptions that it has printed for a toolkit, for which others called the code.
    if entry is None or entry.tb_frame.f_back is not None:
        return None
    name, function = entry.tb_frame.f_globals.get("__name__"), entry.tb_frame.f_code.co_name
    is_main = (name == "__main__" and function == "<module>") or function == "_run_module_as_main"
    return error if is_main and isinstance(error, BaseException) else None


def describe(error: BaseException) -> str:
    """``Type: text`` on one line. Never raises, even if the exception's own ``__str__`` does."""
    try:
        # Needed once, at a crash, and importing livegui must be cheap. While Python ends, it may fail.
        import traceback  # noqa: PLC0415

        return "".join(traceback.format_exception_only(type(error), error)).strip()
    except Exception:  # noqa: BLE001 -- whatever an exception's own methods raise
        return type(error).__name__


def format_traceback(error: BaseException) -> str | None:
    """The traceback as Python prints it, with causes. The native side limits its length. Never raises."""
    try:
        import traceback  # noqa: PLC0415 -- as above

        return "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception:  # noqa: BLE001 -- whatever an exception's own methods raise
        return None


def place_of(error: BaseException) -> str:
    """``file:line in function`` of the innermost frame of the app's own code; empty if there is none."""
    entry, innermost, own = error.__traceback__, "", ""
    while entry is not None:
        code = entry.tb_frame.f_code
        innermost = _place(code.co_filename, entry.tb_lineno, code.co_name)
        if not is_library(code.co_filename):
            own = innermost
        entry = entry.tb_next
    return own or innermost


def exit_of(error: BaseException) -> str:
    """How the app ended itself, for example ``sys.exit(3) at app.py:41``."""
    if isinstance(error, SystemExit):
        return _exit_words(error.code, _file_and_line(place_of(error)))
    where = _file_and_line(place_of(error))
    return f"{describe(error)} at {where}" if where else describe(error)


def _exit_words(status: object, where: str) -> str:
    try:
        what = "sys.exit()" if status is None else f"sys.exit({status!r:.200})"
    except Exception:  # noqa: BLE001 -- whatever a status's own methods raise
        what = "sys.exit()"
    return f"{what} at {where}" if where else what


def _file_and_line(place: str) -> str:
    return place.rpartition(" in ")[0]


def caller_place() -> str:
    """``file:line`` of the innermost frame of the app's own code on this thread; empty if there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        if not is_library(frame.f_code.co_filename):
            return _file_and_line(_place(frame.f_code.co_filename, frame.f_lineno, ""))
        frame = frame.f_back  # type: ignore[assignment]
    return ""


_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120 -- no pathlib in the GUI
_OURS = os.path.dirname(__file__) + os.sep  # noqa: PTH120


def is_library(file: str) -> bool:
    """Whether a file does not belong to the app's own code."""
    if file.startswith((_STANDARD_LIBRARY, _OURS, "<frozen ")):
        return True
    folders = file.replace("\\", "/").split("/")
    return "site-packages" in folders or "dist-packages" in folders


def _place(file: str, line: int | None, function: str) -> str:
    try:
        here = os.getcwd() + os.sep  # noqa: PTH109
    except OSError:
        here = "\0"
    file = file[len(here) :] if file.startswith(here) else file
    return f"{file}:{line} in {function}"
