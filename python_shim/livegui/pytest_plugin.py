"""The pytest plugin: fixtures and hooks. The native side makes every decision."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from livegui import _apps, _collectors, _ends, _events, _examples, _options, _prior, _report
from livegui._handle import LiveGui
from livegui._phase import Phase, is_unittest
from livegui._session import Session
from livegui._tasks import entering
from livegui.errors import LiveGuiError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

__all__ = ["LiveGui"]

_SESSION = pytest.StashKey[Session]()


class Uses:
    """Hooks that must run after those of other plugins: neither wrappers nor ``tryfirst``."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Check a test just before its fixtures are set up, when it is clear that it is not skipped."""
        __tracebackhide__ = True
        session = self.session
        if session.requires_prior_state:
            _prior.skip_unless_carried(item, session.live)
        try:
            if session.has_several():
                for handle in _apps.needed_by(item):
                    handle._use()
            elif session.apps and "live_gui" in getattr(item, "fixturenames", ()):
                session.use(session.apps[0])
        except LiveGuiError:
            _collectors.stop_reruns(item)
            raise


def pytest_addoption(parser: pytest.Parser) -> None:
    _options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    _prior.describe(config)
    _ends.describe(config)
    session = Session(config)
    config.stash[_SESSION] = session
    config.pluginmanager.register(Uses(session), "livegui-uses")
    config.pluginmanager.register(session.overrides, "livegui-overrides")
    if config.pluginmanager.has_plugin(_examples.PLUGIN):
        config.pluginmanager.register(_examples.Examples(session), "livegui-examples")
    _collectors.let_through(config)
    if config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput"):
        session.follow_tests()  # of xdist's workers, which run the apps
    session.events = _events.follow(config, session)


def pytest_collection_finish(session: pytest.Session) -> None:
    # Once, and not in each test, where it would double the time that a test without an app costs.
    if any(_ends.MARK in item.keywords for item in session.items):
        _ends.register(session.config.pluginmanager)
    if any(_prior.MARK in item.keywords for item in session.items):
        session.config.stash[_SESSION].requires_prior_state = True


@pytest.fixture(scope="session")
def live_gui_command(pytestconfig: pytest.Config) -> str | list[str | os.PathLike[str]]:
    """The app's command line. Override this to compute it in Python, as text or as a list of words."""
    return _options.option(pytestconfig, "command")


@pytest.fixture(scope="session")
def live_gui_env() -> dict[str, str | os.PathLike[str]]:
    """Variables to add to the app's environment. Override this to set some."""
    return {}


@pytest.fixture(scope="session")
def live_gui(
    pytestconfig: pytest.Config,
    live_gui_command: str | list[str | os.PathLike[str]],
    live_gui_env: dict[str, str | os.PathLike[str]],
) -> Iterator[LiveGui]:
    """The app under test: one handle for the whole run, even if the process behind it changes."""
    yield from pytestconfig.stash[_SESSION].open_and_close(live_gui_command, live_gui_env)


@pytest.fixture(scope="session")
def live_gui_factory(
    pytestconfig: pytest.Config,
    live_gui_command: str | list[str | os.PathLike[str]],
    live_gui_env: dict[str, str | os.PathLike[str]],
) -> Iterator[_apps.Factory]:
    """Makes handles for more apps: ``live_gui_factory("server", command=…)``."""
    session = pytestconfig.stash[_SESSION]
    session.uses_factory = True
    factory = _apps.Factory(session, live_gui_command, live_gui_env)
    try:
        yield factory
    finally:
        factory.close()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    __tracebackhide__ = True
    session = item.config.stash[_SESSION]
    session.begin(item)
    with Phase(session, item):
        result = yield
    if session.used and session.live is not None:
        _report.add_properties(item, session.live)
    return result


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    __tracebackhide__ = True
    session = item.config.stash[_SESSION]
    with Phase(session, item, ask=True) as phase:
        if phase.span is None:
            return (yield)
        phase.span.runners = session.runners()
        function = getattr(item, "obj", None)
        coroutine = None if function is None or is_unittest(item) else entering(function, session.abort)
        if coroutine is None:
            return (yield)
        phase.span.entered = True
        item.obj = coroutine  # type: ignore[attr-defined]
        try:
            return (yield)
        finally:
            item.obj = function  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    __tracebackhide__ = True
    session = item.config.stash[_SESSION]
    try:
        with Phase(session, item, ask=True, tears_down=True, last=nextitem is None):
            errors = session.fixtures.forget_failed() if session.failed else []
            result = yield
    except BaseException:
        session.failed = True  # it already has an error
        session.abort.end_children()
        session.end(item, nextitem)
        raise
    session.abort.end_children()
    session.end(item, nextitem)
    if errors:
        raise errors[0]
    return result


def pytest_enter_pdb(config: pytest.Config) -> None:
    # A failure while somebody debugs would end the debugging.
    session = config.stash[_SESSION]
    if session.live is not None:
        session.abort.disarm(session.live)


def pytest_leave_pdb(config: pytest.Config) -> None:
    session = config.stash[_SESSION]
    if session.phase is not None and session.used:
        session.phase.arm()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    session = config.stash[_SESSION]
    page = session.write_report()
    reports = [*session.reports(), *session.from_workers]
    excused, untold = session.told.of(reports)
    _report.write_summary(terminalreporter, reports, excused, untold, page)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    result = yield
    ours = session.config.stash[_SESSION]
    # Under pytest-xdist each worker has its own app, and the controller reports all of them.
    output: dict[str, object] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["live_gui"] = ours.reports()
    elif ours.untold() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    return result


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    reports = getattr(node, "workeroutput", {}).get("live_gui", [])
    node.config.stash[_SESSION].from_workers.extend(reports)


def pytest_unconfigure(config: pytest.Config) -> None:
    # Its fixture usually closes it, but not after an internal error of pytest.
    session = config.stash.get(_SESSION, None)
    if session is not None:
        session.close()
        session.write_report()  # there is no terminal reporter, or pytest stopped before its summary
