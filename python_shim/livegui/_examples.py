"""hypothesis: an example that takes the app down fails the test, and no other example runs afterwards."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from livegui._livegui import NativeLive
    from livegui._session import Session

#: The name of hypothesis' own plugin.
PLUGIN = "hypothesispytest"


class Examples:
    """Checks the app before and after each example. Registered if hypothesis is installed."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        __tracebackhide__ = True
        # hypothesis' manual says that plugins should replace this.
        handle = getattr(getattr(item, "obj", None), "hypothesis", None)
        inner = getattr(handle, "inner_test", None)
        if handle is None or inner is None or inspect.iscoroutinefunction(inner):
            return (yield)
        handle.inner_test = self._guarded(inner)
        try:
            return (yield)
        finally:
            handle.inner_test = inner

    def _guarded(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(inner)
        def example(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            live = self._used()
            if live is not None and not live.is_healthy():
                self._end(live, None)
            try:
                return inner(*args, **kwargs)
            except (Exception, pytest.fail.Exception) as error:
                live = self._used()
                if live is not None:
                    self._end(live, error)
                raise

        return example

    def _used(self) -> NativeLive | None:
        session = self.session
        return session.live if session.used and not session.failed else None

    def _end(self, live: NativeLive, error: BaseException | None) -> None:
        """End the test if the app is no longer fit, with an exception that hypothesis does not shrink."""
        __tracebackhide__ = True
        abort = self.session.abort
        abort.told = abort.told or live.confirm()
        if abort.told is not None:
            raise abort.aborted() from error
