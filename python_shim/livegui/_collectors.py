"""Plugins that collect whatever a test raises must let through what ends the test."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from livegui._abort import Aborted

if TYPE_CHECKING:
    from types import TracebackType

    import pytest


def let_through(config: pytest.Config) -> None:
    """Make ``with check:`` of pytest-check, which swallows every ``BaseException``, let this one through."""
    module = sys.modules.get("pytest_check.context_manager")
    collector: Any = getattr(module, "CheckContextManager", None)
    if collector is None:
        return
    swallow = collector.__exit__

    def leave(
        self: object,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> Any:
        __tracebackhide__ = True
        return None if isinstance(error, Aborted) else swallow(self, kind, error, where)

    def restore() -> None:
        collector.__exit__ = swallow

    collector.__exit__ = leave
    config.add_cleanup(restore)
