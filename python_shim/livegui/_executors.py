"""What only Python can do to an executor: look at its flags, and learn who shut it down."""

from __future__ import annotations

import functools
import os
import sys
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from types import FrameType

    from livegui._livegui import NativeAgent

#: Frames of these are never who shut an executor down: they pass on what somebody asked for.
_GO_BETWEENS = ("concurrent.futures", "asyncio", "contextlib", "livegui.")


class ExecutorWatch:
    """Watches one executor; keeps a weak reference only.

    Its ``shutdown`` is wrapped on the instance so that the agent hears of it at once and learns who
    called. The flags are looked at besides: ``ThreadPoolExecutor.shutdown(executor)`` goes past the
    wrap, and a broken executor calls nobody.
    """

    def __init__(self, native: NativeAgent, executor: Executor, name: str) -> None:
        self._native = native
        self._name = name
        self._ended = False
        self._load: tuple[int, int] | None = None
        self.executor = weakref.ref(executor)
        _wrap_shutdown(executor, self._shut_down_by)

    def look(self) -> None:
        """Look at the flags; the canary calls this a few times a second."""
        if self._ended:
            return
        executor = self.executor()
        if executor is None:
            self._ended = True
            self._native.executor_collected(self._name)
            return
        broken = getattr(executor, "_broken", False)
        if broken:
            self._ended = True
            why = broken if isinstance(broken, str) else "a worker died"
            self._native.executor_broken(self._name, why)
        elif getattr(executor, "_shutdown", False) or getattr(executor, "_shutdown_thread", False):
            self._shut_down_by(None)
        else:
            load = _load(executor)
            if load is not None and load != self._load:
                self._load = load
                self._native.executor_observed(self._name, *load)

    def _shut_down_by(self, caller: str | None) -> None:
        self._ended = True
        self._native.executor_shut_down(self._name, caller)


def _wrap_shutdown(executor: Executor, told: Any) -> None:
    reference = weakref.ref(executor)
    # Somebody else's wrap on this instance is kept and called through.
    earlier = vars(executor).get("shutdown")
    by_type = type(executor).shutdown

    @functools.wraps(by_type)
    def shutdown(*args: Any, **kwargs: Any) -> None:
        told(_caller(sys._getframe(1)))
        if earlier is not None:
            earlier(*args, **kwargs)
            return
        executor = reference()
        if executor is not None:
            by_type(executor, *args, **kwargs)

    executor.shutdown = shutdown  # type: ignore[method-assign]  # on the instance, for the caller's name


def _caller(frame: FrameType | None) -> str:
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith(_GO_BETWEENS):
        frame = frame.f_back
    if frame is None:
        return "an unknown caller"
    code = frame.f_code
    return f"{code.co_name}() at {os.path.basename(code.co_filename)}:{frame.f_lineno}"  # noqa: PTH119 -- no pathlib in the GUI


def _load(executor: Any) -> tuple[int, int] | None:
    """Queued work items and workers, as far as the executor tells."""
    try:
        if hasattr(executor, "_pending_work_items"):  # a ProcessPoolExecutor
            return len(executor._pending_work_items), len(executor._processes or ())
        return executor._work_queue.qsize(), len(executor._threads)
    except (AttributeError, TypeError):
        return None  # another kind of executor, or another Python
