"""What only Python can do with an executor: read its flags, and find out what shut it down."""

from __future__ import annotations

import _thread
import functools
import os
import sys
import time
import weakref

TYPE_CHECKING = False  # typing takes a third of the time that the agent's start does
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from concurrent.futures import Executor
    from types import FrameType
    from typing import Any

    from livegui._livegui import NativeAgent

#: The flags with which the executors of ``concurrent.futures`` mark that they accept no more work.
_ENDED = ("_broken", "_shutdown", "_shutdown_thread")
#: An attribute that marks an executor as one that reports its refusals itself.
WIRED = "_livegui_wired"
#: The kind of executor that an asyncio loop has by default.
DEFAULT_KIND = "asyncio default executor"
#: Modules whose frames never count as the caller of ``shutdown()``, because they only pass a call on.
_GO_BETWEENS = frozenset({"concurrent", "asyncio", "contextlib", "threading", "livegui"})


def watch(native: NativeAgent, target: Executor | AbstractEventLoop, name: str) -> ExecutorWatch | LoopWatch:
    """Begins to watch an executor, or the default executor of an asyncio loop.

    Raises:
        TypeError: ``target`` is neither.
        ValueError: too many executors and threads are watched.
    """
    from concurrent.futures import Executor  # noqa: PLC0415 -- whoever has one has imported it

    if isinstance(target, Executor):
        native.executor_watched(name, type(target).__name__)
        return ExecutorWatch(native, target, name)
    # An app with a loop has imported asyncio. A GUI without one must not pay for the import.
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and isinstance(target, asyncio.AbstractEventLoop):
        native.executor_watched(name, DEFAULT_KIND)
        return LoopWatch(native, target, name)
    kinds = "a concurrent.futures executor or an asyncio event loop"
    raise TypeError(f"watch_executor() takes {kinds}, not {type(target).__name__}")


class ExecutorWatch:
    """Watches one executor, through a weak reference.

    Its ``shutdown`` is wrapped on the instance, so that the agent knows at once, and knows the caller. The
    canary also reads the flags, because ``ThreadPoolExecutor.shutdown(executor)`` bypasses the wrap, and
    because a broken executor calls nothing. In an unchanged app nothing is wrapped, because a wrap keeps its
    executor alive until the next garbage collection.
    """

    def __init__(self, native: NativeAgent, executor: Executor, name: str, *, wraps: bool = True) -> None:
        self._native = native
        self._name = name
        self.ended = False
        #: Another executor has the name now.
        self._is_forgotten = False
        self._load: tuple[int, int, int] | None = None
        self._finished = _Counter()
        self._ended_by: str | None = None
        self._ended_at: float | None = None
        self.target = weakref.ref(executor)
        if not wraps:
            return
        executor.__dict__[WIRED] = True
        _wrap(executor, "shutdown", self._shut_down_by)
        _tell_refusals(executor, "submit", lambda *_arguments, **_options: refuses(executor), self._refused)
        if native.counts_finished_work:
            _count_finished(executor, self._finished)

    def forget(self) -> None:
        """Another executor has taken the name. From now on this one is not reported."""
        self.ended = self._is_forgotten = True

    def look(self) -> None:
        """Reads the flags; the canary calls this a few times a second."""
        if self.ended:
            return
        executor = self.target()
        if executor is None:
            self.ended = True
            self._native.executor_collected(self._name)
            return
        if has_ended(executor):
            self._shut_down_by(None)
        else:
            load = _load(executor)
            now = None if load is None else (*load, self._finished.count)
            if now is not None and now != self._load:
                self._load = now
                self._native.executor_observed(self._name, *now)

    def _refused(self, caller: str) -> None:
        executor = self.target()
        if executor is None or self._is_forgotten:
            return
        ago = None if self._ended_at is None else time.monotonic() - self._ended_at
        self._native.executor_refused(
            self._name,
            type(executor).__name__,
            by=caller,
            ended_by=self._ended_by,
            ended_ago_s=ago,
            broken=broken_because(executor),
        )

    def _shut_down_by(self, caller: str | None) -> None:
        if self._ended_at is None:
            self._ended_by, self._ended_at = caller, time.monotonic()
        if self.ended:
            return
        self.ended = True
        # A broken executor is usually shut down afterwards, by code that is not to blame.
        broken = broken_because(self.target())
        if broken is not None:
            self._native.executor_broken(self._name, broken)
        else:
            self._native.executor_shut_down(self._name, caller)


class LoopWatch:
    """Watches the default executor of an asyncio loop. The loop creates it when it first needs one."""

    def __init__(self, native: NativeAgent, loop: AbstractEventLoop, name: str) -> None:
        self._native = native
        self._name = name
        self.ended = False
        #: Another loop or executor has the name now.
        self._is_forgotten = False
        self._ended_by: str | None = None
        self._ended_at: float | None = None
        self._inner: ExecutorWatch | None = None
        self.target = weakref.ref(loop)
        loop.__dict__[WIRED] = True
        _wrap(loop, "shutdown_default_executor", self._shut_down_by)
        _wrap(loop, "close", self._shut_down_by)
        _tell_refusals(loop, "run_in_executor", functools.partial(refuses_by_default, loop), self._refused)

    def forget(self) -> None:
        """Another executor has taken the name. From now on this one is not reported."""
        self.ended = self._is_forgotten = True
        if self._inner is not None:
            self._inner.forget()

    def look(self) -> None:
        """Checks the loop and its executor; the canary calls this a few times a second."""
        if self.ended:
            return
        loop = self.target()
        if loop is None:
            self.ended = True
            self._native.executor_collected(self._name)
            return
        executor = getattr(loop, "_default_executor", None)
        if getattr(loop, "_executor_shutdown_called", False) or loop.is_closed():
            self._shut_down_by(None)
        elif executor is not None:
            if self._inner is None or self._inner.target() is not executor:
                if self._inner is not None:
                    self._inner.forget()
                self._inner = ExecutorWatch(self._native, executor, self._name)
            self._inner.look()

    def _refused(self, caller: str) -> None:
        if self._is_forgotten:
            return
        ago = None if self._ended_at is None else time.monotonic() - self._ended_at
        self._native.executor_refused(
            self._name, DEFAULT_KIND, by=caller, ended_by=self._ended_by, ended_ago_s=ago
        )

    def _shut_down_by(self, caller: str | None) -> None:
        if self._ended_at is None:
            self._ended_by, self._ended_at = caller, time.monotonic()
        if not self.ended:
            self.ended = True
            self._native.executor_shut_down(self._name, caller)


class _Counter:
    """Counts finished work items. ``+= 1`` is safe under the GIL; without one, missing a few is harmless."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, _future: object) -> None:
        self.count += 1


def _wrap(target: Any, method: str, told: Callable[[str], None]) -> None:
    """Calls ``told`` with the caller before each ``target.method()``.

    If something else has wrapped the method on this instance, that wrap is kept and called. Like a bound
    method, the wrapper keeps its target alive, so code that has only ``pool.shutdown`` still has the pool.
    """
    original = getattr(target, method)

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        told(caller_of(sys._getframe(1)))
        return original(*args, **kwargs)

    setattr(target, method, wrapper)


def _tell_refusals(
    target: Any, method: str, refuses: Callable[..., bool], told: Callable[[str], None]
) -> None:
    """Calls ``told`` with the caller whenever ``target.method()`` refuses work.

    Args:
        target: an executor, or a loop.
        method: what gives it work.
        refuses: whether that refuses work for good, if it is called with these arguments and fails.
        told: what to call.
    """
    original = getattr(target, method)

    @functools.wraps(original)
    def give(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        except RuntimeError:
            if refuses(*args, **kwargs):
                told(caller_of(sys._getframe(1)))
            raise

    setattr(target, method, give)


def refuses_by_default(loop: Any, executor: Any = None, *_work: Any, **_options: Any) -> bool:
    """Whether a loop refuses the work of this ``run_in_executor()``, because its default executor has ended.

    The loop itself refuses it then, so that no executor hears of it.
    """
    return executor is None and getattr(loop, "_executor_shutdown_called", False) is True


def has_ended(executor: object) -> bool:
    """Whether the executor accepts no more work."""
    return any(getattr(executor, flag, False) for flag in _ENDED)


def refuses(executor: object) -> bool:
    """Whether the executor has ended, or the interpreter has told all executors of this kind to end.

    The interpreter does so when it exits. That alone is no problem, but work submitted afterwards is.
    """
    if has_ended(executor):
        return True
    flags = ("_shutdown", "_global_shutdown")
    modules = [sys.modules.get(kind.__module__) for kind in type(executor).__mro__]
    return any(getattr(module, flag, False) is True for module in modules for flag in flags)


def broken_because(executor: object) -> str | None:
    """Why the executor is broken; None if it is not."""
    broken = getattr(executor, "_broken", False)
    return None if not broken else broken if isinstance(broken, str) else "a worker died"


def _count_finished(executor: Any, finished: _Counter) -> None:
    original = executor.submit

    @functools.wraps(original)
    def submit(*args: Any, **kwargs: Any) -> Any:
        future = original(*args, **kwargs)
        future.add_done_callback(finished.add)
        return future

    executor.submit = submit


def frame_of_caller(frame: FrameType | None) -> FrameType | None:
    """The innermost frame that does more than pass a call on."""
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] in _GO_BETWEENS:
        frame = frame.f_back
    return frame


def caller_of(frame: FrameType | None) -> str:
    """``function() at file:line`` of the app's own code that makes the call, or else the thread that does."""
    frame = frame_of_caller(frame)
    if frame is None:
        return _this_thread()
    code = frame.f_code
    file = os.path.basename(code.co_filename)  # noqa: PTH119 -- no pathlib in the GUI
    return f"{code.co_name}() at {file}:{frame.f_lineno}"


def _this_thread() -> str:
    """What is known of a caller without code of its own: ``Timer "Thread-1"``."""
    threading = sys.modules.get("threading")
    # current_thread() would make an object for a thread that has none.
    thread = None if threading is None else getattr(threading, "_active", {}).get(_thread.get_ident())
    return "an unknown caller" if thread is None else f'{type(thread).__name__} "{thread.name[:200]}"'


def _load(executor: Any) -> tuple[int, int] | None:
    """Queued work items and workers, if the executor reveals them."""
    try:
        if hasattr(executor, "_pending_work_items"):  # a ProcessPoolExecutor
            workers = len(executor._processes or ())
            # Running items count as pending too, and each worker may have taken one.
            return max(0, len(executor._pending_work_items) - workers), workers
        return executor._work_queue.qsize(), len(executor._threads)
    except (AttributeError, TypeError):
        return None  # another kind of executor, or another Python
