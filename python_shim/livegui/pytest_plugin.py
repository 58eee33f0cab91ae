"""The pytest plugin: options, the fixture and the hooks. Every decision is made by the native side."""

from __future__ import annotations

import bdb
import os
import sys
import unittest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from livegui import _apps, _collectors, _ends, _events, _examples, _links, _prior, _report
from livegui._abort import SIGNAL, Abort, Aborted, Within
from livegui._fixtures import Fixtures
from livegui._frames import give_lines, without_runners
from livegui._handle import LiveGui
from livegui._livegui import NativeLive, write_report
from livegui._screenshots import Screenshots
from livegui._span import Span, running_threads
from livegui._tasks import entering
from livegui._text import plain, system_string
from livegui.errors import LiveGuiError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from types import TracebackType

    from livegui._livegui import NativeEvents

    _SystemString = str | os.PathLike[str]

__all__ = ["LiveGui"]

_OPTIONS = {
    "command": (
        "",
        "command line of the app under test; {hook_port}, {state_dir} and {python} are filled in",
    ),
    "scope": ("session", "how long one process is used: session, module or function"),
    "respawn": (
        "file",
        "when a degraded app is replaced: before the next file, before the next test, or never",
    ),
    "spares": ("0", "ready apps held in waiting, so that a fresh process costs no start; needs {hook_port}"),
    "callback_errors": (
        "fail",
        "what a callback that raises means: a note, to fail the running test, or to degrade the app",
    ),
    "max_respawns": ("3", "the same failure this often in a row ends respawning"),
    "ready_timeout": ("30", "seconds from start to ok"),
    "abort": ("true", "fail the running test the moment the app degrades: true or false"),
    "handover": (
        "respawn",
        "what follows if the main loop does not turn when a file begins: respawn, fail (the test that it "
        "follows fails as well), or off",
    ),
    "handover_timeout": ("500ms", "how long the main loop may take to turn then: seconds, or with a unit"),
    "left_open": (
        "respawn",
        "what follows if a file leaves a dialog or a nested loop open: note or respawn",
    ),
    "inject": (
        "auto",
        "watch an app that nobody wired: auto (one that starts no agent itself), true (any), or false",
    ),
    "kill_stale": ("false", "end an app that an earlier run left on our port: true or false"),
    "run_dir": (".livegui", "where run folders go; those of the last 10 sessions are kept"),
    "report": ("true", "write report.html into the run folder: true or false"),
    "screenshot": (
        "on_failure",
        "when a picture of the app is taken: on_failure, always (after every test) or never",
    ),
    "output_limit": ("16M", "what is kept of each output of one process, its head and its tail"),
}

_SESSION = pytest.StashKey["Session"]()


class Session:
    """The handles of this pytest process, one as a rule, and the test that runs now."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.abort = Abort()
        self.fixtures = Fixtures(self)
        #: The handles that are open.
        self.apps: list[_apps.App] = []
        #: The only one of them, or all as if they were one; None if there is none.
        self.live: NativeLive | None = None
        #: Parts of the suite with an app of their own.
        self.overrides = _apps.Overrides(config.rootpath, _apps.fixture_of_its_own(_open_and_close))
        self.uses_factory = False
        self._has_command = bool(_option(config, "command"))
        #: Those that were closed, each with the pids that could not be ended. One as a rule; a re-run of
        #: the last test can set the fixture up anew.
        self.closed: list[tuple[_apps.App, list[int]]] = []
        self.reported = False
        #: What xdist workers had to tell.
        self.from_workers: list[_report.Report] = []
        self.item: pytest.Item | None = None
        self.phase: Phase | None = None
        #: The running test uses the app, as far as is known.
        self.begun = False
        #: The generation that this test, or the last one, ran on; None if it does not use the app.
        self.generation: int | None = None
        #: Whoever follows this run from outside.
        self.events: NativeEvents | None = None
        #: The running test was failed because of the app: what is left of it is left alone.
        self.failed = False
        #: What the running phase, or the last one, is to fail of.
        self.verdict: LiveGuiError | None = None
        self.told = _report.Told()
        self._runners: frozenset[str] | None = None
        self.pictures = Screenshots(_option(config, "screenshot"))
        #: Of the running test, or the last one: paths relative to the run folder.
        self.screenshots: list[str] = []

    def open(
        self,
        command: _SystemString | Iterable[_SystemString],
        environment: Mapping[str, _SystemString],
        name: str = "",
    ) -> LiveGui:
        """Make the handle and start the first process."""
        self._follow_tests()
        words, script = _apps.words_of(command)
        given = environment.items()
        variables = [(name, system_string(value, f"live_gui_env[{name!r}]")) for name, value in given]
        live = NativeLive(
            words,
            name=name,
            environment=variables,
            cwd=self.config.rootpath,
            python=sys.executable,
            run_dir=self.config.rootpath / _option(self.config, "run_dir"),
            ready_timeout_s=_number(self.config, "ready_timeout"),
            scope=_option(self.config, "scope"),
            respawn=_option(self.config, "respawn"),
            max_respawns=_count(self.config, "max_respawns"),
            callback_errors=_option(self.config, "callback_errors"),
            spares=_count(self.config, "spares"),
            kill_stale=_flag(self.config, "kill_stale"),
            handover=_option(self.config, "handover"),
            handover_timeout=_option(self.config, "handover_timeout"),
            left_open=_option(self.config, "left_open"),
            inject=_option(self.config, "inject"),
            carrier=Path(__file__).parent / "_carrier",
            output_limit=_option(self.config, "output_limit"),
            signal=SIGNAL,
        )
        handle = LiveGui(live, script, lambda: self.use(app))
        app = _apps.App(name, live, handle, dict(variables))
        self.apps.append(app)
        self.live = _apps.front(self.apps)
        if self.events is not None:
            self.events.app_opened(live)
        if _flag(self.config, "abort") and not self.abort.is_installed and not self.abort.install():
            live.remark(
                "live_gui_abort has no effect: pytest does not run on the main thread, where alone a waiting "
                "test can be interrupted; a test whose app degrades fails at its end"
            )
        try:
            self.use(app)
            live.start()
        except BaseException:
            self.close(handle)
            raise
        self.generation = live.generation
        return handle

    def _follow_tests(self) -> None:
        """Look at every test from here on, and at the rest of the running one."""
        manager = self.config.pluginmanager
        if not manager.has_plugin("livegui-fixtures"):
            manager.register(self.fixtures, "livegui-fixtures")
            manager.register(Reports(self), "livegui-reports")
            _ends.register(manager)
        if self.phase is not None and self.phase.span is None:
            self.phase.follow()

    def close(self, handle: LiveGui | None = None) -> None:
        """End the process of a handle, or of all, and everything it started."""
        closing = [app for app in self.apps if handle is None or app.handle is handle]
        if not closing:
            return
        if self.phase is not None:
            self.phase.ask_last()
        if len(closing) == len(self.apps):
            self.abort.uninstall()
        try:
            if self.item is not None:
                self.end(self.item, None)
        finally:
            for app in closing:
                self.apps.remove(app)
            self.live = _apps.front(self.apps)
            self.closed += [(app, app.native.close()) for app in closing]

    def has_several(self) -> bool:
        """Whether tests may use different apps."""
        return self.uses_factory or self.overrides.count + self._has_command > 1

    def reports(self) -> list[_report.Report]:
        """What is to be told of this pytest process."""
        return [_report.report_of(app.native, left, app.name) for app, left in self.closed]

    def runners(self) -> frozenset[str]:
        """The packages of the plugins that are installed: what waits in them may only run the test."""
        if self._runners is None:
            plugins = self.config.pluginmanager.list_plugin_distinfo()
            modules = (getattr(plugin, "__name__", type(plugin).__module__) for plugin, _ in plugins)
            self._runners = frozenset(module.partition(".")[0] for module in modules) - {"livegui"}
        return self._runners

    def untold(self) -> list[str]:
        """The crashes that no report of a test tells of."""
        return self.told.of([*self.reports(), *self.from_workers])[1]

    def begin(self, item: pytest.Item) -> None:
        """A test is about to run."""
        self.item, self.begun, self.failed, self.generation = item, False, False, None
        if self.apps:
            self.fixtures.failed.clear()
            self.screenshots = []
            for app in self.apps:
                app.begun = False

    def use(self, app: _apps.App) -> None:
        """The running test uses an app: put a fresh process under it if one is due, or refuse it."""
        __tracebackhide__ = True
        live = app.native
        if app.begun:
            if live.was_ended_on_purpose():
                live.use_after_end()
                self.generation = live.generation
            return
        if app not in self.apps:
            return  # it is closed
        if self.item is None:
            live.between_tests()
            return
        app.begun = self.begun = True
        try:
            self.generation = live.before_test(plain(self.item.nodeid), _file(self.item))
        except LiveGuiError:
            self.generation = live.generation
            raise
        if self.phase is not None:
            self.phase.arm()

    def show(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """At the end of a phase of a test that uses the app: take a picture, and link to what is known."""
        failed = report.failed and not _report.is_victim(report)
        due = self.pictures.is_due(failed=failed, ended=report.when == "call")
        used = [app for app in self.apps if app.begun]
        if not used or self.generation is None or not (failed or due):
            return
        # Of several the one that something is wrong with.
        app = min(used, key=lambda app: app.native.is_healthy())
        live, picture = app.native, None
        if len(used) > 1:
            self.generation = live.generation or self.generation
        if due and not self.screenshots:
            picture = self.pictures.take(live, item.nodeid, app.environment)
        if picture is not None:
            self.screenshots.append(picture.relative_to(live.run_folder).as_posix())
        _links.attach(item, report, live.run_folder / f"gen-{self.generation}", picture)

    def write_report(self) -> str | None:
        """Write ``report.html`` for this run. Returns the line that says where it is, if there is one."""
        folders = [Path(report["run_folder"]) for report in [*self.reports(), *self.from_workers]]
        # A worker of xdist leaves it to its controller, which knows of all.
        is_worker = hasattr(self.config, "workerinput")
        if self.reported or is_worker or not folders or not _flag(self.config, "report"):
            return None
        self.reported = True
        try:
            return f"report: {write_report(folders[0])}"
        except (OSError, ValueError) as error:
            return f"no report was written: {error}"

    def end(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """The test has ended, its tear-down included. Raises if it is to fail of what it left."""
        __tracebackhide__ = True
        self.item, self.begun = None, False
        if not self.apps:
            return
        last_of_file = nextitem is None or _file(nextitem) != _file(item)
        errors = []
        for app in self.apps:
            used, app.begun = app.begun, False
            recovered, unfit, error = app.native.after_test(used, last_of_file)
            item.user_properties += [("live_gui_recovered", cause) for cause in recovered]
            if unfit is not None:
                culprit, cause = unfit
                text = cause if culprit == plain(item.nodeid) else f"{culprit} {cause}"
                item.user_properties.append(("live_gui_handover", text))
            if error is not None:
                errors.append(error)
        if errors and not self.failed:
            raise errors[0]


class Phase:
    """One phase of a test: if the app degrades during it, that is what the test fails of.

    Args:
        ask: ask the app anew at the end, so that a crash is not left for the next test.
        last: nobody needs the app after it.
        tears_down: only what runs when the app degrades is ended, say a poll; what other fixtures have to
            clear up is for the next test.
    """

    __slots__ = ("_last", "_within", "ask", "item", "last", "session", "span", "tears_down")

    def __init__(
        self,
        session: Session,
        item: pytest.Item,
        *,
        ask: bool = False,
        tears_down: bool = False,
        last: bool = False,
    ) -> None:
        self.session = session
        self.item = item
        self.ask = ask
        self.tears_down = tears_down
        self.last = last
        #: What is ended as a whole; None as long as this run has no app.
        self.span: Span | None = None
        self._within: Within | None = None
        #: What the app's last word was, if it was closed in this phase.
        self._last: LiveGuiError | None = None

    def __enter__(self) -> Phase:
        session = self.session
        session.phase, session.verdict, session.abort.told = self, None, None
        if session.live is not None:
            self.follow()
            if session.begun:
                self.arm()
        return self

    def follow(self) -> None:
        """Tell from here on what is the test's code. Most suites have tests that never have an app: they pay
        nothing for it."""
        session, item = self.session, self.item
        files = {str(item.path)}
        if self.tears_down:
            files |= session.fixtures.files
        once = self.tears_down or _is_unittest(item)
        self.span = Span(files=files, name=item.nodeid, last=self.last, once=once)
        self.span.threads = running_threads()
        if self.ask and not self.tears_down and isinstance(item, pytest.Function):
            self.span.function = item.function
        self._within = session.abort.within(self.span)
        self._within.__enter__()

    def arm(self) -> None:
        """Let the alarm end it, as the test uses the app."""
        session = self.session
        if not session.failed and session.live is not None:
            session.abort.arm(session.live)

    def ask_last(self) -> None:
        """The app is about to be closed: ask it now what would be asked at the end of the phase."""
        session = self.session
        if session.begun and not session.failed and session.live is not None:
            session.abort.disarm(session.live)
            self._last = session.abort.told or self._confirm(session.live)
            if self._last is not None:
                self._settle()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        session, live, abort = self.session, self.session.live, self.session.abort
        session.phase = None
        if self._within is None:
            if isinstance(error, LiveGuiError):
                session.failed = True
            return  # there was no app
        self._within.__exit__(None, None, None)
        if session.begun and live is not None:
            abort.disarm(live)
        if session.failed:
            return
        if isinstance(error, LiveGuiError):
            session.failed = True
            return
        if isinstance(error, pytest.exit.Exception | bdb.BdbQuit | KeyboardInterrupt):
            return  # somebody wants to end the run
        verdict = self._verdict(error)
        if verdict is None:
            return
        session.failed, session.verdict = True, verdict
        if self.ask:  # each set-up of a fixture saw to itself
            self._settle()
        if isinstance(error, Exception | pytest.fail.Exception):
            raise verdict from error
        # What ended the test says nothing that the verdict does not say; but what that came of may.
        cause = error.__cause__ if isinstance(error, Aborted) else None
        raise verdict.with_traceback(without_runners(abort.ended_at or where)) from cause

    def _verdict(self, error: BaseException | None) -> LiveGuiError | None:
        """What the phase is to fail of, which came to this end by itself."""
        session, told = self.session, self.session.abort.told
        if self._last is not None:
            return self._last
        if not session.begun or session.live is None:
            return None
        if told is not None and not isinstance(error, Exception):
            return told
        if error is None:
            return self._confirm(session.live) if self.ask else session.live.verdict_on_running()
        if isinstance(error, Exception | pytest.fail.Exception):
            return self._confirm(session.live) or told
        return None  # skipped

    def _settle(self) -> None:
        live, abort = self.session.live, self.session.abort
        if live is not None and self.span is not None and abort.is_installed:
            abort.settle(live, self.span)

    def _confirm(self, live: NativeLive) -> LiveGuiError | None:
        verdict = live.confirm()
        return None if self.last and live.has_ended_in_order() else verdict


class Uses:
    """What has to come after the other plugins had their turn: neither a wrapper nor ``tryfirst``."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Look at a test just before its fixtures are set up, and after it is known not to be skipped."""
        __tracebackhide__ = True
        _prior.skip_unless_carried(item, self.session.live)
        session = self.session
        if session.has_several():
            for handle in _apps.needed_by(item):
                handle._use()
        elif session.apps and "live_gui" in getattr(item, "fixturenames", ()):
            session.use(session.apps[0])


class Reports:
    """Follows the reports of tests, once there is an app; after the other plugins had their turn."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember of which tests something was told."""
        if report.outcome != "passed":
            self.session.told.add(report)

    @pytest.hookimpl(specname="pytest_runtest_makereport", wrapper=True)
    def pytest_runtest_makereport_of_all(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Name the culprit, and take a picture of what the app shows."""
        report = yield
        if call.excinfo is not None:
            _report.shorten(report, call.excinfo)
            _report.name_culprit(item, report, call.excinfo)
            _report.tell_what_did_not_run(item, report, call.excinfo)
        if self.session.verdict is not None and report.failed:
            _report.lead_with(report, self.session.verdict)
        self.session.show(item, report)
        return report

    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        """Make the error fit to be shown, after unittest's was put in the place of what pytest caught."""
        error = None if call.excinfo is None else call.excinfo.value
        if self.session.phase is not None:
            self._refuse_to_go_on(error)
        elif error is None:
            return
        elif self.session.failed:
            verdict = self.session.verdict
            if verdict is not None and not isinstance(error, LiveGuiError | pytest.skip.Exception):
                cause = error if isinstance(error, Exception | pytest.fail.Exception) else None
                error = verdict.with_traceback(error.__traceback__)
                error.__cause__ = cause
            give_lines(error)
            error = error.with_traceback(without_runners(error.__traceback__))
            call.excinfo = pytest.ExceptionInfo.from_exception(error)

    def _refuse_to_go_on(self, error: BaseException | None) -> None:
        """Somebody collects errors in mid-test, and goes on, as subtests do: not with this one."""
        session = self.session
        if isinstance(error, Aborted):
            raise error
        abort, live = session.abort, session.live
        if abort.told is not None and error is None:
            raise abort.aborted()
        if live is None or session.failed or not session.begun or not abort.is_installed:
            return
        if error is not None and not isinstance(error, pytest.skip.Exception | KeyboardInterrupt):
            abort.told = abort.told or live.confirm()
            abort.reraise(error)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("live_gui", "tests of one long-lived GUI app (livegui)")
    for name, (default, what) in _OPTIONS.items():
        parser.addini(f"live_gui_{name}", f"{what} (default: {default or 'none'})", default=default)
        group.addoption(
            f"--live-gui-{name.replace('_', '-')}",
            dest=f"live_gui_{name}",
            default=None,
            metavar=name.upper(),
            help=what,
        )


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
    session.events = _events.follow(config, session)


def pytest_collection_finish(session: pytest.Session) -> None:
    # Here, and not in each test: it takes as long as everything else that is done for one without an app.
    if any(_ends.MARK in item.keywords for item in session.items):
        _ends.register(session.config.pluginmanager)


@pytest.fixture(scope="session")
def live_gui_command(pytestconfig: pytest.Config) -> str | list[str | os.PathLike[str]]:
    """The app's command line; override it to make one up in Python, as text or as a list of words."""
    return _option(pytestconfig, "command")


@pytest.fixture(scope="session")
def live_gui_env() -> dict[str, str | os.PathLike[str]]:
    """Added to the app's environment; override it."""
    return {}


@pytest.fixture(scope="session")
def live_gui(
    pytestconfig: pytest.Config,
    live_gui_command: str | list[str | os.PathLike[str]],
    live_gui_env: dict[str, str | os.PathLike[str]],
) -> Iterator[LiveGui]:
    """The app under test: one handle for the whole run, whatever process is behind it."""
    yield from _open_and_close(pytestconfig, live_gui_command, live_gui_env)


def _open_and_close(
    config: pytest.Config,
    command: str | list[str | os.PathLike[str]],
    environment: dict[str, str | os.PathLike[str]],
    part: str = "",
) -> Iterator[LiveGui]:
    """Where there are several apps, each is called by the part of the suite that it is for."""
    session = config.stash[_SESSION]
    handle = session.open(command, environment, part if session.has_several() else "")
    try:
        yield handle
    finally:
        session.close(handle)


@pytest.fixture(scope="session")
def live_gui_factory(
    pytestconfig: pytest.Config,
    live_gui_command: str | list[str | os.PathLike[str]],
    live_gui_env: dict[str, str | os.PathLike[str]],
) -> Iterator[_apps.Factory]:
    """Makes handles of more apps: ``live_gui_factory("server", command=…)``."""
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
    if session.begun and session.live is not None:
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
        coroutine = None if function is None or _is_unittest(item) else entering(function, session.abort)
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
        session.failed = True  # it has an error of its own already
        session.end(item, nextitem)
        raise
    session.end(item, nextitem)
    if errors:
        raise errors[0]
    return result


def pytest_enter_pdb(config: pytest.Config) -> None:
    # A verdict in the middle of somebody's debugging would end it.
    session = config.stash[_SESSION]
    if session.live is not None:
        session.abort.disarm(session.live)


def pytest_leave_pdb(config: pytest.Config) -> None:
    session = config.stash[_SESSION]
    if session.phase is not None and session.begun:
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
    # Under pytest-xdist each worker has an app of its own; the controller tells of all.
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
    # Closed by its fixture as a rule; not after an error of pytest's own.
    session = config.stash.get(_SESSION, None)
    if session is not None:
        session.close()
        session.write_report()  # there is no terminal reporter, or pytest stopped before its summary


def _is_unittest(item: pytest.Item | None) -> bool:
    cls = getattr(item, "cls", None)
    return isinstance(cls, type) and issubclass(cls, unittest.TestCase)


def _file(item: pytest.Item) -> str:
    return plain(item.nodeid.partition("::")[0])


def _option(config: pytest.Config, name: str) -> str:
    given = config.getoption(f"live_gui_{name}")
    return str(config.getini(f"live_gui_{name}") if given is None else given)


def _number(config: pytest.Config, name: str) -> float:
    text = _option(config, name)
    try:
        return float(text)
    except ValueError:
        raise pytest.UsageError(f"live_gui_{name} = {text}: expected a number") from None


def _count(config: pytest.Config, name: str) -> int:
    text = _option(config, name)
    if not text.isascii() or not text.isdigit():
        raise pytest.UsageError(f"live_gui_{name} = {text}: expected a whole number, 0 or more")
    return int(text)


def _flag(config: pytest.Config, name: str) -> bool:
    text = _option(config, name)
    if text.lower() not in ("true", "false"):
        raise pytest.UsageError(f"live_gui_{name} = {text}: expected true or false")
    return text.lower() == "true"
