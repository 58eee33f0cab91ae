"""Names and paths that are no text, and what is said of an app that cannot be found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from plain_suites import CRASH_IN_SECOND_OF_THREE, PASSES, Suite

NO_TEXT = b"caf\xe9".decode("utf-8", "surrogateescape")
linux = pytest.mark.skipif(sys.platform != "linux", reason="here a file's name may be any bytes")


def run_in(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        errors="backslashreplace",
        check=False,
        timeout=60,
    )


@linux
def test_a_folder_whose_name_is_no_utf_8_is_handed_to_the_app_as_it_is(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    suite({"test_a.py": CRASH_IN_SECOND_OF_THREE, "test_b.py": PASSES}).assert_outcomes(
        passed=2, failed=1, errors=1
    )
    folder = pytester.path / NO_TEXT
    folder.mkdir()
    for file in pytester.path.glob("*.*"):
        if file.is_file():
            shutil.copy(file, folder)
    for options in ([], ["--live-gui-command", "{python} plain_app.py {state_dir}"]):
        done = run_in(folder, "pytest", "-p", "no:cacheprovider", *options)
        assert "1 failed, 2 passed, 1 error" in done.stdout, done.stdout
    assert len(list((folder / ".livegui").iterdir())) >= 2
    done = run_in(folder, "livegui", "run", ".")
    assert (done.returncode, "(paths): failed" in done.stdout) == (1, True), done.stdout
    assert (next((folder / ".livegui" / "batches").iterdir()) / "report.html").exists()
    done = run_in(folder, "livegui", "audit", "test_b.py")
    assert "No test depends on" in done.stdout, done.stdout + done.stderr
    beside = [os.fsencode(path.name) for path in pytester.path.iterdir()]
    assert [name for name in beside if name.startswith(b"caf")] == [b"caf\xe9"]


SURROGATES = """
import time, pytest

@pytest.mark.parametrize("name", ["caf\\udce9"])
def test_culprit(app, name):
    app.do("crash boom")
    time.sleep(60)

@pytest.mark.parametrize("name", ["caf\\udce9"])
def test_victim(app, name):
    raise AssertionError("caf\\udce9")
"""
ESCAPED = "disable_test_id_escaping_and_forfeit_all_rights_to_community_support = true"


@linux
@pytest.mark.parametrize(
    "runner", [["pytest", "-p", "no:cacheprovider"], ["livegui", "run", "."]], ids=["pytest", "livegui run"]
)
def test_a_test_whose_name_is_no_utf_8_is_blamed_like_any_other(
    suite: Suite, pytester: pytest.Pytester, runner: list[str]
) -> None:
    suite({}, ini=ESCAPED)
    (pytester.path / f"test_{NO_TEXT}.py").write_text(SURROGATES)
    (pytester.path / "test_z.py").write_text(PASSES)
    done = run_in(pytester.path, *runner)
    output = done.stdout + done.stderr
    # pytest's own cache cannot write such a name.
    assert "INTERNALERROR" not in output, output
    assert done.returncode == 1, output
    if runner[0] == "pytest":
        assert "1 failed, 1 passed, 1 error" in output
        assert (
            r"test_z.py  fresh process (generation 2): test_caf\udce9.py::test_culprit[caf\udce9] left"
            in output
        )


COMMAND = """
import pathlib, sys, pytest

@pytest.fixture(scope="session")
def live_gui_command():
    return [pathlib.Path(sys.executable), pathlib.Path("plain_app.py"), WORD]

@pytest.fixture(scope="session")
def live_gui_env():
    return {"SOME_PATH": VALUE}
"""


def test_paths_are_taken_in_a_command_and_in_the_environment(suite: Suite) -> None:
    test = COMMAND.replace("WORD", "'{hook_port}'").replace("VALUE", "pathlib.Path('/a b')") + PASSES
    suite({"test_a.py": test}).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("word", "value", "says"),
    [
        ("8999", "'x'", "live_gui_command[[]2[]]: expected a string or a path, not int (8999)"),
        ("'x'", "None", "live_gui_env[[]'SOME_PATH'[]]: expected a string or a path, not NoneType (None)"),
    ],
)
def test_what_is_no_string_is_refused_by_its_place(suite: Suite, word: str, value: str, says: str) -> None:
    result = suite({"test_a.py": COMMAND.replace("WORD", word).replace("VALUE", value) + PASSES})
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*TypeError: {says}*"])


SOON = "live_gui_ready_timeout = 4"


def test_an_app_that_is_not_found_says_what_was_looked_for_and_where(suite: Suite) -> None:
    # One that knows of livegui is waited for, and never taken for an app with a loop of its own.
    command = '{python} -c "import livegui, time; time.sleep(60)"'
    ini = f"live_gui_command = {command}\n{SOON}".replace("= 4", "= 2")
    result = suite({"test_a.py": PASSES}, ini=ini)
    result.stdout.fnmatch_lines(
        [
            "*it never called livegui.start(), or its agent could not say so",
            "*looked for: agent.json in *gen-1, which is its LIVEGUI_RUN_DIR",
        ]
    )


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_an_app_with_another_run_dir_says_so(suite: Suite) -> None:
    launcher = """
import os, pathlib, sys
elsewhere = pathlib.Path("elsewhere").absolute()
os.execve(sys.executable, [sys.executable, "plain_app.py"], os.environ | {"LIVEGUI_RUN_DIR": str(elsewhere)})
"""
    ini = f"live_gui_command = {{python}} launcher.py\n{SOON}".replace("= 4", "= 2")
    result = suite({"launcher.py": launcher, "test_a.py": PASSES}, ini=ini)
    result.stdout.fnmatch_lines(["*its LIVEGUI_RUN_DIR is another one: something in between set it"])


LAUNCHER = """
import subprocess, sys, livegui
agent = livegui.start("launcher")
sys.exit(subprocess.run([sys.executable, {app!r}]).returncode)
"""


def test_a_launcher_with_an_agent_of_its_own_is_not_taken_for_the_app(suite: Suite) -> None:
    files = {
        "launcher.py": LAUNCHER.format(app="plain_app.py"),
        "test_a.py": CRASH_IN_SECOND_OF_THREE,
        "test_b.py": PASSES,
    }
    result = suite(files, ini=f"live_gui_command = {{python}} launcher.py\n{SOON}0")
    result.assert_outcomes(passed=2, failed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "test_b.py  fresh process (generation 2): test_a.py::test_culprit left generation 1 degraded: *boom*"
        ]
    )


def test_two_agents_of_which_none_beats_are_both_named(suite: Suite) -> None:
    silent = "import livegui, time\nlivegui.start('silent')\ntime.sleep(60)\n"
    files = {"launcher.py": LAUNCHER.format(app="silent.py"), "silent.py": silent, "test_a.py": PASSES}
    result = suite(files, ini=f"live_gui_command = {{python}} launcher.py\n{SOON}")
    result.assert_outcomes(errors=1)
    result.stdout.re_match_lines(
        [
            r".*2 processes of it have an agent \(pid \d+, \d+\), and the main loop of none has called agent.beat\(\)"
        ]
    )


def test_a_doctest_shows_no_frames_of_ours(suite: Suite) -> None:
    doctest = '''
def culprit():
    """
    >>> import time
    >>> state = getfixture("live_gui").generation_folder / "state"
    >>> _ = (state / "draft").write_text("crash boom")
    >>> _ = (state / "draft").rename(state / "command")
    >>> time.sleep(60)
    """
'''
    result = suite({"module.py": doctest, "test_b.py": PASSES}, "--doctest-modules", "module.py", "test_b.py")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*the app degraded during this test*", "*main_loop_crashed*boom*"])
    for frames in ("pluggy/", "pytest_plugin.py", "doctest.py", "Aborted"):
        result.stdout.no_fnmatch_line(f"*{frames}*")
