"""The threads in which a test runs its own code: which they are, and how they are stopped."""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from livegui import _frames, _owners
from livegui._livegui import end_thread
from livegui._tasks import is_of, loops_in, loops_in_c

if TYPE_CHECKING:
    import asyncio
    from types import FrameType

    from livegui._span import Span

#: A thread that goes on is stopped again after this, then after twice the time: it may be cleaning up.
_AGAIN_AFTER_S = 1.0


class Workers:
    """The threads of a span that is being stopped."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self._codes = span.codes()
        self._told: dict[int, tuple[float, float]] = {}
        self._pools: set[int] = set()
        self._hook = threading.excepthook

    @functools.cached_property
    def _loops_in_c(self) -> list[asyncio.AbstractEventLoop]:
        return loops_in_c()

    def running(self) -> dict[int, FrameType]:
        """Where each of them is, by its ident.

        These are threads that run the span's function, what was started or submitted during the span, and,
        where that is not known, threads that began during the span and run code of its files.
        """
        main = threading.main_thread().ident
        # Not enumerate(): its lock may be held by what the signal handler has interrupted.
        threads = dict(getattr(threading, "_active", {}))
        found = {}
        for ident in sys._current_frames():
            stack = [] if ident == main else _frames.stack_of(ident)
            own = self._own(ident, threads.get(ident), stack)
            if own is not None:
                found[ident] = own
        return found

    def _own(self, ident: int, thread: threading.Thread | None, stack: list[FrameType]) -> FrameType | None:
        """Where a thread runs code of the span; None if it does not."""
        if not stack:
            return None
        function = next((caller for caller in stack if caller.f_code in self._codes), None)
        owner = _owners.owner(thread, stack)
        if function is not None and owner is not self.span and self._is_step(stack):
            return None  # of somebody else's loop, in which it can be cancelled alone
        if function is not None:
            return function
        if owner is self.span:
            own = _frames.of_suite(stack, self.span.folder)
            return stack[0] if own is None and _owners.is_direct(thread, stack) else own
        if owner is not None or ident in self.span.threads:
            return None
        return next((caller for caller in stack if caller.f_code.co_filename in self.span.files), None)

    def _is_step(self, stack: list[FrameType]) -> bool:
        """Whether this is a step of a task of the span, or a callback."""
        current = [sys.modules["asyncio"].current_task(loop) for loop in loops_in(stack)]
        if any(task is None or is_of(self.span, task) for task in current):
            return True
        in_c = [sys.modules["asyncio"].current_task(loop) for loop in self._loops_in_c]
        frames = [getattr(task.get_coro(), "cr_frame", None) for task in in_c if task is not None]
        return any(frame is not None and frame in stack for frame in frames)

    def may_start(self) -> bool:
        """Whether a thread that began during the span has not reached its code yet."""
        return any(
            all(caller.f_code.co_filename == threading.__file__ for caller in _frames.outwards(frame))
            for ident, frame in sys._current_frames().items()
            if ident not in self.span.threads
        )

    def has_not_begun(self) -> bool:
        """Whether a thread that the span has started does not run yet, as on a busy machine."""
        return any(
            _owners.is_started_for(self.span, thread)
            for thread in list(getattr(threading, "_limbo", {}).values())
        )

    def end(self) -> dict[int, FrameType]:
        """Make each of them end as soon as it runs Python code. Returns those that still run."""
        now = time.monotonic()
        running = self.running()
        for ident in running:
            due, pause = self._told.get(ident, (now, _AGAIN_AFTER_S))
            if now >= due:
                if not self._told:
                    # pytest's hook would warn about each of them.
                    self._hook, threading.excepthook = threading.excepthook, self._on_end
                end_thread(ident)
                self._told[ident] = (now + pause, 2 * pause)
        return running

    def stacks(self) -> list[FrameType]:
        """Where exactly those are that were told to end."""
        return [frame for ident, frame in sys._current_frames().items() if ident in self._told]

    def wake(self) -> None:
        """Make those that wait for a loop or a timer run Python code. Not for a signal handler: it locks."""
        threads = dict(getattr(threading, "_active", {}))
        for ident in self._told:
            thread = threads.get(ident)
            if isinstance(thread, threading.Timer):
                thread.cancel()
            for loop in [*loops_in(_frames.stack_of(ident)), *self._loops_in_c]:
                with contextlib.suppress(RuntimeError):  # it is closed
                    loop.call_soon_threadsafe(_do_nothing)

    def release(self) -> None:
        """All of them have ended."""
        if threading.excepthook == self._on_end:
            threading.excepthook = self._hook

    def _on_end(self, ended: threading.ExceptHookArgs) -> None:
        if ended.exc_type is not SystemExit or getattr(ended.thread, "ident", None) not in self._told:
            self._hook(ended)

    def cancel_what_has_not_started(self, frame: FrameType | None) -> None:
        """Leave a pool that the test waits for nothing to do except what already runs."""
        for caller in _frames.outwards(frame):
            if caller.f_code.co_name != "shutdown":
                continue
            pool = caller.f_locals.get("self")
            if id(pool) not in self._pools and isinstance(pool, _pools()):
                self._pools.add(id(pool))
                # On a separate thread, because the interrupted code may hold the pool's lock.
                options = {"wait": False, "cancel_futures": True}
                threading.Thread(target=pool.shutdown, kwargs=options, daemon=True).start()


def _pools() -> tuple[Any, ...]:
    """The kinds of pool that are in use."""
    kinds = (
        getattr(sys.modules.get("concurrent.futures.thread"), "ThreadPoolExecutor", None),
        getattr(sys.modules.get("concurrent.futures.process"), "ProcessPoolExecutor", None),
    )
    return tuple(kind for kind in kinds if kind is not None)


def _do_nothing() -> None:
    """Wakes a loop."""
