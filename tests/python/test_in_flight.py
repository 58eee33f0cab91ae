"""What is ended is the test, all of it, and only it: whoever runs it, whatever it waits in, in every phase.

A part of the matrix runs with the other tests; ``python3 dev.py test in_flight`` runs the whole of it.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from statistics import median

import pytest
from in_flight import AT_ONCE, LONG, PHASES, RUNNERS, SCOPES, WAITS, Cell, suite
from plain_suites import NO_TRIO, Suite, beside, under_wine

WHOLE = "LIVEGUI_WHOLE_MATRIX" in os.environ
PACKAGES = ["pytest", "pytest-asyncio", "anyio", "trio", "uvloop", "greenlet"]
#: What a busy machine may add to a limit. How long it takes on a quiet one is measured, and printed.
SLACK = 2.0
NEXT = "test_b.py::TestNext::test_next"
INI = "asyncio_default_fixture_loop_scope = session\nlive_gui_command = {python} plain_app.py"

took: dict[str, list[float]] = {}


def cells() -> list[Cell]:
    every = [Cell(*words) for words in itertools.product(PHASES, SCOPES, RUNNERS, WAITS)]
    if WHOLE:
        return every
    # Each runner in each phase, with another scope and wait each time.
    chosen = []
    for number, (runner, phase) in enumerate(itertools.product(RUNNERS, PHASES)):
        cases = [
            cell for cell in every if (cell.runner, cell.phase) == (runner, phase) and not cell.why_not()
        ]
        chosen += cases[9 * number % len(cases) :][:1] if cases else []
    return chosen


@pytest.fixture(scope="module", autouse=True)
def told() -> Iterator[None]:
    """How long it took, at the end."""
    yield
    if WHOLE and took:
        print("\nfrom the crash to the report, ms:")
        for runner, times in sorted(took.items()):
            times.sort()
            p50, p99 = (times[min(len(times) - 1, int(len(times) * q))] * 1e3 for q in (0.5, 0.99))
            print(f"  {runner:<24} p50 {p50:7.1f}   p99 {p99:7.1f}   ({len(times)} cells)")


@pytest.fixture
def async_suite(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.setenv("PYTHONPATH", str(beside("async", PACKAGES)))
    return suite


def run(
    suite_of: Suite, pytester: pytest.Pytester, cell: Cell
) -> tuple[pytest.RunResult, list[tuple[float, str]]]:
    files = suite(cell)
    (pytester.path / "conftest.py").unlink()
    result = suite_of(files, "-p", "no:xdist", "-p", "no:randomly", "-v", ini=INI)
    lines = (pytester.path / "times").read_text().splitlines()
    notes = [(float(line.split(" ", 1)[0]), line.split(" ", 1)[1]) for line in lines]
    return result, notes


def assert_only_the_test_was_ended(
    cell: Cell, result: pytest.RunResult, notes: list[tuple[float, str]]
) -> float:
    """Returns how long it took from the crash to the report."""
    output = result.stdout.str() + result.stderr.str()
    reports = [(at, what) for at, what in notes if what.startswith("report ")]
    assert len(reports) == 1, output
    reported, what = reports[0]
    when = cell.phase
    if cell.runner == "unittest" and cell.scope == "function":
        when = "call"  # setUp() and tearDown() are part of it
    # A fixture of the session is torn down after the last test.
    last = cell.phase == "teardown" and cell.scope == "session"
    assert what == f"report {when} " + (NEXT if last else "test_a.py::TestIt::test_it"), output
    result.stdout.fnmatch_lines(["*main_loop_crashed*boom*", "*the app degraded during this test*"])
    for bad in ("Aborted", "INTERNALERROR", "AssertionError", "CancelledError"):
        assert bad not in output, output
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    outcomes = result.parseoutcomes()
    assert outcomes.get("passed", 0) >= 1, output  # the next file
    (crashed,) = [at for at, what in notes if what == "crash"]
    assert [what for at, what in notes if what == "goes on" and at > reported] == [], output
    cleared = [what for _at, what in notes if what.endswith("cleared up")]
    assert "outer cleared up" in cleared, output
    if cell.runner != "unittest":
        # Once for each set-up; that of the culprit's as well, if it was of the wrong generation.
        set_ups = 2 if cell.scope != "session" or cell.phase == "setup" else 1
        assert cleared.count("project cleared up") == set_ups, output
    return reported - crashed


@pytest.mark.parametrize("cell", cells(), ids=str)
def test_the_verdict_is_told_in_time_and_nothing_else_is_harmed(
    async_suite: Suite, pytester: pytest.Pytester, cell: Cell
) -> None:
    why_not = cell.why_not()
    if why_not is not None:
        pytest.skip(f"no such case: {why_not}")
    if cell.runner == "uvloop" and sys.platform == "win32":
        pytest.skip("uvloop does not exist for Windows")
    if cell.runner == "trio" and under_wine():
        pytest.skip(NO_TRIO)
    result, notes = run(async_suite, pytester, cell)
    late = assert_only_the_test_was_ended(cell, result, notes)
    limit = cell.limit()
    kind = cell.runner if limit == AT_ONCE else f"{cell.runner}, {cell.wait}"
    took.setdefault(kind, []).append(late)
    assert late < limit + SLACK, f"{late:.2f} s after the crash, and the limit is {limit} s"
    assert limit + SLACK < LONG


@pytest.mark.skipif(not WHOLE, reason="one cell says nothing about how long it usually takes")
def test_a_verdict_is_usually_told_at_once() -> None:
    at_once = {runner: times for runner, times in took.items() if runner in RUNNERS}
    assert at_once
    slow = {runner: p50 for runner, times in at_once.items() if (p50 := median(times)) >= AT_ONCE}
    assert slow == {}, "seconds from the crash to the report"
