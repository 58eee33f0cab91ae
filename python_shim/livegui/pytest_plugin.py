"""The pytest plugin: options, the fixture and the hooks. Every decision is made by the native side."""

from __future__ import annotations

import bdb
import shlex
import sys
import unittest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from livegui import _events, _links, _prior, _report
from livegui._abort import SIGNAL, Abort, Aborted, give_lines
from livegui._handle import LiveGui
from livegui._livegui import NativeLive, write_report
from livegui._screenshots import Screenshots
from livegui.errors import LiveGuiError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from types import TracebackType

    from livegui._livegui import NativeEvents

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
    """The one handle of this pytest process, and the test that runs now."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.abort = Abort()
        #: The handle, while it is open.
        self.live: NativeLive | None = None
        #: Those that were closed, each with the pids that could not be ended. One as a rule; a re-run of
        #: the last test can set the fixture up anew.
        self.closed: list[tuple[NativeLive, list[int]]] = []
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
        self.pictures = Screenshots(_option(config, "screenshot"))
        #: Of the running test, or the last one: paths relative to the run folder.
        self.screenshots: list[str] = []
        #: Added to the app's environment.
        self.environment: dict[str, str] = {}

    def open(self, command: str | list[str], environment: dict[str, str]) -> LiveGui:
        """Make the handle and start the first process."""
        script = command if isinstance(command, str) else shlex.join(command)
        self.environment = environment
        self.live = NativeLive(
            command,
            environment=list(environment.items()),
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
            output_limit=_option(self.config, "output_limit"),
            signal=SIGNAL,
        )
        if self.events is not None:
            self.events.app_opened(self.live)
        if _flag(self.config, "abort") and not self.abort.install():
            self.live.remark(
                "live_gui_abort has no effect: pytest does not run on the main thread, where alone a waiting "
                "test can be interrupted; a test whose app degrades fails at its end"
            )
        self.use()
        self.live.start()
        self.generation = self.live.generation
        return LiveGui(self.live, script, self.use)

    def close(self) -> None:
        """End the process and everything it started."""
        self.abort.uninstall()
        try:
            if self.live is not None and self.item is not None:
                self.end(self.item, last_of_file=True)
        finally:
            if self.live is not None:
                live, self.live = self.live, None
                self.closed.append((live, live.close()))

    def reports(self) -> list[_report.Report]:
        """What is to be told of this pytest process."""
        return [_report.report_of(live, left) for live, left in self.closed]

    def begin(self, item: pytest.Item) -> None:
        """A test is about to run."""
        self.item, self.begun, self.failed, self.generation = item, False, False, None
        self.screenshots = []

    def use(self) -> None:
        """The running test uses the app: put a fresh process under it if one is due, or refuse it."""
        __tracebackhide__ = True
        if self.begun or self.live is None:
            return
        if self.item is None:
            self.live.between_tests()
            return
        self.begun = True
        try:
            self.generation = self.live.before_test(self.item.nodeid, _file(self.item))
        except LiveGuiError:
            self.generation = self.live.generation
            raise
        if self.phase is not None:
            self.phase.arm()

    def show(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """At the end of a phase of a test that uses the app: take a picture, and link to what is known."""
        failed = report.failed and not _report.is_victim(report)
        due = self.pictures.is_due(failed=failed, ended=report.when == "call")
        live = self.live
        if live is None or not self.begun or self.generation is None or not (failed or due):
            return
        picture = None
        if due and not self.screenshots:
            picture = self.pictures.take(live, item.nodeid, self.environment)
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

    def end(self, item: pytest.Item, *, last_of_file: bool) -> None:
        """The test has ended, its tear-down included. Raises if it is to fail of what it left."""
        __tracebackhide__ = True
        used, self.item, self.begun = self.begun, None, False
        if self.live is None:
            return
        recovered, unfit, error = self.live.after_test(used, last_of_file)
        item.user_properties += [("live_gui_recovered", cause) for cause in recovered]
        if unfit is not None and unfit[0] == item.nodeid:
            item.user_properties.append(("live_gui_handover", unfit[1]))
        if error is not None and not self.failed:
            raise error


class Phase:
    """One phase of a test: if the app degrades during it, that is what the test fails of.

    Args:
        ask: ask the app anew at the end, so that a crash is not left for the next test.
        tears_down: only what runs when the app degrades is ended, say a poll; what other fixtures have to
            clear up is for the next test.
    """

    def __init__(self, session: Session, *, ask: bool = False, tears_down: bool = False) -> None:
        self.session = session
        self.ask = ask
        self.tears_down = tears_down

    def __enter__(self) -> None:
        self.session.phase = self
        if self.session.begun:
            self.arm()

    def arm(self) -> None:
        """Let the alarm end it, as the test uses the app."""
        session = self.session
        if not session.failed and session.live is not None:
            once = self.tears_down or _is_unittest(session.item)
            session.abort.arm(session.live, once=once, tears_down=self.tears_down)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        session, live = self.session, self.session.live
        session.phase = None
        if not session.begun or live is None:
            return
        session.abort.disarm(live)
        if session.failed:
            return
        if isinstance(error, LiveGuiError):
            session.failed = True
            return
        if isinstance(error, Aborted):
            session.failed = True
            raise error.verdict.with_traceback(where) from None
        if error is None:
            verdict = live.confirm() if self.ask else live.verdict_on_running()
        elif isinstance(error, pytest.exit.Exception | bdb.BdbQuit):
            return  # somebody wants to end the run
        elif isinstance(error, Exception | pytest.fail.Exception):
            verdict = live.confirm()
        else:
            return  # skipped, or interrupted
        if verdict is not None:
            session.failed = True
            raise verdict from error


class Uses:
    """What has to come after the other plugins had their turn: neither wrappers nor ``tryfirst``."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Look at a test just before its fixtures are set up, and after it is known not to be skipped."""
        __tracebackhide__ = True
        _prior.skip_unless_carried(item, self.session.live)
        if "live_gui" in getattr(item, "fixturenames", ()):
            self.session.use()

    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        """Make the error fit to be shown, after unittest's was put in the place of what pytest caught."""
        if call.excinfo is not None and self.session.failed:
            error = call.excinfo.value
            if isinstance(error, Aborted):
                error = error.verdict.with_traceback(error.__traceback__)
            give_lines(error)
            call.excinfo = pytest.ExceptionInfo.from_exception(error)


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
    session = Session(config)
    config.stash[_SESSION] = session
    config.pluginmanager.register(Uses(session), "livegui-uses")
    session.events = _events.follow(config, session)


@pytest.fixture(scope="session")
def live_gui_command(pytestconfig: pytest.Config) -> str | list[str]:
    """The app's command line; override it to make one up in Python."""
    return _option(pytestconfig, "command")


@pytest.fixture(scope="session")
def live_gui_env() -> dict[str, str]:
    """Added to the app's environment; override it."""
    return {}


@pytest.fixture(scope="session")
def live_gui(
    pytestconfig: pytest.Config, live_gui_command: str | list[str], live_gui_env: dict[str, str]
) -> Iterator[LiveGui]:
    """The app under test: one handle for the whole run, whatever process is behind it."""
    session = pytestconfig.stash[_SESSION]
    try:
        yield session.open(live_gui_command, live_gui_env)
    finally:
        session.close()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    __tracebackhide__ = True
    session = item.config.stash[_SESSION]
    session.begin(item)
    with Phase(session):
        result = yield
    if session.begun and session.live is not None:
        _report.add_properties(item, session.live)
    return result


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    __tracebackhide__ = True
    with Phase(item.config.stash[_SESSION], ask=True):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    __tracebackhide__ = True
    session = item.config.stash[_SESSION]
    last_of_file = nextitem is None or _file(nextitem) != _file(item)
    try:
        with Phase(session, ask=True, tears_down=True):
            result = yield
    except BaseException:
        session.failed = True  # it has an error of its own already
        session.end(item, last_of_file=last_of_file)
        raise
    session.end(item, last_of_file=last_of_file)
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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.excinfo is not None:
        _report.shorten(report, call.excinfo)
        _report.name_culprit(item, report, call.excinfo)
    item.config.stash[_SESSION].show(item, report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    session = config.stash[_SESSION]
    page = session.write_report()
    _report.write_summary(terminalreporter, [*session.reports(), *session.from_workers], page)


def pytest_sessionfinish(session: pytest.Session) -> None:
    # Under pytest-xdist each worker has an app of its own; the controller tells of all.
    ours = session.config.stash[_SESSION]
    output: dict[str, object] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["live_gui"] = ours.reports()


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
    return item.nodeid.partition("::")[0]


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
