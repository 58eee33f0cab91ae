"""Fixtures whose set-up was stopped because of the app: torn down at once, and set up again if needed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from livegui import _apps, _collectors
from livegui._span import Span, running_threads
from livegui._tasks import entering
from livegui.errors import LiveGuiError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from livegui._session import Session

#: The fixture that starts the app. If that fails, every test that needs the app gets the error.
_THE_APP = "live_gui"


class Fixtures:
    """Follows the set-ups of fixtures. Each is a separate span."""

    def __init__(self, session: Session) -> None:
        self.session = session
        #: Fixtures whose set-up failed in the running test, in order.
        self.failed: list[tuple[pytest.FixtureDef[Any], pytest.FixtureRequest]] = []
        #: Files that contain fixtures.
        self.files: set[str] = set()

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
        self.files.add(file)
        span = Span(function, {file}, outer.folder, outer.name, last=outer.last, once=outer.once)
        span.threads = running_threads()
        with abort.within(span):
            coroutine = entering(function, abort)
            span.entered = coroutine is not None
            try:
                self._use_what_is_behind(request)
                with self._prepared(fixturedef, coroutine):
                    value = yield
                if abort.told is not None:  # it swallowed that, so its value is useless
                    self.failed.append((fixturedef, request))
                return value
            except BaseException:
                self.failed.append((fixturedef, request))
                if abort.told is not None:
                    abort.settle(live, span)
                raise

    def _use_what_is_behind(self, request: pytest.FixtureRequest) -> None:
        """Count the test as one that uses the apps behind a fixture that it asked for by name.

        pytest-bdd asks so for the fixtures of all steps. The test itself may never touch a handle, if a
        fixture of a wider scope keeps a connection to the app.
        """
        __tracebackhide__ = True
        session = self.session
        if session.phase is None or session.phase.tears_down or len(session.used) == len(session.apps):
            return
        try:
            for handle in _apps.behind(request):
                if all(app.handle is not handle for app in session.used):
                    handle._use()
        except LiveGuiError:
            if session.item is not None:
                _collectors.stop_reruns(session.item)
            raise

    @contextlib.contextmanager
    def _prepared(
        self, fixturedef: pytest.FixtureDef[Any], function: Callable[..., Any] | None
    ) -> Iterator[None]:
        """During the set-up, uses this function, and finalizers that raise what pytest expects."""
        prepared: Any = fixturedef
        before, add_finalizer, abort = prepared.func, prepared.addfinalizer, self.session.abort

        def add(finalizer: Callable[[], object]) -> None:
            def converted() -> None:
                try:
                    finalizer()
                except BaseException as error:
                    abort.reraise(error)
                    raise

            add_finalizer(converted)

        prepared.addfinalizer = add
        if function is not None:
            prepared.func = function
        try:
            yield
        finally:
            prepared.func = before
            del prepared.addfinalizer

    def forget_failed(self) -> list[BaseException]:
        """Run their finalizers, and make pytest forget what they raised. Returns what the finalizers raised.

        pytest keeps the result of a set-up as long as its scope lasts. This one was caused by an app that is
        gone.
        """
        errors: list[BaseException] = []
        while self.failed:
            fixturedef, request = self.failed.pop()
            if fixturedef.cached_result is None:
                # If pytest keeps no result because of what was raised, it also forgets the tear-down.
                fixturedef.cached_result = (None, fixturedef.cache_key(request), (Exception(), None))  # type: ignore[arg-type]
            try:
                fixturedef.finish(request)  # type: ignore[arg-type]
            except (Exception, pytest.fail.Exception, pytest.skip.Exception) as error:  # noqa: BLE001
                errors.append(error)
        return errors
