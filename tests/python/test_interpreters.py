"""Unchanged apps on other Pythons than pytest's, and on none: what is watched, and what only runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from executing import executed, health
from interpreters import OLDER, SUPPORTED, interpreter
from plain_suites import Suite
from test_injection import ASYNCIO, run_where_only_our_package_comes_along

posix = pytest.mark.skipif(os.name != "posix", reason="programs that Windows does not have")


def python_of(version: str) -> str:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    return str(python)


@pytest.mark.parametrize("version", SUPPORTED)
def test_an_app_is_watched_on_every_python_that_is_supported(version: str, tmp_path: Path) -> None:
    run_where_only_our_package_comes_along(python_of(version), tmp_path)


@pytest.mark.parametrize("version", OLDER)
def test_an_app_on_an_older_python_runs_as_ever_and_is_told_why_it_is_not_watched(
    version: str, tmp_path: Path
) -> None:
    script = "import sys\nsys.stdout.write('%d.%d' % sys.version_info[:2])\nsys.exit(7)\n"
    with executed(script, tmp_path, python=python_of(version)) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (7, version)
    why = "not watched: livegui needs Python 3.10 or newer: run the app with CPython 3.10 or newer"
    assert err.startswith(f"livegui: {why} (Python {version}, ")
    assert err.count("\n") == 1
    assert why in (tmp_path / "injection.log").read_text()


@pytest.mark.parametrize("switch", ["-I", "-E"])
def test_a_python_that_ignores_pythonpath_is_watched_if_livegui_is_installed_for_it(
    switch: str, tmp_path: Path
) -> None:
    if not any((Path(entry) / "livegui_startup.pth").exists() for entry in sys.path):
        pytest.skip("livegui is not installed for this Python")
    with executed(ASYNCIO, tmp_path, python=(sys.executable, switch)) as process:
        health(tmp_path)
        _, err = process.communicate("\n", timeout=30)
    assert process.returncode == 0
    assert err == (
        f"livegui: the app may not be watched: its Python is started with {switch}, which ignores PYTHONPATH, so that "
        "it has to have livegui installed: pip install livegui there, start it without, or call livegui.start() in "
        "the app\n"
    )


@posix
def test_a_command_that_is_no_python_runs_as_ever(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "livegui",
        "exec",
        "--run-dir",
        str(tmp_path),
        "--",
        "sh",
        "-c",
        "exit 7",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")


@pytest.mark.skipif(os.name != "posix", reason="the folders of other systems")
def test_a_usercustomize_still_runs(tmp_path: Path) -> None:
    python = python_of(".".join(map(str, sys.version_info[:2])))  # no virtual environment has one
    user = tmp_path / "user"
    script = "import site; print(site.getusersitepackages())"
    environment = os.environ | {"PYTHONUSERBASE": str(user)}
    done = subprocess.run([python, "-c", script], env=environment, capture_output=True, text=True, check=True)
    folder = Path(done.stdout.strip())
    folder.mkdir(parents=True)
    (folder / "usercustomize.py").write_text("print('theirs')\n")
    with executed(ASYNCIO, tmp_path, python=python, PYTHONUSERBASE=str(user)) as process:
        health(tmp_path)
        out, err = process.communicate("\n", timeout=30)
    assert out.splitlines()[0] == "theirs"
    assert err == ""


# --- what a suite says while it waits for an app that cannot be watched ---

WAITS = "import time\ntime.sleep(60)\n"
TEST = "def test_it(live_gui):\n    pass\n"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("{python} -S waits.py", "its Python is started with -S*call livegui.start() in the app"),
        pytest.param(
            "sleep 60", "no Python of it ran livegui's start-up code: it is no Python app*", marks=posix
        ),
    ],
    ids=["-S", "no Python"],
)
def test_a_suite_says_at_once_why_an_app_is_not_watched(command: str, told: str, suite: Suite) -> None:
    ini = f"live_gui_command = {command}\nlive_gui_ready_timeout = 4"
    result = suite({"waits.py": WAITS, "test_a.py": TEST}, ini=ini)
    result.assert_outcomes(errors=1)
    lines = result.stdout.lines
    said = "the app has no agent yet, 3 s after its start (live_gui_ready_timeout = 4 s):"
    assert lines.index(said) < lines.index(next(line for line in lines if "ERRORS" in line))
    result.stdout.fnmatch_lines([said, f"  live_gui_inject: {told}"])


def test_a_suite_says_nothing_of_an_app_that_only_takes_its_time(suite: Suite) -> None:
    files = {
        "app.py": "import asyncio, slow\nasyncio.run(asyncio.sleep(60))\n",
        "slow.py": "import time\ntime.sleep(3.5)\n",
        "test_a.py": TEST,
    }
    result = suite(files, ini="live_gui_command = {python} app.py")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*no agent yet*")
