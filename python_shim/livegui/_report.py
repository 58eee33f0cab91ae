"""What a run reports: the terminal summary and the JUnit properties."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from livegui._events import CULPRIT
from livegui._livegui import printable_line
from livegui._text import plain
from livegui.errors import LiveGuiError

if TYPE_CHECKING:
    import pytest

    from livegui._livegui import NativeLive


def add_properties(item: pytest.Item, live: NativeLive) -> None:
    """Record in JUnit that this test got a fresh process, and why."""
    for _file, test, generation, because, _line in live.notes():
        if test == plain(item.nodeid):
            item.user_properties.append(("live_gui_generation", str(generation)))
            item.user_properties.append(("live_gui_fresh_process", because))


def shorten(report: pytest.TestReport, raised: pytest.ExceptionInfo[BaseException]) -> None:
    """Omit the traceback if it has no line of the test, because the message says everything.

    pytest's short summary and JUnit show the first line of the message, without the name of our package.
    """
    error = raised.value
    if not isinstance(error, LiveGuiError):
        return
    ours = ("_pytest", "pluggy", "livegui")
    modules = (str(entry.frame.f_globals.get("__name__", "")) for entry in raised.traceback)
    # What the test itself said is worth showing.
    if error.__cause__ is None and all(module.partition(".")[0] in ours for module in modules):
        report.longrepr = raised.getrepr(style="value")
    lead_with(report, error)


def lead_with(report: pytest.TestReport, error: LiveGuiError) -> None:
    """Make pytest's short summary, and JUnit, show an error's first line, whatever else was collected."""
    crash = getattr(report.longrepr, "reprcrash", None)
    line = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
    if crash is not None:
        crash.message = line
    elif isinstance(report.longrepr, str):  # of a plugin that wrote its own
        report.longrepr = f"{line}\n\n{report.longrepr}"


def name_culprit(
    item: pytest.Item, report: pytest.TestReport, raised: pytest.ExceptionInfo[BaseException]
) -> None:
    """Record in the report of a victim, and in JUnit, which test is to blame."""
    error = raised.value
    if not isinstance(error, LiveGuiError) or error.culprit in (None, plain(item.nodeid)):
        return
    entry = (CULPRIT, error.culprit)
    item.user_properties.append(entry)
    report.user_properties.append(entry)


def tell_what_did_not_run(
    item: pytest.Item, report: pytest.TestReport, raised: pytest.ExceptionInfo[BaseException]
) -> None:
    """Undo the xfail of a test that did not run, because the expected failure was never tried."""
    error = raised.value
    did_not_run = isinstance(error, LiveGuiError) and error.culprit != plain(item.nodeid)
    if report.when == "setup" and did_not_run and hasattr(report, "wasxfail"):
        del report.wasxfail
        report.outcome = "failed"


class Told:
    """Which crashes the reports of the tests show, and which they do not."""

    def __init__(self) -> None:
        #: Tests with a report that something was wrong, and those that such a report names as culprits.
        self.failed: set[str] = set()
        #: Tests that failed as expected.
        self.xfailed: set[str] = set()

    def add(self, report: pytest.TestReport) -> None:
        """Take in the report of a phase."""
        test = plain(report.nodeid)
        named = [str(value) for name, value in report.user_properties if name == CULPRIT]
        self.failed.update(named)
        if hasattr(report, "wasxfail"):
            self.xfailed.add(test)
        elif not report.skipped:
            self.failed.add(test)

    def of(self, reports: list[Report]) -> tuple[list[str], list[str]]:
        """The crashes that an xfail excuses, and those that no report shows."""
        excused, untold = [], []
        for test, cause in [crash for report in reports for crash in report["crashes"]]:
            if test in self.xfailed:
                excused.append(f"{test} xfailed, and took the app down: {cause}")
            elif test not in self.failed:
                untold.append(f"{test}: {cause}")
        return excused, untold


def is_victim(report: pytest.TestReport) -> bool:
    """Whether the test failed because of what another test did to the app."""
    return any(name == CULPRIT for name, _ in report.user_properties)


class Report(TypedDict):
    """What one pytest process must still report, as plain data that an xdist worker can send."""

    #: Which files started on a fresh process, and why.
    notes: list[str]
    #: Other remarks for people.
    remarks: list[str]
    #: The app's name, if there are several.
    app: str
    #: Pids that could not be ended; should be empty.
    left: list[int]
    run_folder: str
    #: Which tests crashed the app, and how.
    crashes: list[tuple[str, str]]


def report_of(live: NativeLive, left: list[int], name: str) -> Report:
    """The report of this process. If there are several apps, it names the app."""
    notes = [line for _file, _test, _generation, _because, line in live.notes()]
    remarks = live.remarks()
    if name:
        notes = [line.replace("  fresh process (", f"  fresh process of {name} (", 1) for line in notes]
        remarks = [f"{name}: {line}" for line in remarks]
    return {
        "notes": notes,
        "remarks": remarks,
        "app": name,
        "left": left,
        "run_folder": str(live.run_folder),
        "crashes": live.crashes(),
    }


def say(config: pytest.Config, line: str) -> None:
    """Print a line at once, even while a fixture runs. A worker of xdist has no terminal."""
    terminal: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    if terminal is None:
        return
    with nullcontext() if capture is None else capture.global_and_fixture_disabled():
        terminal.ensure_newline()
        for part in line.splitlines():
            terminal.write_line(printable_line(part), yellow=True)


def write_summary(
    terminal: pytest.TerminalReporter,
    reports: list[Report],
    excused: list[str],
    untold: list[str],
    page: str | None,
) -> None:
    """Print which files started on a fresh process, and where everything is.

    Args:
        terminal: where to print it.
        reports: the reports of each process that ran tests.
        excused: crashes that count as no failure.
        untold: crashes that no report of a test shows.
        page: the line that names the report.
    """
    told: tuple[Literal["notes", "remarks", "left"], ...] = ("notes", "remarks", "left")
    quiet = terminal.verbosity <= 0
    reports = [
        report for report in reports if any(report[what] for what in told) or excused or untold or not quiet
    ]
    if not reports and (page is None or terminal.verbosity < 0):
        return
    terminal.section("live_gui", sep="-", cyan=True)
    for report in reports:
        for line in report["notes"]:
            terminal.write_line(printable_line(line))
        for line in report["remarks"]:
            terminal.write_line(printable_line(line), yellow=True)
        if report["left"]:
            pids = ", ".join(map(str, report["left"]))
            terminal.write_line(printable_line(f"could not be killed: pid {pids}"), red=True)
    for line in excused:
        terminal.write_line(printable_line(line), yellow=True)
    for crash in untold:
        line = f"the app crashed and no test failed of it, so this run did not pass: {crash}"
        terminal.write_line(printable_line(line), red=True)
    for report in reports:
        of = f" of {report['app']}" if report["app"] else ""
        terminal.write_line(printable_line(f"run folder{of}: {report['run_folder']}"))
    if page is not None:
        terminal.write_line(printable_line(page))
