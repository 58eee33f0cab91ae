"""qasync (asyncio on Qt's loop): records what callbacks raise. :mod:`livegui.toolkits.qt` does the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from livegui import Agent
    from livegui._inject import Injection

__all__ = ["patch"]


def patch(injection: Injection, module: ModuleType) -> None:
    """Record what callbacks raise, in an unchanged app."""

    def handle(original: Callable[..., Any]) -> Callable[..., Any]:
        def call_exception_handler(self: Any, context: dict[str, Any]) -> Any:
            error = context.get("exception")
            if isinstance(error, BaseException):
                never_asked_for = "never retrieved" in str(context.get("message"))
                source = "task" if never_asked_for else "asyncio"
                injection.when_watched(lambda agent: _record(agent, error, source))
            return original(self, context)

        return call_exception_handler

    injection.wrap(module._QEventLoop, "call_exception_handler", handle)


def _record(agent: Agent, error: BaseException, source: str) -> None:
    agent.record_exception(error, source)
