"""The hook servers of an unchanged app. If a thread that serves ends with an exception, that is reported."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from livegui._crash import describe, format_traceback

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from livegui import Agent
    from livegui._inject import Injection

#: What serves until it is told to end, by module: class and functions.
_SERVING = {
    "socketserver": ("BaseServer", ["serve_forever"]),
    "uvicorn.server": ("Server", ["run", "serve"]),
}
#: What ends a coroutine from outside.
_CALLED_OFF = ("CancelledError", "GeneratorExit")
#: The flag of a coroutine function's code. What `inspect` imports, the app may not need.
_CO_COROUTINE = 0x80
#: The attribute that marks an exception as reported, because one function that serves may call another.
_TOLD = "_livegui_told"


def patch(injection: Injection, module: ModuleType) -> None:
    """Report what leaves the servers of this module."""
    class_name, names = _SERVING[module.__name__]
    for name in names:
        injection.wrap(getattr(module, class_name), name, lambda serve: _serving(injection, serve))


def _serving(injection: Injection, serve: Callable[..., Any]) -> Callable[..., Any]:
    def serving(*arguments: Any, **options: Any) -> Any:
        try:
            return serve(*arguments, **options)
        except BaseException as error:
            _report(injection, error)
            raise

    async def serving_in_a_loop(*arguments: Any, **options: Any) -> Any:
        try:
            return await serve(*arguments, **options)
        except BaseException as error:
            _report(injection, error)
            raise

    return serving_in_a_loop if serve.__code__.co_flags & _CO_COROUTINE else serving


def _report(injection: Injection, error: BaseException) -> None:
    thread = threading.current_thread()
    called_off = type(error).__name__ in _CALLED_OFF or hasattr(error, _TOLD)
    if called_off or thread is threading.main_thread() or sys.is_finalizing():
        return
    error.__dict__[_TOLD] = True
    name, why, where = thread.name[:200], describe(error), format_traceback(error)
    injection.when_watched(lambda agent: _died(agent, name, why, where))


def _died(agent: Agent, name: str, why: str, where: str | None) -> None:
    agent._native.thread_watched(name)
    agent._native.thread_ended(name, why, where)
