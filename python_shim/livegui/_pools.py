"""The pools of an unchanged app: those to which its own code submits work, and work that is refused.

Shutting a pool down is normal, because a ``with`` block does it. Refused work is a problem.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
import weakref
from typing import TYPE_CHECKING, Any

from livegui._crash import is_library
from livegui._executors import WIRED, ExecutorWatch, broken_because, caller_of, frame_of_caller, refuses

if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from types import FrameType, ModuleType

    from livegui import Agent
    from livegui._inject import Injection

#: The attribute in which a pool, or a loop, records what shut it down, and when.
_ENDED = "_livegui_ended"
#: The attribute in which a listed pool records its name.
_NAME = "_livegui_name"
#: The longest name, in characters.
_NAME_LENGTH = 200


def patch(injection: Injection, module: ModuleType) -> None:
    """Watch what is submitted to the pools of this module."""
    for kind in ("ThreadPoolExecutor", "ProcessPoolExecutor"):
        cls = vars(module).get(kind)
        if cls is not None:
            pools = _Pools(injection, kind)
            injection.wrap(cls, "submit", pools.submit)
            injection.wrap(cls, "shutdown", pools.shutdown)


class _Pools:
    """The pools of one kind."""

    def __init__(self, injection: Injection, kind: str) -> None:
        self._injection = injection
        self._kind = kind
        self._count = 0

    def submit(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Lists a pool at its first work that counts, and reports work that it refuses."""

        def submit(self_: Any, fn: Any, /, *arguments: Any, **options: Any) -> Any:
            try:
                future = original(self_, fn, *arguments, **options)
            except RuntimeError:
                self._refused(self_, fn, sys._getframe(1))
                raise
            if _NAME not in self_.__dict__:
                self._know(self_, sys._getframe(1))
            return future

        return submit

    def shutdown(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Records what shut the pool down."""

        def shutdown(self_: Any, *arguments: Any, **options: Any) -> Any:
            note_end(self_, sys._getframe(1))
            return original(self_, *arguments, **options)

        return shutdown

    def _know(self, pool: Any, frame: FrameType) -> None:
        """List a pool at the first work that the app itself submits, without making its end a reason."""
        if WIRED in pool.__dict__ or not is_counted(self._injection, frame):
            return
        self._count += 1
        prefix = str(getattr(pool, "_thread_name_prefix", "")) or self._kind
        name = prefix if not prefix.startswith("ThreadPoolExecutor") else f"{self._kind}-{self._count}"
        pool.__dict__[_NAME] = name[:_NAME_LENGTH]
        known = weakref.ref(pool)
        self._injection.when_watched(lambda agent: _list(agent, known))

    def _refused(self, pool: Any, work: Any, frame: FrameType) -> None:
        if refuses(pool):
            name = pool.__dict__.get(_NAME)
            is_own = name is not None or _is_own(work)
            tell_refusal(self._injection, pool, name or self._kind, self._kind, frame, is_own=is_own)


def _list(agent: Agent, pool: weakref.ref[Any]) -> None:
    executor = pool()
    if executor is None or WIRED in executor.__dict__:
        return
    agent._drop_ended()
    name = executor.__dict__[_NAME] = _free_name(executor.__dict__[_NAME], agent._executors)
    with contextlib.suppress(ValueError):  # there are very many
        agent._native.executor_watched(name, type(executor).__name__)
        agent._executors[name] = ExecutorWatch(agent._native, executor, name, wraps=False)
        agent._native.executor_end_expected(name)


def _free_name(name: str, taken: Container[str]) -> str:
    """This name, or this name with a number if a pool that is still watched has it."""
    numbers = itertools.count(2)
    free = name
    while free in taken:
        number = f"-{next(numbers)}"
        free = name[: _NAME_LENGTH - len(number)] + number
    return free


def note_end(pool: Any, frame: FrameType) -> None:
    """Record on a pool, or on a loop, that this caller ends it."""
    if _ENDED not in pool.__dict__:
        pool.__dict__[_ENDED] = (caller_of(frame), time.monotonic())


def tell_refusal(
    injection: Injection, pool: Any, name: str, kind: str, frame: FrameType, *, is_own: bool = False
) -> None:
    """Report that a pool, or a loop with one, has refused the work of this caller, if that counts.

    Args:
        injection: what has the agent.
        pool: the pool or the loop.
        name: its name in reports.
        kind: what it is.
        frame: the caller.
        is_own: whether it counts if the caller has no code of its own, as a ``threading.Timer``.
    """
    is_direct = is_own and frame_of_caller(frame) is None
    if not (is_direct or is_counted(injection, frame)) or WIRED in pool.__dict__:
        return
    by, since = pool.__dict__.get(_ENDED, (None, None))
    ago = None if since is None else time.monotonic() - since
    submitter, broken = caller_of(frame), broken_because(pool)
    injection.report(
        lambda agent: agent._native.executor_refused(
            name, kind, by=submitter, ended_by=by, ended_ago_s=ago, broken=broken
        )
    )


def _is_own(work: Any) -> bool:
    """Whether this is a function of the app's own code."""
    code = getattr(work, "__code__", None)
    return code is not None and not is_library(code.co_filename)


def is_counted(injection: Injection, frame: FrameType) -> bool:
    """Whether work of this caller counts: that of the app's own code, or on request that of packages too."""
    caller = frame_of_caller(frame)
    return caller is not None and (injection.library_pools or not is_library(caller.f_code.co_filename))
