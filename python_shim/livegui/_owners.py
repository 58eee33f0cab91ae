"""Records for which part of a test a thread was started, and work was given to a pool."""

from __future__ import annotations

import concurrent.futures.thread
import functools
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from livegui import _frames
from livegui._span import CURRENT, Span

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

#: On a thread, and on the future of work in a pool: the span. A thread does not inherit the context.
_SPAN = "_livegui_span"
#: On a thread: whether the suite's own code started it, and not a library, or Python's own, which needs it:
#: without its manager thread, a pool of processes would wait for ever.
_DIRECT = "_livegui_direct"
_POOL = concurrent.futures.thread


class Owners:
    """Follows ``Thread.start()`` and ``ThreadPoolExecutor.submit()``, while it is installed."""

    def __init__(self) -> None:
        self._earlier: tuple[Any, Any] | None = None
        self._start: Callable[..., Any] | None = None
        self._submit: Callable[..., Any] | None = None

    def install(self) -> None:
        """Follow them from now on."""
        thread: Any = threading.Thread
        pool: Any = ThreadPoolExecutor
        start, submit = self._earlier = thread.start, pool.submit

        @functools.wraps(start)
        def followed_start(thread: threading.Thread, *args: Any, **kwargs: Any) -> Any:
            _note_thread(thread, sys._getframe(1).f_code.co_filename)
            return start(thread, *args, **kwargs)

        @functools.wraps(submit)
        def followed_submit(pool: ThreadPoolExecutor, /, *args: Any, **kwargs: Any) -> Any:
            future = submit(pool, *args, **kwargs)
            span = _current()
            if span is not None:
                setattr(future, _SPAN, span)
            return future

        self._start, self._submit = followed_start, followed_submit
        thread.start, pool.submit = followed_start, followed_submit

    def uninstall(self) -> None:
        """Follow them no more."""
        if self._earlier is None:
            return
        thread: Any = threading.Thread
        pool: Any = ThreadPoolExecutor
        start, submit = self._earlier
        self._earlier = None
        # Not if something else has replaced them since, which calls ours.
        if thread.start is self._start:
            thread.start = start
        if pool.submit is self._submit:
            pool.submit = submit


def _current() -> Span | None:
    """The span whose code runs, on whichever thread."""
    span = CURRENT.get()
    return span if span is not None else getattr(threading.current_thread(), _SPAN, None)


def _note_thread(thread: threading.Thread, starter: str) -> None:
    if getattr(thread, "_target", None) is getattr(_POOL, "_worker", None):
        return  # a pool's, which works for whoever submits
    span = _current()
    if span is not None:
        setattr(thread, _SPAN, span)
        setattr(thread, _DIRECT, _frames.is_in_suite(starter, span.folder))


def owner(thread: threading.Thread | None, frame: FrameType) -> Span | None:
    """The span for which a thread runs this code; None if that is not known."""
    future = _future_of(frame)
    return getattr(thread if future is None else future, _SPAN, None)


def is_started_for(span: Span, thread: threading.Thread) -> bool:
    """Whether this thread was started for a span."""
    return getattr(thread, _SPAN, None) is span


def is_direct(thread: threading.Thread | None, frame: FrameType) -> bool:
    """Whether all that this thread runs now is its owner's, also where it is library code."""
    return getattr(thread, _DIRECT, False) or _future_of(frame) is not None


def _future_of(frame: FrameType) -> Future[Any] | None:
    """The future of the work that a pool's thread does."""
    run = getattr(getattr(_POOL, "_WorkItem", None), "run", None)
    code = getattr(run, "__code__", None)
    for caller in _frames.outwards(frame):
        if caller.f_code is code:
            future = getattr(caller.f_locals.get("self"), "future", None)
            return future if isinstance(future, Future) else None
    return None
