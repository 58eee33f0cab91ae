"""Records for which part of a test a thread was started, and work was given to a pool."""

from __future__ import annotations

import functools
import sys
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from livegui import _frames
from livegui._span import CURRENT, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import ThreadPoolExecutor
    from types import FrameType

_pool: Any
try:
    import concurrent.futures.thread as _pool
except RuntimeError:  # Python ends, so nobody can make a pool any more
    _pool = None

#: On a thread, and on the future of work in a pool: the span. A thread does not inherit the context.
SPAN = "_livegui_span"
#: On a thread: whether the suite's own code started it, and not a library, or Python's own, which needs it:
#: without its manager thread, a pool of processes would wait for ever.
_DIRECT = "_livegui_direct"


class Owners:
    """Follows ``Thread.start()`` and ``ThreadPoolExecutor.submit()``, while it is installed.

    Args:
        more: what else to follow: the class, the name of its function, and what makes another of that.
    """

    def __init__(self, more: Callable[[], Iterable[tuple[Any, str, Callable[[Any], Any]]]]) -> None:
        self._more = more
        #: What was replaced: the class, the name, the original and ours.
        self._replaced: list[tuple[Any, str, Any, Any]] = []

    def install(self) -> None:
        """Follow them from now on."""
        self._replace(threading.Thread, "start", _following_start)
        if _pool is not None:
            self._replace(_pool.ThreadPoolExecutor, "submit", _following_submit)
        for kind, name, follow in self._more():
            if isinstance(kind, type):  # the suite may have replaced it by a function
                self._replace(kind, name, follow)

    def _replace(self, owner: Any, name: str, follow: Callable[[Any], Any]) -> None:
        original = getattr(owner, name)
        ours = follow(original)
        setattr(owner, name, ours)
        self._replaced.append((owner, name, original, ours))

    def uninstall(self) -> None:
        """Follow them no more."""
        for owner, name, original, ours in self._replaced:
            # Not if something else has replaced it since, which calls ours.
            if getattr(owner, name) is ours:
                setattr(owner, name, original)
        self._replaced.clear()


def _following_start(start: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(start)
    def followed_start(thread: threading.Thread, *args: Any, **kwargs: Any) -> Any:
        _note_thread(thread, sys._getframe(1).f_code.co_filename)
        return start(thread, *args, **kwargs)

    return followed_start


def _following_submit(submit: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(submit)
    def followed_submit(pool: ThreadPoolExecutor, /, *args: Any, **kwargs: Any) -> Any:
        future = submit(pool, *args, **kwargs)
        span = _current()
        if span is not None:
            setattr(future, SPAN, span)
        return future

    return followed_submit


def _current() -> Span | None:
    """The span whose code runs, on whichever thread."""
    span = CURRENT.get()
    return span if span is not None else getattr(threading.current_thread(), SPAN, None)


def _note_thread(thread: threading.Thread, starter: str) -> None:
    if getattr(thread, "_target", None) is getattr(_pool, "_worker", None):
        return  # a pool's, which works for whoever submits
    span = _current()
    if span is not None:
        setattr(thread, SPAN, span)
        setattr(thread, _DIRECT, _frames.is_in_suite(starter, span.folder))


def owner(thread: threading.Thread | None, stack: Iterable[FrameType]) -> Span | None:
    """The span for which a thread runs this code; None if that is not known."""
    return getattr(carrier(thread, stack), SPAN, None)


def carrier(thread: threading.Thread | None, stack: Iterable[FrameType]) -> Any:
    """What has the mark of that span: work in a pool, perhaps only when it has begun, or else the thread."""
    future = _future_of(stack)
    return thread if future is None else future


def is_started_for(span: Span, thread: threading.Thread) -> bool:
    """Whether this thread was started for a span."""
    return getattr(thread, SPAN, None) is span


def is_direct(thread: threading.Thread | None, stack: Iterable[FrameType]) -> bool:
    """Whether all that this thread runs now is its owner's, also where it is library code."""
    return getattr(thread, _DIRECT, False) or _future_of(stack) is not None


def _future_of(stack: Iterable[FrameType]) -> Future[Any] | None:
    """The future of the work that a pool's thread does."""
    run = getattr(getattr(_pool, "_WorkItem", None), "run", None)
    code = getattr(run, "__code__", None)
    for caller in stack:
        if caller.f_code is code:
            future = getattr(caller.f_locals.get("self"), "future", None)
            return future if isinstance(future, Future) else None
    return None
