"""``@pytest.mark.requires_prior_state``."""

from __future__ import annotations

import pytest
from plain_suites import Suite

LOADS = "def test_load(live_gui):\n    pass\n\ndef test_other(live_gui):\n    pass\n"


def needs(*names: str) -> str:
    arguments = ", ".join(map(repr, names))
    mark = f"requires_prior_state({arguments})" if names else "requires_prior_state"
    return f"import pytest\n\n@pytest.mark.{mark}\ndef test_needs(live_gui):\n    pass\n"


@pytest.mark.parametrize("name", [(), ("test_1.py",), ("test_1.py::test_load",), ("test_1.py", "test_2.py")])
def test_it_runs_on_the_process_that_ran_what_it_needs(suite: Suite, name: tuple[str, ...]) -> None:
    result = suite({"test_1.py": LOADS, "test_2.py": LOADS, "test_3.py": needs(*name)}, "--strict-markers")
    result.assert_outcomes(passed=5)


@pytest.mark.parametrize(
    ("scope", "name", "because"),
    [
        ("module", (), "an earlier file, and would get a fresh process: live_gui_scope = module"),
        ("module", ("test_1.py",), "test_1.py, and would get a fresh process: live_gui_scope = module"),
        ("session", ("test_4.py",), "test_4.py, and none of its tests ran on this process (generation 1)"),
        ("session", ("test_1.py::test_lo",), "test_1.py::test_lo, and none of its tests ran on this *"),
    ],
)
def test_it_is_skipped_where_that_did_not_run(
    suite: Suite, scope: str, name: tuple[str, ...], because: str
) -> None:
    files = {"test_1.py": LOADS, "test_3.py": needs(*name), "test_4.py": LOADS}
    result = suite(files, "-rs", ini=f"live_gui_scope = {scope}")
    result.assert_outcomes(passed=4, skipped=1)
    result.stdout.fnmatch_lines([f"SKIPPED * requires prior state of {because}"])


def test_it_is_skipped_where_it_runs_alone_and_starts_nothing(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    result = suite({"test_1.py": LOADS, "test_3.py": needs("test_1.py")}, "-rs", "test_3.py")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED *requires prior state of test_1.py, and no app was used"])
    assert not (pytester.path / ".livegui").exists()


def test_it_is_skipped_after_a_crash_took_the_state_away(suite: Suite) -> None:
    crash = "import time\n\ndef test_culprit(app):\n    app.do('crash boom')\n    time.sleep(60)\n"
    files = {"test_1.py": LOADS, "test_2.py": crash, "test_3.py": needs("test_1.py"), "test_4.py": LOADS}
    result = suite(files, "-rs")
    result.assert_outcomes(passed=4, failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        ["SKIPPED *would get a fresh process: test_2.py::test_culprit left generation 1 degraded: *boom*"]
    )


def test_a_victim_is_a_victim_all_the_same(suite: Suite) -> None:
    crash = "import time\n\ndef test_culprit(app):\n    app.do('crash boom')\n    time.sleep(60)\n\n"
    result = suite({"test_1.py": LOADS, "test_2.py": crash + needs("test_1.py")})
    result.assert_outcomes(passed=2, failed=1, errors=1)


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        (
            "'test_gone.py'",
            "*requires_prior_state('test_gone.py'): there is no *test_gone.py; it takes test files*",
        ),
        ("3", "*requires_prior_state(3): it takes test files or node ids*"),
        ("file='test_1.py'", "*requires_prior_state(file=*): it takes test files or node ids*"),
    ],
)
def test_what_it_does_not_take_is_an_error_that_says_what_it_takes(
    suite: Suite, argument: str, says: str
) -> None:
    mark = f"import pytest\n\n@pytest.mark.requires_prior_state({argument})\ndef test_needs(live_gui):\n    pass\n"
    result = suite({"test_1.py": mark})
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([says])
