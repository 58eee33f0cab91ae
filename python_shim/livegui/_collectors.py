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


def stop_reruns(item: pytest.Item) -> None:
    """Keep pytest-rerunfailures from running a test again that could not even be set up.

    It would be in vain. It would also lose the tear-downs of all wider fixtures: pytest-rerunfailures keeps
    them only for a test whose set-up had begun.
    """
    counted: Any = item
    if hasattr(counted, "execution_count"):
        counted.execution_count = sys.maxsize
