"""asyncio as the main loop, or beside another: one call inside the loop.

::

    from livegui.toolkits import asyncio as live_asyncio


    async def main():
        live_asyncio.install(agent)
        ...
        agent.stopping()


    with agent.main_loop():
        asyncio.run(main())
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from livegui import _servers
from livegui._executors import DEFAULT_KIND, refuses_by_default
from livegui._pools import note_end, tell_refusal
from livegui.toolkits._common import give_back_on_stop, raised_in_loop, record_when_watched

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from livegui import Agent
    from livegui._inject import Injection

__all__ = ["install", "patch"]


def install(
    agent: Agent, loop: asyncio.AbstractEventLoop | None = None, *, interval_ms: int | None = 20
) -> None:
    """Watch an event loop; call this on its thread.

    A timer beats. Exceptions that callbacks raise are recorded. So are exceptions of tasks that nobody
    retrieved, once the tasks are garbage-collected. The loop's exception handler, or asyncio's own, is still
    called.

    Args:
        agent: the agent to report to.
        loop: the loop. Default: the running one.
        interval_ms: milliseconds between two beats; None if the app's main loop is another one.

    Raises:
        RuntimeError: ``loop`` is not given, and no loop runs.
    """
    loop = loop or asyncio.get_running_loop()
    loop.set_exception_handler(_Handler(agent, loop.get_exception_handler()))
    give_back_on_stop(agent, loop, _give_back)
    if interval_ms is not None:
        _start_beating(agent, loop, interval_ms)


def _start_beating(agent: Agent, loop: asyncio.AbstractEventLoop, interval_ms: int = 20) -> None:
    loop.call_soon(_beat, agent, loop, interval_ms / 1000)


class _Handler:
    """Records what callbacks raise, and then calls the earlier handler."""

    def __init__(self, agent: Agent, earlier: Callable[..., Any] | None) -> None:
        self._agent = agent
        self.earlier = earlier

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        try:
            if raised := raised_in_loop(context):
                self._agent.record_exception(*raised)
        finally:
            if self.earlier is None:
                loop.default_exception_handler(context)
            else:
                self.earlier(loop, context)


def _give_back(loop: asyncio.AbstractEventLoop) -> None:
    handler = loop.get_exception_handler()
    if isinstance(handler, _Handler):
        loop.set_exception_handler(handler.earlier)


def patch(injection: Injection, module: ModuleType) -> None:
    """Install the agent in an unchanged app when a loop runs on its main thread."""
    from livegui._inject import ASYNCIO  # noqa: PLC0415 -- a wired app must not import it

    def run_forever(original: Callable[..., Any]) -> Callable[..., Any]:
        def run_forever(self: asyncio.AbstractEventLoop) -> None:
            with injection.loop(ASYNCIO, _Wire(self), may_come_back=True):
                original(self)

        return run_forever

    def run_until_complete(original: Callable[..., Any]) -> Callable[..., Any]:
        def run_until_complete(self: asyncio.AbstractEventLoop, future: Any) -> Any:
            # An exception of the app's main coroutine leaves this function, not run_forever().
            with injection.loop(ASYNCIO, _Wire(self), may_come_back=True):
                return original(self, future)

        return run_until_complete

    def call_exception_handler(original: Callable[..., Any]) -> Callable[..., Any]:
        # The app may set a handler at any time, so livegui sets none. Loops of any thread call this.
        def call_exception_handler(self: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            if not isinstance(self.get_exception_handler(), _Handler):  # which the app has installed itself
                record_when_watched(injection, raised_in_loop(context))
            original(self, context)

        return call_exception_handler

    injection.wrap(module.BaseEventLoop, "run_forever", run_forever)
    injection.wrap(module.BaseEventLoop, "run_until_complete", run_until_complete)
    injection.wrap(module.BaseEventLoop, "call_exception_handler", call_exception_handler)
    _patch_default_executor(injection, module)
    _servers.patch(injection, module)


def _patch_default_executor(injection: Injection, module: ModuleType) -> None:
    """Report work that a loop itself refuses, because its default executor has ended."""

    def run_in_executor(original: Callable[..., Any]) -> Callable[..., Any]:
        def run_in_executor(self: Any, executor: Any, func: Any, *args: Any) -> Any:
            try:
                return original(self, executor, func, *args)
            except RuntimeError:
                if refuses_by_default(self, executor):
                    tell_refusal(injection, self, "asyncio", DEFAULT_KIND, sys._getframe(1))
                raise

        return run_in_executor

    def shutdown_default_executor(original: Callable[..., Any]) -> Callable[..., Any]:
        async def shutdown_default_executor(self: Any, *arguments: Any, **options: Any) -> None:
            note_end(self, sys._getframe(1))
            await original(self, *arguments, **options)

        return shutdown_default_executor

    def close(original: Callable[..., Any]) -> Callable[..., Any]:
        def close(self: Any) -> None:
            note_end(self, sys._getframe(1))
            original(self)

        return close

    injection.wrap(module.BaseEventLoop, "run_in_executor", run_in_executor)
    injection.wrap(module.BaseEventLoop, "shutdown_default_executor", shutdown_default_executor)
    injection.wrap(module.BaseEventLoop, "close", close)


class _Wire:
    """Prepares a loop, once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.key = loop

    def __call__(self, agent: Agent) -> None:
        _start_beating(agent, self._loop)


def _beat(agent: Agent, loop: asyncio.AbstractEventLoop, interval_s: float) -> None:
    if not agent.stopped and not loop.is_closed():
        agent.beat()
        loop.call_later(interval_s, _beat, agent, loop, interval_s)
