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

#: What serves until it is told to end, by module: class and methods.
_SERVING = {
    "socketserver": ("BaseServer", ["serve_forever"]),
    "uvicorn.server": ("Server", ["run"]),
}


def patch(injection: Injection, module: ModuleType) -> None:
    """Report what leaves the servers of this module."""
    class_name, methods = _SERVING[module.__name__]
    for method in methods:
        injection.wrap(getattr(module, class_name), method, lambda serve: _serving(injection, serve))


def _serving(injection: Injection, serve: Callable[..., Any]) -> Callable[..., Any]:
    def serving(*arguments: Any, **options: Any) -> Any:
        try:
            return serve(*arguments, **options)
        except BaseException as error:
            thread = threading.current_thread()
            if thread is not threading.main_thread() and not sys.is_finalizing():
                name, why, where = thread.name[:200], describe(error), format_traceback(error)
                injection.when_watched(lambda agent: _died(agent, name, why, where))
            raise

    return serving


def _died(agent: Agent, name: str, why: str, where: str | None) -> None:
    agent._native.thread_watched(name)
    agent._native.thread_ended(name, why, where)
