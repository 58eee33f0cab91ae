"""The one session of a pytest process: its handles, the running test, and what is still to be reported."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from livegui import _apps, _ends, _links, _options, _report
from livegui._abort import SIGNAL, Abort
from livegui._fixtures import Fixtures
from livegui._handle import LiveGui
from livegui._livegui import NativeLive, write_report
from livegui._phase import Reports
from livegui._screenshots import Screenshots
from livegui._text import plain, system_string
from livegui.errors import LiveGuiError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from livegui._livegui import NativeEvents
    from livegui._phase import Phase

    _SystemString = str | os.PathLike[str]


class Session:
    """The handles of this pytest process (usually one), and the running test."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.abort = Abort()
        self.fixtures = Fixtures(self)
        #: The open handles.
        self.apps: list[_apps.App] = []
        #: Those that the running test uses, as far as known.
        self.used: list[_apps.App] = []
        #: The only handle, or all as if they were one; None if there is none.
        self.live: NativeLive | None = None
        #: Parts of the suite that have their own app.
        self.overrides = _apps.Overrides(config.rootpath, _apps.fixture_of_its_own(self.open_and_close))
        self.uses_factory = False
        #: Whether any test has the mark ``requires_prior_state``.
        self.requires_prior_state = False
        self._has_command = bool(_options.option(config, "command"))
        #: Handles that were closed, each with the pids that could not be ended. Usually one, but a rerun of
        #: the last test can set up the fixture again.
        self.closed: list[tuple[_apps.App, list[int]]] = []
        self.reported = False
        #: What xdist workers reported.
        self.from_workers: list[_report.Report] = []
        self.item: pytest.Item | None = None
        self.phase: Phase | None = None
        #: The generation on which this test, or the last one, ran; None if it does not use the app.
        self.generation: int | None = None
        #: Writes events, also for a program that follows this run.
        self.events: NativeEvents | None = None
        #: The running test was failed because of the app. The rest of it is left alone.
        self.failed = False
        #: Whether the running test has passed so far; None if its call has no report yet.
        self.passed: bool | None = None
        #: The error with which the running phase, or the last one, must fail.
        self.verdict: LiveGuiError | None = None
        self.told = _report.Told()
        self._runners: frozenset[str] | None = None
        self.pictures = Screenshots(_options.option(config, "screenshot"))
        #: Those of the running test, or of the last one, as paths relative to the run folder.
        self.screenshots: list[str] = []

    def open(
        self,
        command: _SystemString | Iterable[_SystemString],
        environment: Mapping[str, _SystemString],
        name: str = "",
    ) -> LiveGui:
        """Make the handle and start the first process."""
        self.follow_tests()
        words, script = _apps.words_of(command)
        given = environment.items()
        variables = [(name, system_string(value, f"live_gui_env[{name!r}]")) for name, value in given]
        live = NativeLive(
            words,
            name=name,
            environment=variables,
            cwd=self.config.rootpath,
            python=sys.executable,
            run_dir=self.config.rootpath / _options.option(self.config, "run_dir"),
            ready_timeout_s=_options.number(self.config, "ready_timeout"),
            scope=_options.option(self.config, "scope"),
            respawn=_options.option(self.config, "respawn"),
            max_respawns=_options.count(self.config, "max_respawns"),
            callback_errors=_options.option(self.config, "callback_errors"),
            spares=_options.count(self.config, "spares"),
            kill_stale=_options.flag(self.config, "kill_stale"),
            handover=_options.option(self.config, "handover"),
            handover_timeout=_options.option(self.config, "handover_timeout"),
            left_open=_options.option(self.config, "left_open"),
            inject=_options.option(self.config, "inject"),
            library_pools=_options.flag(self.config, "library_pools"),
            carrier=Path(__file__).parent / "_carrier",
            output_limit=_options.option(self.config, "output_limit"),
            say=lambda line: _report.say(self.config, line),
            signal=SIGNAL,
        )
        handle = LiveGui(live, script, lambda: self.use(app))
        app = _apps.App(name, live, handle, dict(variables))
        self.apps.append(app)
        self.live = _apps.front(self.apps, self.used)
        if self.events is not None:
            self.events.app_opened(live)
        if _options.flag(self.config, "abort") and not self.abort.is_installed and not self.abort.install():
            live.remark(
                "live_gui_abort has no effect: pytest does not run on the main thread, where alone a waiting "
                "test can be interrupted; a test whose app degrades fails at its end"
            )
        try:
            self.use(app)
            live.start()
        except BaseException:
            self._drop(app)
            raise
        self.generation = live.generation
        return handle

    def open_and_close(
        self,
        command: _SystemString | Iterable[_SystemString],
        environment: Mapping[str, _SystemString],
        part: str = "",
    ) -> Iterator[LiveGui]:
        """The body of a fixture for a handle. Each of several is named after its part of the suite."""
        handle = self.open(command, environment, part if self.has_several() else "")
        try:
            yield handle
        finally:
            self.close(handle)

    def follow_tests(self) -> None:
        """Follow every test from here on, and the rest of the running one."""
        manager = self.config.pluginmanager
        if not manager.has_plugin("livegui-fixtures"):
            manager.register(self.fixtures, "livegui-fixtures")
            manager.register(Reports(self), "livegui-reports")
            _ends.register(manager)
        if self.phase is not None and self.phase.span is None:
            self.phase.follow()

    def close(self, handle: LiveGui | None = None) -> None:
        """End the process of a handle, or of all, and everything that it started."""
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
                self._forget(app)
            self.live = _apps.front(self.apps, self.used)
            self.closed += [(app, app.native.close()) for app in closing]

    def _drop(self, app: _apps.App) -> None:
        """An app did not start. The running test may go on with the others."""
        self.abort.disarm(app.native)
        self._forget(app)
        self.live = _apps.front(self.apps, self.used)
        self.closed.append((app, app.native.close()))
        if not self.apps:
            self.abort.uninstall()
        elif self.phase is not None and self.used:
            self.phase.arm()

    def _forget(self, app: _apps.App) -> None:
        self.apps.remove(app)
        if app in self.used:
            self.used.remove(app)

    def has_several(self) -> bool:
        """Whether tests may use different apps."""
        return self.uses_factory or self.overrides.count + self._has_command > 1

    def reports(self) -> list[_report.Report]:
        """What this pytest process must report."""
        return [_report.report_of(app.native, left, app.name) for app, left in self.closed]

    def runners(self) -> frozenset[str]:
        """The packages of the installed plugins. Code that waits in them may only be running the test."""
        if self._runners is None:
            plugins = self.config.pluginmanager.list_plugin_distinfo()
            modules = (getattr(plugin, "__name__", type(plugin).__module__) for plugin, _ in plugins)
            self._runners = frozenset(module.partition(".")[0] for module in modules) - {"livegui"}
        return self._runners

    def untold(self) -> list[str]:
        """The crashes that no report of a test shows."""
        return self.told.of([*self.reports(), *self.from_workers])[1]

    def begin(self, item: pytest.Item) -> None:
        """A test is about to run."""
        self.item, self.failed, self.passed, self.generation = item, False, None, None
        if self.apps:
            self.fixtures.failed.clear()
            self.screenshots = []
            self.used.clear()

    def use(self, app: _apps.App) -> None:
        """The running test uses an app. Start a fresh process if one is due, or refuse the test."""
        __tracebackhide__ = True
        live = app.native
        if app in self.used:
            if live.was_ended_on_purpose():
                live.use_after_end()
                self.generation = live.generation
            return
        if app not in self.apps:
            return  # it is closed
        if self.item is None or (self.phase is not None and self.phase.tears_down):
            # The first use in a tear-down is that of a fixture of a wider scope, not of the test.
            live.between_tests()
            return
        self.used.append(app)
        try:
            self.generation = live.before_test(plain(self.item.nodeid), _file(self.item))
        except LiveGuiError:
            self.generation = live.generation
            raise
        if self.phase is not None:
            self.phase.arm()

    def show(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """At the end of a phase of a test that uses the app, take a picture, and link to the logs."""
        failed = report.failed and not _report.is_victim(report)
        due = self.pictures.is_due(failed=failed, ended=report.when == "call")
        if not self.used or self.generation is None or not (failed or due):
            return
        # If there are several apps, take one with a problem.
        app = min(self.used, key=lambda app: app.native.is_healthy())
        live, picture = app.native, None
        if len(self.used) > 1:
            self.generation = live.generation or self.generation
        if due and not self.screenshots:
            picture = self.pictures.take(live, item.nodeid, app.environment)
        if picture is not None:
            self.screenshots.append(picture.relative_to(live.run_folder).as_posix())
        _links.attach(item, report, live.run_folder / f"gen-{self.generation}", picture)

    def write_report(self) -> str | None:
        """Write ``report.html`` for this run. Returns the line that says where it is, if there is one."""
        folders = [Path(report["run_folder"]) for report in [*self.reports(), *self.from_workers]]
        # A worker of xdist leaves it to its controller, which knows all workers.
        is_worker = hasattr(self.config, "workerinput")
        if self.reported or is_worker or not folders or not _options.flag(self.config, "report"):
            return None
        self.reported = True
        try:
            return f"report: {write_report(folders[0])}"
        except (OSError, ValueError) as error:
            return f"no report was written: {error}"

    def end(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """The test has ended, including its tear-down. Raises if it must fail because of what it left."""
        __tracebackhide__ = True
        self.item, used = None, list(self.used)
        self.used.clear()
        if not self.apps:
            return
        last_of_file = nextitem is None or _file(nextitem) != _file(item)
        passed = self.passed is True and not self.failed
        errors = []
        for app in self.apps:
            recovered, unfit, error = app.native.after_test(app in used, passed, last_of_file)
            item.user_properties += [("live_gui_recovered", cause) for cause in recovered]
            if unfit is not None:
                culprit, cause = unfit
                text = cause if culprit == plain(item.nodeid) else f"{culprit} {cause}"
                item.user_properties.append(("live_gui_handover", text))
            if error is not None:
                errors.append(error)
        if errors and not self.failed:
            raise errors[0]


def _file(item: pytest.Item) -> str:
    return plain(item.nodeid.partition("::")[0])
