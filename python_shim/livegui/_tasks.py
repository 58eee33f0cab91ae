"""The tasks of a test in asyncio's and trio's loops: which are its own, and how they are stopped.

A task is the test's if its context carries the mark of the span that is being stopped. If a runner has one
loop for many tests, its task is older than the test. Then the test's coroutine sets the mark itself, and
turns the end of the task into the verdict before it reaches the runner (:func:`entering`).
"""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
import sys
from contextvars import Context
from types import MethodType
from typing import TYPE_CHECKING, Any

from livegui import _frames
from livegui._span import CURRENT, Span

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Set
    from types import FrameType

    from livegui._abort import Abort


_IS_ASYNC = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE


def is_of(span: Span, task: Any) -> bool:
    """Whether a task, asyncio's or trio's, belongs to a span."""
    context = getattr(task, "context", None)  # trio's
    if context is None and hasattr(task, "get_context"):
        context = task.get_context()
    elif context is None:  # before Python 3.12 only the garbage collector can find it
        context = next((found for found in gc.get_referents(task) if isinstance(found, Context)), None)
    return context is not None and context.get(CURRENT) is span


class Waiting:
    """The loops in which tasks of a span wait, as seen from a signal handler of this thread."""

    def __init__(self, span: Span, entered: list[Callable[[], object]], frame: FrameType | None) -> None:
        self.requests = list(entered)
        #: Whether the interrupted code is a step of one of these tasks.
        self.is_step = False
        self._look_at_asyncio(span, frame)
        self._look_at_trio(span)

    def ask_to_end(self) -> None:
        """Make every loop cancel them, in its next iteration."""
        for request in self.requests:
            with contextlib.suppress(RuntimeError):  # that loop is closed
                request()

    def _look_at_asyncio(self, span: Span, frame: FrameType | None) -> None:
        asyncio = loaded("asyncio")
        if asyncio is None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if not _turns_here(loop, frame):
            return
        current = asyncio.current_task(loop)
        self.is_step |= current is not None and is_of(span, current)
        if self.requests:
            return
        if any(is_of(span, task) for task in asyncio.all_tasks(loop)):
            self.requests.append(functools.partial(loop.call_soon_threadsafe, _cancel_all, loop, span))
        elif not span.entered and (task := _awaited_by_runner(frame)) is not None:
            self.is_step = task is current
            self.requests.append(functools.partial(loop.call_soon_threadsafe, task.cancel))

    def _look_at_trio(self, span: Span) -> None:
        trio = loaded("trio")
        if trio is None:
            return
        lowlevel = trio.lowlevel
        try:
            token, root = lowlevel.current_trio_token(), lowlevel.current_root_task()
        except RuntimeError:
            return  # it does not run on this thread
        with contextlib.suppress(RuntimeError):
            self.is_step |= is_of(span, lowlevel.current_task())
        if not self.requests and any(True for _scope in _scopes_of(span, root)):
            self.requests.append(functools.partial(token.run_sync_soon, _cancel_scopes, span, root))


def loaded(name: str) -> Any:
    """A library, if it is in use. A signal handler must not import: the interrupted code may be importing."""
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    return None if getattr(spec, "_initializing", False) else module


def _turns_here(loop: asyncio.AbstractEventLoop, frame: FrameType | None) -> bool:
    """Whether this thread is in the running loop. With greenlets, it may be on another stack."""
    asyncio = sys.modules["asyncio"]
    if not isinstance(loop, asyncio.BaseEventLoop):
        return loop.is_running()  # written in C, like uvloop, so it has no frames
    code = asyncio.BaseEventLoop.run_forever.__code__
    return any(caller.f_code is code for caller in _frames.outwards(frame))


def _awaited_by_runner(frame: FrameType | None) -> asyncio.Task[Any] | None:
    """The task for whose end pytest, or unittest, runs this loop."""
    if not _frames.comes_from_pytest(frame):
        return None
    asyncio = sys.modules["asyncio"]
    code = asyncio.BaseEventLoop.run_until_complete.__code__
    for caller in _frames.outwards(frame):
        if caller.f_code is code:
            future = caller.f_locals.get("future")
            return future if isinstance(future, asyncio.Task) and not future.done() else None
    return None


def _cancel_all(
    loop: asyncio.AbstractEventLoop, span: Span, but: Set[asyncio.Task[Any]] = frozenset()
) -> None:
    for task in sys.modules["asyncio"].all_tasks(loop):
        if task not in but and is_of(span, task) and not is_in_a_group_of_anyio(task):
            span.cancelled.append(task)
            task.cancel()


#: Why a task that such a group runs is not cancelled alone.
IN_A_GROUP = "it runs in a task group of a fixture, and ends with that"


def is_in_a_group_of_anyio(task: asyncio.Task[Any]) -> bool:
    """Whether a task group of anyio started it.

    The group cancels it, when that is the test's own. If it is a fixture's, the end of one task would cancel
    the whole group, and with it the runner, which waits inside the fixture.
    """
    states = getattr(loaded("anyio._backends._asyncio"), "_task_states", {})
    return getattr(states.get(task), "parent_id", None) is not None


def finish(span: Span, within_s: float) -> None:
    """Run the loops in which tasks were cancelled, so that these clean up before the next test."""
    by_loop: dict[asyncio.AbstractEventLoop, set[asyncio.Task[Any]]] = {}
    for task in still_running(span):
        by_loop.setdefault(task.get_loop(), set()).add(task)
    if not by_loop or _runs_asyncio():
        return
    wait = sys.modules["asyncio"].wait
    for loop, tasks in by_loop.items():
        if not loop.is_running():
            with contextlib.suppress(RuntimeError):  # another thread has just begun to run it, or stops it
                loop.run_until_complete(wait(tasks, timeout=within_s))


def cancel_callbacks(span: Span) -> None:
    """Cancel what its code has scheduled in loops that go on. uvloop does not list that."""
    for loop in span.loops:
        if not loop.is_running():
            cancel_callbacks_in(loop, span)


def cancel_callbacks_in(loop: asyncio.AbstractEventLoop, span: Span) -> None:
    """The same in one loop, which must not run on another thread."""
    for handle in [*getattr(loop, "_scheduled", ()), *getattr(loop, "_ready", ())]:
        context, callback = getattr(handle, "_context", None), getattr(handle, "_callback", None)
        if context is not None and context.get(CURRENT) is span and _is_of_suite(span, callback):
            handle.cancel()


def loops_in(stack: Iterable[FrameType]) -> Iterator[asyncio.AbstractEventLoop]:
    """The asyncio loops that turn on the stack of a thread."""
    base = getattr(loaded("asyncio"), "BaseEventLoop", None)
    if base is None:
        return
    for caller in stack:
        if caller.f_code is base.run_forever.__code__:
            yield caller.f_locals["self"]


def loops_in_c() -> list[asyncio.AbstractEventLoop]:
    """The running asyncio loops that leave no frame on a stack, like uvloop's, on whichever thread."""
    asyncio = loaded("asyncio")
    kinds = set() if asyncio is None else _subclasses(asyncio.AbstractEventLoop, but=asyncio.BaseEventLoop)
    if not kinds:
        return []  # only the garbage collector can list them, which takes time
    return [one for one in gc.get_objects() if type(one) in kinds and _is_running(one)]


def _is_running(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return loop.is_running()
    except Exception:  # noqa: BLE001 -- the suite's own, which lacks this, or has just been made
        return False


def _subclasses(kind: type, *, but: type) -> set[type]:
    inner: list[type] = type.__subclasses__(kind)
    own = {one for one in inner if one is not but}
    return own.union(*(_subclasses(one, but=but) for one in own))


def _is_of_suite(span: Span, callback: Any) -> bool:
    """Whether this is the suite's code. What a library schedules may be for all its users."""
    while isinstance(callback, functools.partial):
        callback = callback.func
    code = getattr(callback, "__code__", None)
    return code is not None and _frames.is_in_suite(code.co_filename, span.folder)


def _runs_asyncio() -> bool:
    try:
        sys.modules["asyncio"].get_running_loop()
    except RuntimeError:
        return False
    return True


def still_running(span: Span) -> list[Any]:
    """The tasks that were cancelled but have not ended, in a loop that is not closed."""
    tasks = {task for task in span.cancelled if not task.done() and not task.get_loop().is_closed()}
    return [task for task in tasks if is_of(span, task)]


def _scopes_of(span: Span, task: Any) -> Iterator[Any]:
    """The cancel scopes of trio's nurseries whose children belong to a span, the outermost of each."""
    nurseries = getattr(task, "child_nurseries", ())
    if getattr(task, "parent_nursery", task) is None:
        nurseries = nurseries[-1:]  # of the root: the others have trio's own tasks
    for nursery in nurseries:
        if any(is_of(span, child) for child in nursery.child_tasks):
            yield nursery.cancel_scope
        else:
            for child in nursery.child_tasks:
                yield from _scopes_of(span, child)


def _cancel_scopes(span: Span, root: Any) -> None:
    for scope in list(_scopes_of(span, root)):
        scope.cancel()


def entering(function: Callable[..., Any], abort: Abort) -> Callable[..., Any] | None:
    """The same coroutine function, or asynchronous generator, with its tasks marked; None for any other."""
    if inspect.ismethod(function):
        inner = entering(function.__func__, abort)
        return None if inner is None else MethodType(inner, function.__self__)
    code = getattr(function, "__code__", None)
    if code is not None and not code.co_flags & _IS_ASYNC:
        return None  # usually; the checks below take time
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            with inside(abort):
                return await function(*args, **kwargs)

        return coroutine
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
            values = function(*args, **kwargs)
            scopes: list[Any] = []
            try:
                while True:
                    with inside(abort, scopes):
                        try:
                            value = await values.__anext__()
                        except StopAsyncIteration:
                            return
                    yield value
            finally:
                await values.aclose()
                while scopes:
                    scopes.pop().__exit__(None, None, None)

        return generator
    return None


@contextlib.contextmanager
def inside(abort: Abort, scopes: list[Any] | None = None) -> Iterator[None]:
    """In a task of a runner: from here on it belongs to the test, and the verdict ends it.

    Args:
        abort: what ends it.
        scopes: for a generator, the cancel scopes that stay open while it is suspended.
    """
    span, before = abort.span, CURRENT.get()
    CURRENT.set(span)
    way_in: contextlib.AbstractContextManager[None]
    if _is_in_trio():
        way_in = _into_trio(abort, span, scopes)
    elif (task := _asyncio_task()) is not None:
        way_in = _into_asyncio(abort, span, task)
    else:
        way_in = _into_another(abort)
    try:
        with way_in:
            yield
    finally:
        # Restore the context, for what shares it or compares it.
        CURRENT.set(before)


def _is_in_trio() -> bool:
    trio = loaded("trio")
    if trio is None:
        return False
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True


def _asyncio_task() -> asyncio.Task[Any] | None:
    module = loaded("asyncio")
    if module is None:
        return None
    with contextlib.suppress(RuntimeError):  # no loop runs
        task: asyncio.Task[Any] | None = module.current_task()
        return task
    return None


@contextlib.contextmanager
def _into_another(abort: Abort) -> Iterator[None]:
    """Something else drives the coroutine. What waits is the driver, or the test's own code."""
    try:
        yield
    except BaseException as error:
        abort.reraise(error)
        raise


@contextlib.contextmanager
def _into_asyncio(abort: Abort, span: Span, task: asyncio.Task[Any]) -> Iterator[None]:
    asyncio = sys.modules["asyncio"]
    loop = task.get_loop()
    # The test has not begun, so these are the runner's, which waits for this one in another task.
    runners = {other for other in asyncio.all_tasks(loop) if other is not task and is_of(span, other)}
    request = functools.partial(loop.call_soon_threadsafe, _cancel_all, loop, span, runners)
    span.loops.append(loop)
    try:
        with abort.entered(request):
            yield
    except asyncio.CancelledError as error:
        if abort.told is None:
            raise
        # The runner's task goes on, because the tests that follow need it.
        while hasattr(task, "uncancel") and task.uncancel() > 0:
            pass
        abort.ended_at = error.__traceback__
        raise abort.aborted() from None
    except BaseException as error:
        abort.reraise(error)
        raise
    finally:
        if abort.told is not None:
            others = asyncio.all_tasks(loop) - runners - {task}
            span.left += [
                other.get_name() for other in others if is_of(span, other) and is_in_a_group_of_anyio(other)
            ]


@contextlib.contextmanager
def _into_trio(abort: Abort, span: Span, scopes: list[Any] | None) -> Iterator[None]:
    trio: Any = sys.modules["trio"]
    token, task = trio.lowlevel.current_trio_token(), trio.lowlevel.current_task()
    root = trio.lowlevel.current_root_task()
    scope = scopes.pop() if scopes else trio.CancelScope().__enter__()
    error: BaseException | None = None
    try:
        with abort.entered(functools.partial(token.run_sync_soon, scope.cancel)):
            yield
    except BaseException as caught:  # noqa: BLE001 -- the scope decides about it
        error = caught
        if isinstance(error, trio.Cancelled):
            abort.ended_at = error.__traceback__
    if abort.told is not None:
        span.left += [other.name for other in tasks_of_trio(span, root) if other is not task]
    if error is None and scopes is not None and not _is_innermost(scope, task):
        scopes.append(scope)  # a fixture holds one of its own over its yield, which must be closed first
        return
    _leave(scope, error, abort)
    if scope.cancelled_caught:
        raise abort.aborted()


def _is_innermost(scope: Any, task: Any) -> bool:
    """Whether no other cancel scope, or nursery, is open inside this one."""
    return getattr(task, "_cancel_status", None) is getattr(scope, "_cancel_status", None)


def _leave(scope: Any, error: BaseException | None, abort: Abort) -> None:
    """Close a cancel scope in which there was this error."""
    try:
        with contextlib.ExitStack() as stack:
            stack.push(scope.__exit__)
            if error is not None:
                raise error
    except BaseException as left:
        abort.reraise(left)
        raise


def tasks_of_trio(span: Span, task: Any) -> Iterator[Any]:
    """The tasks of trio, from this one on, that belong to a span."""
    if is_of(span, task):
        yield task
    for nursery in getattr(task, "child_nurseries", ()):
        for child in nursery.child_tasks:
            yield from tasks_of_trio(span, child)
