"""Fixtures whose set-up was ended because of the app: cleared up at once, and set up anew when needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from livegui._span import Span
from livegui._tasks import entering

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from livegui.pytest_plugin import Session

#: What starts the app: that it could not be started is told to every test that needs it.
_THE_APP = "live_gui"


class Fixtures:
    """Follows the set-ups of fixtures, each a span of its own."""

    def __init__(self, session: Session) -> None:
        self.session = session
        #: Those whose set-up failed in the running test, the first first.
        self.failed: list[tuple[pytest.FixtureDef[Any], pytest.FixtureRequest]] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        __tracebackhide__ = True
        live, abort = self.session.live, self.session.abort
        if live is None or fixturedef.argname == _THE_APP:
            return (yield)
        function = fixturedef.func
        outer = abort.span
        file = str(getattr(getattr(function, "__code__", None), "co_filename", ""))
        span = Span(function, file, outer.name, last=outer.last, once=outer.once)
        with abort.within(span):
            coroutine = entering(function, abort)
            span.entered = coroutine is not None
            try:
                with _in_place_of(fixturedef, coroutine):
                    return (yield)
            except BaseException:
                self.failed.append((fixturedef, request))
                if abort.told is not None:
                    abort.settle(live, span)
                raise

    def forget_failed(self) -> list[BaseException]:
        """Have their finalizers run, and pytest forget what they raised; returns what the finalizers raised.

        pytest keeps the outcome of a set-up as long as its scope lasts. This one came of an app that is gone.
        """
        errors: list[BaseException] = []
        while self.failed:
            fixturedef, request = self.failed.pop()
            if fixturedef.cached_result is None:
                # What was raised is nothing that pytest keeps: then it also forgets to clear up.
                fixturedef.cached_result = (None, fixturedef.cache_key(request), (Exception(), None))  # type: ignore[arg-type]
            try:
                fixturedef.finish(request)  # type: ignore[arg-type]
            except (Exception, pytest.fail.Exception, pytest.skip.Exception) as error:  # noqa: BLE001
                errors.append(error)
        return errors


class _in_place_of:  # noqa: N801 -- reads as what it does
    """A fixture's function, for the time of its set-up."""

    def __init__(self, fixturedef: pytest.FixtureDef[Any], function: Callable[..., Any] | None) -> None:
        self.fixturedef = fixturedef
        self.function = function
        self.before = fixturedef.func

    def __enter__(self) -> None:
        if self.function is not None:
            self.fixturedef.func = self.function  # type: ignore[misc]

    def __exit__(self, *_: object) -> None:
        if self.function is not None:
            self.fixturedef.func = self.before  # type: ignore[misc]
