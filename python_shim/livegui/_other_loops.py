"""What a test has given to loops in threads of others. That alone is cancelled: the loops go on."""

from __future__ import annotations

import contextlib
import inspect
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from livegui import _frames, _owners
from livegui._span import CURRENT
from livegui._tasks import (
    IN_A_GROUP,
    cancel_callbacks_in,
    is_in_a_group_of_anyio,
    is_of,
    loaded,
    loops_in,
    loops_in_c,
    tasks_of_trio,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Iterator
    from types import CodeType, FrameType
    from typing import TypeAlias

    from livegui._span import Span

    _Loop: TypeAlias = "_Asyncio | _Trio"

#: How often a loop is looked at again that changes just now.
_TRIES = 5


class OtherLoops:
    """The loops of other threads in which tasks of a span wait."""

    def __init__(self, span: Span) -> None:
        self._span = span
        #: The loops, each with what is set when it has cancelled.
        self._asked: list[tuple[_Loop, threading.Event]] = []
        self._cancelled: list[tuple[_Loop, Any]] = []
        #: What was not cancelled, and why.
        self._spared: list[tuple[_Loop, Any, str]] = []

    def cancel(self) -> None:
        """Have each loop cancel the tasks of the span that run code of the suite."""
        for loop in self._loops():
            if self._may_have_tasks(loop):
                done = threading.Event()
                with contextlib.suppress(RuntimeError):  # it is closed
                    # In the second iteration from now, because a task that was just made has not begun yet.
                    loop.call_soon(loop.call_soon, self._cancel_in, loop, done)
                    self._asked.append((loop, done))

    def _loops(self) -> Iterator[_Loop]:
        threads = {thread.ident: thread for thread in threading.enumerate()}
        in_c = set(loops_in_c())
        for ident in sys._current_frames():
            stack = _frames.stack_of(ident)
            thread = threads.get(ident)
            if ident == threading.get_ident():
                in_c.discard(sys.modules["asyncio"]._get_running_loop() if in_c else None)
            elif _owners.owner(thread, stack) is self._span and _owners.is_direct(thread, stack):
                # It ends as a whole, with its loops.
                in_c.difference_update([loop for loop in in_c if _is_named_in(stack, thread, loop)])
            else:
                yield from map(_Asyncio, loops_in(stack))
                yield from map(_Trio, _runners_of_trio(stack))
        yield from map(_Asyncio, in_c)

    def _may_have_tasks(self, loop: _Loop) -> bool:
        """Whether a loop has tasks of the span, or is about to make some."""
        for _ in range(_TRIES):
            with contextlib.suppress(RuntimeError):  # it changes just now
                return loop.may_begin(self._span) or bool(loop.tasks_of(self._span))
        return True

    def _cancel_in(self, loop: _Loop, done: threading.Event) -> None:
        for task in loop.tasks_of(self._span):
            awaited = list(_awaited(loop.coroutine_of(task)))
            files = [code.co_filename for one in awaited if (code := _code(one)) is not None]
            if not any(_frames.is_in_suite(file, self._span.folder) for file in files):
                self._spared.append((loop, task, "it runs no code of the suite, and a package may need it"))
            elif loop.cancel(task, awaited):
                self._cancelled.append((loop, task))
            else:
                self._spared.append((loop, task, loop.why_not))
        loop.cancel_callbacks(self._span)
        done.set()

    def wait(self, within_s: float) -> None:
        """Wait until what was cancelled has ended."""
        deadline = time.monotonic() + within_s
        for _, done in self._asked:
            done.wait(max(0.0, deadline - time.monotonic()))
        while time.monotonic() < deadline and not all(loop.has_ended(task) for loop, task in self._cancelled):
            time.sleep(0.005)

    def went_on(self) -> Iterator[tuple[str, Any]]:
        """The names and the coroutines of the tasks that were cancelled but still run."""
        for loop, task in self._cancelled:
            if not loop.has_ended(task):
                yield loop.name_of(task), loop.coroutine_of(task)

    def left(self) -> Iterator[tuple[str, str]]:
        """The names of the tasks that nobody has cancelled and that still run, and why each goes on."""
        for loop, task, why in self._spared:
            if not loop.has_ended(task):
                yield loop.name_of(task), why
        for loop, done in self._asked:
            if not done.is_set():
                why = "the loop in which it waits did not turn, so it was not cancelled"
                yield from ((loop.name_of(task), why) for task in loop.tasks_of(self._span))


class _Asyncio:
    """A loop of asyncio, or uvloop's, that turns on another thread."""

    why_not = IN_A_GROUP

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        #: Calls a function in it, in its next iteration.
        self.call_soon = loop.call_soon_threadsafe

    def may_begin(self, span: Span) -> bool:
        """Whether it is about to run what a span has scheduled. uvloop does not tell."""
        if not hasattr(self._loop, "_ready"):
            return True
        handles = [*self._loop._ready, *getattr(self._loop, "_scheduled", ())]
        contexts = [getattr(handle, "_context", None) for handle in handles]
        return any(context is not None and context.get(CURRENT) is span for context in contexts)

    def tasks_of(self, span: Span) -> list[asyncio.Task[Any]]:
        return [task for task in sys.modules["asyncio"].all_tasks(self._loop) if is_of(span, task)]

    def coroutine_of(self, task: asyncio.Task[Any]) -> Any:
        return task.get_coro()

    def name_of(self, task: asyncio.Task[Any]) -> str:
        return task.get_name()

    def has_ended(self, task: asyncio.Task[Any]) -> bool:
        return task.done() or self._loop.is_closed()

    def cancel(self, task: asyncio.Task[Any], awaited: list[Any]) -> bool:
        """Cancel this task, in the loop. Returns False if that would end more than this task."""
        if is_in_a_group_of_anyio(task) and _call_of_portal(awaited) is None:
            return False
        task.cancel()
        return True

    def cancel_callbacks(self, span: Span) -> None:
        """Cancel what code of a span has scheduled, in the loop."""
        cancel_callbacks_in(self._loop, span)


class _Trio:
    """A run of trio on another thread."""

    why_not = "it runs in a nursery of a fixture, or of trio's own, and ends with that"

    def __init__(self, runner: Any) -> None:
        self._root = runner.init_task
        #: Calls a function in it, in its next iteration.
        self.call_soon = runner.current_trio_token().run_sync_soon

    def may_begin(self, _span: Span) -> bool:
        """Whether it is about to run what a span has scheduled. Nothing is: who starts a task there waits."""
        return False

    def tasks_of(self, span: Span) -> list[Any]:
        return list(tasks_of_trio(span, self._root))

    def coroutine_of(self, task: Any) -> Any:
        return task.coro

    def name_of(self, task: Any) -> str:
        return str(task.name)

    def has_ended(self, task: Any) -> bool:
        return inspect.getcoroutinestate(task.coro) == inspect.CORO_CLOSED

    def cancel(self, _task: Any, awaited: list[Any]) -> bool:
        """Cancel this task, in the loop. Returns False if only its nursery can be cancelled as a whole."""
        call = _call_of_portal(awaited)
        future = None if call is None else call.cr_frame.f_locals.get("future")
        return future is not None and bool(future.cancel())

    def cancel_callbacks(self, _span: Span) -> None:
        """Trio has none that wait."""


def _runners_of_trio(stack: Iterable[FrameType]) -> Iterator[Any]:
    """The runs of trio that turn on the stack of a thread."""
    run = getattr(getattr(loaded("trio"), "run", None), "__code__", None)
    for caller in stack:
        runner = caller.f_locals.get("runner") if caller.f_code is run else None
        if getattr(runner, "init_task", None) is not None:
            yield runner


def _is_named_in(stack: list[FrameType], thread: threading.Thread | None, loop: Any) -> bool:
    """Whether what a thread runs is a method of this loop, or knows it under a name."""
    known = [getattr(getattr(thread, "_target", None), "__self__", None)]
    for caller in stack:
        known += caller.f_locals.values()
    runner = getattr(sys.modules["asyncio"], "Runner", None)  # from Python 3.11 on
    return any(one is loop or (type(one) is runner and getattr(one, "_loop", None) is loop) for one in known)


def _awaited(coroutine: Any) -> Iterator[Any]:
    """A coroutine, and those for which it waits."""
    while _code(coroutine) is not None:
        yield coroutine
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)


def _code(coroutine: Any) -> CodeType | None:
    code: CodeType | None = getattr(coroutine, "cr_code", None) or getattr(coroutine, "gi_code", None)
    return code


def _call_of_portal(awaited: list[Any]) -> Any:
    """What runs a coroutine for another thread in anyio. It ends alone, although a task group runs it."""
    portal = getattr(sys.modules.get("anyio.from_thread"), "BlockingPortal", None)
    code = getattr(getattr(portal, "_call_func", None), "__code__", None)
    return next((one for one in awaited if _code(one) is code), None) if code is not None else None
