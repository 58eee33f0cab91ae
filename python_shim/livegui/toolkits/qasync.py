"""qasync (asyncio on Qt's loop): records what callbacks raise. :mod:`livegui.toolkits.qt` does the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from livegui.toolkits._common import raised_in_loop, record_when_watched

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from livegui._inject import Injection

__all__ = ["patch"]


def patch(injection: Injection, module: ModuleType) -> None:
    """Record what callbacks raise, in an unchanged app."""

    def handle(original: Callable[..., Any]) -> Callable[..., Any]:
        def call_exception_handler(self: Any, context: dict[str, Any]) -> Any:
            record_when_watched(injection, raised_in_loop(context))
            return original(self, context)

        return call_exception_handler

    injection.wrap(module._QEventLoop, "call_exception_handler", handle)
