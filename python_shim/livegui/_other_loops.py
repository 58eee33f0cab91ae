"""What a test has given to asyncio loops in threads of others. That alone is cancelled: the loops go on."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from livegui import _frames, _owners
from livegui._span import CURRENT
from livegui._tasks import cancel_callbacks_in, is_in_a_group_of_anyio, is_of, loops_in

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from types import CodeType

    from livegui._span import Span

#: How often a loop is looked at again that changes just now.
_TRIES = 5


class OtherLoops:
    """The loops of other threads in which tasks of a span wait."""

    def __init__(self, span: Span) -> None:
        self._span = span
        #: What runs no code of the suite, and what is in a task group of anyio.
        self._of_packages: list[asyncio.Task[Any]] = []
        self._in_groups: list[asyncio.Task[Any]] = []
        self._cancelled: list[asyncio.Task[Any]] = []
        #: The loops, each with what is set when it has cancelled.
        self._asked: list[tuple[Any, threading.Event]] = []

    def cancel(self) -> None:
        """Have each loop cancel the tasks of the span that run code of the suite."""
        for loop in self._loops():
            done = threading.Event()
            with contextlib.suppress(RuntimeError):  # it is closed
                # In the second iteration from now, because a task that was just made has not begun yet.
                loop.call_soon_threadsafe(loop.call_soon, self._cancel_in, loop, done)
                self._asked.append((loop, done))

    def _loops(self) -> Iterator[asyncio.AbstractEventLoop]:
        threads = {thread.ident: thread for thread in threading.enumerate()}
        for ident in sys._current_frames():
            stack = _frames.stack_of(ident)
            thread = threads.get(ident)
            is_own = _owners.owner(thread, stack) is self._span and _owners.is_direct(thread, stack)
            if ident == threading.get_ident() or is_own:
                continue  # a thread of the span ends as a whole
            for loop in loops_in(stack):
                if _may_have_tasks(loop, self._span):
                    yield loop

    def _cancel_in(self, loop: asyncio.AbstractEventLoop, done: threading.Event) -> None:
        span = self._span
        for task in _tasks_of(loop, span):
            coroutines = list(_awaited(task.get_coro()))
            if not any(_frames.is_in_suite(code.co_filename, span.folder) for code in coroutines):
                self._of_packages.append(task)
            elif is_in_a_group_of_anyio(task) and _portal() not in coroutines:
                self._in_groups.append(task)
            else:
                self._cancelled.append(task)
                span.cancelled.append(task)
                task.cancel()
        cancel_callbacks_in(loop, span)
        done.set()

    def wait(self, within_s: float) -> None:
        """Wait until what was cancelled has ended."""
        deadline = time.monotonic() + within_s
        for _, done in self._asked:
            done.wait(max(0.0, deadline - time.monotonic()))
        while any(not task.done() for task in self._cancelled) and time.monotonic() < deadline:
            time.sleep(0.005)

    def left(self) -> Iterator[tuple[str, str]]:
        """The names of the tasks that nobody has cancelled and that still run, and why each goes on."""
        for tasks, why in (
            (self._in_groups, "it runs in a task group of a fixture, and ends with that"),
            (self._of_packages, "it runs no code of the suite, and a package may need it"),
        ):
            yield from ((task.get_name(), why) for task in tasks if not task.done())
        for loop, done in self._asked:
            if not done.is_set():
                why = "the loop in which it waits did not turn, so it was not cancelled"
                yield from ((task.get_name(), why) for task in _tasks_of(loop, self._span))


def _may_have_tasks(loop: Any, span: Span) -> bool:
    """Whether a loop has tasks of a span, or is about to make some."""
    for _ in range(_TRIES):
        with contextlib.suppress(RuntimeError):  # it changes just now
            handles = [*getattr(loop, "_ready", ()), *getattr(loop, "_scheduled", ())]
            contexts = [getattr(handle, "_context", None) for handle in handles]
            is_due = any(context is not None and context.get(CURRENT) is span for context in contexts)
            return is_due or bool(_tasks_of(loop, span))
    return True


def _tasks_of(loop: Any, span: Span) -> list[asyncio.Task[Any]]:
    return [task for task in sys.modules["asyncio"].all_tasks(loop) if is_of(span, task)]


def _awaited(coroutine: Any) -> Iterator[CodeType]:
    """The code of a coroutine, and of those for which it waits."""
    while (code := getattr(coroutine, "cr_code", None) or getattr(coroutine, "gi_code", None)) is not None:
        yield code
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)


def _portal() -> CodeType | None:
    """What runs a coroutine for another thread in anyio. It ends alone, although a task group runs it."""
    portal = getattr(sys.modules.get("anyio.from_thread"), "BlockingPortal", None)
    return getattr(getattr(portal, "_call_func", None), "__code__", None)
