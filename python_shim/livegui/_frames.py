"""Tells whose code a thread runs, and gives lines to what a signal handler raised."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import sysconfig
from pathlib import Path
from types import CodeType, TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from types import FrameType

_STANDARD_LIBRARY = tuple({sysconfig.get_path(kind) + os.sep for kind in ("stdlib", "platstdlib")})
#: Not the test's own code, and neither is what called it. livegui's handle counts as the test's, which waits
#: in it.
_PYTEST = ("_pytest", "pluggy", "pytest")
#: How often a thread is looked at whose stack was cut short, and the flags of code that can suspend.
_LOOKS = 100
_SUSPENDS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
#: Libraries whose code keeps the state of a loop.
_LOOPS = ("asyncio", "trio", "anyio", "outcome")
#: Entries that a traceback is shown without.
_NO_NEWS = (
    "_pytest.",
    "pluggy.",
    "livegui._tasks",
    "livegui._abort",
    "livegui._fixtures",
    "livegui._phase",
    "livegui._session",
    "livegui.pytest_plugin",
)
_OURS = (
    "livegui.pytest_plugin",
    "livegui._abort",
    "livegui._fixtures",
    "livegui._phase",
    "livegui._report",
    "livegui._session",
)


def of_test(frame: FrameType | None, runners: Collection[str] = ()) -> list[FrameType]:
    """The test's own frames above pytest's, innermost first; none if other code runs.

    Args:
        frame: where the thread is.
        runners: packages that run tests, whose frames are not the test's.
    """
    found: list[FrameType] = []
    for caller in outwards(frame):
        module = str(caller.f_globals.get("__name__", ""))
        package = module.partition(".")[0]
        if package in _PYTEST or module in _OURS:
            break
        if package != "livegui" and package not in runners and not is_of_the_standard_library(caller.f_code):
            found.append(caller)
    return found


def is_in_code_of_a_loop(frame: FrameType | None) -> bool:
    """Whether a loop's own code is interrupted, perhaps in the standard library, and not what it runs."""
    for caller in outwards(frame):
        package = str(caller.f_globals.get("__name__", "")).partition(".")[0]
        if package in _LOOPS or not is_of_the_standard_library(caller.f_code):
            return package in _LOOPS
    return False


def outwards(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame, and those that called it."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def stack_of(ident: int) -> list[FrameType]:
    """Where another thread is, innermost first, up to its outermost frame; nothing if it does not run Python.

    The thread goes on meanwhile. A coroutine or generator that suspends knows its caller no more, and a stack
    that ends with one was cut short there, so it is looked at again.
    """
    stack: list[FrameType] = []
    for _ in range(_LOOKS):
        stack = list(outwards(sys._current_frames().get(ident)))
        if not stack or not stack[-1].f_code.co_flags & _SUSPENDS:
            break
    return stack


def comes_from_pytest(frame: FrameType | None) -> bool:
    """Whether pytest is on the stack. (A greenlet or another thread has its own stack.)"""
    return any(str(caller.f_globals.get("__name__", "")).startswith("_pytest.") for caller in outwards(frame))


def is_of_the_standard_library(code: CodeType) -> bool:
    """Whether this is Python's own code."""
    file = code.co_filename
    if file.startswith("<frozen "):
        return True
    return file.startswith(_STANDARD_LIBRARY) and "site-packages" not in Path(file).parts


@functools.cache
def is_in_suite(file: str, folder: str) -> bool:
    """Whether a file is in the folder of the suite, and not an installed package's."""
    parts = Path(file).parts
    return file.startswith(folder) and "site-packages" not in parts and "dist-packages" not in parts


def of_suite(stack: Iterable[FrameType], folder: str) -> FrameType | None:
    """The innermost frame of code in the folder of the suite, not counting packages installed there."""
    return next((caller for caller in stack if is_in_suite(caller.f_code.co_filename, folder)), None)


def codes_in(code: CodeType) -> set[CodeType]:
    """The code of a function, and of the functions inside it."""
    found = {code}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= codes_in(constant)
    return found


def where(frame: FrameType, at: FrameType | None = None) -> str:
    """A place for people. If ``at``, the current frame, is given, the call that leads there is named too."""
    place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} in {frame.f_code.co_name}"
    called = next((inner for inner in outwards(at) if inner.f_back is frame), None)
    if called is None or called is frame:
        return place
    return f"{place}, which waits in {getattr(called.f_code, 'co_qualname', called.f_code.co_name)}()"


def without_runners(traceback: TracebackType | None) -> TracebackType | None:
    """A traceback without pytest and livegui, up to the code that waits; all of it if nothing would be left.

    How the standard library waits tells nothing, and pytest parses the source of each file that it shows.
    """
    kept = []
    entry = traceback
    while entry is not None:
        module = str(entry.tb_frame.f_globals.get("__name__", ""))
        if not module.startswith(_NO_NEWS):
            kept.append(entry)
        entry = entry.tb_next
    if not any(not is_of_the_standard_library(entry.tb_frame.f_code) for entry in kept):
        return traceback
    while is_of_the_standard_library(kept[0].tb_frame.f_code):
        del kept[0]
    while is_of_the_standard_library(kept[-1].tb_frame.f_code):
        del kept[-1]
    rest: TracebackType | None = None
    for entry in reversed(kept):
        rest = TracebackType(rest, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return rest


def give_lines(error: BaseException) -> None:
    """Give each entry of an error's traceback, and of the errors that caused it, a line number.

    A signal handler can raise at an instruction without a line (the end of a loop, in Python 3.11), but
    pytest calculates with line numbers.
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
