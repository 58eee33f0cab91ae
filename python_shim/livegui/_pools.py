"""The pools of an unchanged app: those to which its own code submits work, and work that is refused.

Shutting a pool down is normal, because a ``with`` block does it. Refused work is a problem.
"""

from __future__ import annotations

import contextlib
import sys
import time
import weakref
from typing import TYPE_CHECKING, Any

from livegui._crash import is_library
from livegui._executors import WIRED, ExecutorWatch, broken_because, caller_of, frame_of_caller, refuses

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, ModuleType

    from livegui import Agent
    from livegui._inject import Injection

#: The attribute in which a pool, or a loop, records what shut it down, and when.
_ENDED = "_livegui_ended"
#: The attribute in which a listed pool records its name.
_NAME = "_livegui_name"


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
                self._refused(self_, sys._getframe(1))
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
        pool.__dict__[_NAME] = name[:200]
        known = weakref.ref(pool)
        self._injection.when_watched(lambda agent: _list(agent, known, name[:200]))

    def _refused(self, pool: Any, frame: FrameType) -> None:
        if refuses(pool):
            name = pool.__dict__.get(_NAME) or self._kind
            tell_refusal(self._injection, pool, name, self._kind, frame)


def _list(agent: Agent, pool: weakref.ref[Any], name: str) -> None:
    executor = pool()
    if executor is None or WIRED in executor.__dict__:
        return
    agent._drop_ended()
    with contextlib.suppress(ValueError):  # there are very many
        agent._native.executor_watched(name, type(executor).__name__)
        agent._executors[name] = ExecutorWatch(agent._native, executor, name, wraps=False)
        agent._native.executor_end_expected(name)


def note_end(pool: Any, frame: FrameType) -> None:
    """Record on a pool, or on a loop, that this caller ends it."""
    if _ENDED not in pool.__dict__:
        pool.__dict__[_ENDED] = (caller_of(frame), time.monotonic())


def tell_refusal(injection: Injection, pool: Any, name: str, kind: str, frame: FrameType) -> None:
    """Report that a pool, or a loop with one, has refused the work of this caller, if that counts."""
    if not is_counted(injection, frame) or WIRED in pool.__dict__:
        return
    by, since = pool.__dict__.get(_ENDED, (None, None))
    ago = None if since is None else time.monotonic() - since
    submitter, broken = caller_of(frame), broken_because(pool)
    injection.report(
        lambda agent: agent._native.executor_refused(
            name, kind, by=submitter, ended_by=by, ended_ago_s=ago, broken=broken
        )
    )


def is_counted(injection: Injection, frame: FrameType) -> bool:
    """Whether work of this caller counts: that of the app's own code, or on request that of packages too."""
    caller = frame_of_caller(frame)
    return caller is not None and (injection.library_pools or not is_library(caller.f_code.co_filename))
