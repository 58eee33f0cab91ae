"""``livegui exec`` says why an app is not watched, once, and refuses what it can refuse before the app runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from executing import executed, health

import livegui

posix = pytest.mark.skipif(os.name != "posix", reason="sh")

LOOP = """
import asyncio
asyncio.run(asyncio.sleep(0))
print("went on", flush=True)
"""
WITH_CHILD = """
import asyncio, subprocess, sys
CHILD = "import asyncio; asyncio.run(asyncio.sleep(0))"
subprocess.run([sys.executable, "-c", CHILD], check=True)
asyncio.run(asyncio.sleep(0))
asyncio.run(asyncio.sleep(0))
subprocess.run([sys.executable, "-c", CHILD], check=True)
print("went on", flush=True)
"""
BY_SHELL = ("sh", "-c", '"$0" "$1"; exit $?', sys.executable)


@pytest.mark.parametrize(
    ("script", "python"),
    [(LOOP, sys.executable), (WITH_CHILD, sys.executable), pytest.param(LOOP, BY_SHELL, marks=posix)],
    ids=["an app", "an app with children", "an app behind a launcher"],
)
def test_a_port_in_use_is_said_once_and_the_app_runs(
    script: str, python: str | tuple[str, ...], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with executed(script, tmp_path, "--port", port, python=python) as process:
            out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "went on\n")
    (line,) = err.splitlines()
    assert line.startswith("livegui: not watched: OSError: ")
    assert port in line


OLD = """
import os, sys
sys.version_info = (3, 8, 18, "final", 0)
os.environ["LIVEGUI_INJECT"] = "auto"
os.environ["LIVEGUI_INJECT_PID"] = str(os.getpid() if os.name == "posix" else os.getppid()) WHOSE
try:
    exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"), {"__file__": sys.argv[1]})
except ImportError:  # the app has no sitecustomize of its own
    pass
"""


@pytest.mark.parametrize("is_app", [True, False])
def test_a_python_that_is_too_old_is_said_to_whoever_started_it_with_exec(is_app: bool) -> None:
    carrier = Path(livegui.__file__).parent / "_carrier" / "sitecustomize.py"
    script = OLD.replace("WHOSE", "" if is_app else "+ '0'")
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, str(carrier)], capture_output=True, text=True, check=True
    )
    why = "not watched: livegui needs Python 3.10 or newer: run the app with CPython 3.10 or newer"
    assert done.stderr == (f"livegui: {why} (Python 3.8, {sys.executable})\n" if is_app else "")


def refused(*words: str | bytes, **environment: str) -> tuple[int, str]:
    """The exit status of ``livegui exec``, and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "livegui", "exec", *words, "--", sys.executable, "-c", "print('ran')"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize("name", ["", "x" * 65, "two\nlines"])
def test_a_name_that_no_agent_takes_is_refused(name: str) -> None:
    status, err = refused("--name", name)
    assert status == 2
    assert "--name cannot be used: " in err
    assert "a name of 1 to 64 printable characters" in err


@pytest.mark.parametrize(
    ("variable", "wanted"),
    [
        ("LIVEGUI_STALL_AFTER_MS=abc", "milliseconds, a whole number"),
        ("LIVEGUI_PORT=70000", "a port, a whole number from 0 to 65535"),
        ("LIVEGUI_CALLBACK_ERRORS=maybe", "note, fail or degrade"),
    ],
)
def test_a_variable_that_no_agent_takes_is_refused(variable: str, wanted: str) -> None:
    name, _, value = variable.partition("=")
    status, err = refused(**{name: value})
    assert status == 2
    assert f"{variable}: expected {wanted}" in err
    assert "remove it" in err


def test_a_run_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        status, err = refused("--run-dir", str(folder))
        assert status == 2
        assert f"--run-dir {folder} cannot be used as a folder: " in err


@posix
def test_a_script_whose_interpreter_leaves_out_start_up_code_is_said(tmp_path: Path) -> None:
    app = tmp_path / "app"
    for line in (f"#!{sys.executable} -S", f"#!/usr/bin/env -iS {sys.executable}"):
        app.write_text(f"{line}\nprint('went on')\n")
        app.chmod(0o755)
        command = [sys.executable, "-m", "livegui", "exec", "--", str(app)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == "went on\n"
        assert done.stderr.startswith("livegui: the app may not be watched: ")


@posix
def test_arguments_that_are_no_text_reach_the_app() -> None:
    script = "import sys; print(ascii(sys.argv[1:]))"
    command: list[str | bytes] = [sys.executable, "-m", "livegui", "exec", "--", sys.executable, "-c", script]
    command += [b"\xff\xfe", "é"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("['\\udcff\\udcfe', '\\xe9']\n", "")


OUTER = """
import asyncio, os, subprocess, sys
INNER = [sys.executable, "-m", "livegui", "exec", "--run-dir", "theirs", "--"]
CHILD = "import asyncio, os, sys; open('seen', 'w').write(' '.join(os.environ)); "
CHILD += "asyncio.run(asyncio.to_thread(sys.stdin.readline))"
def start():
    return subprocess.Popen([*INNER, sys.executable, "-c", CHILD], stdin=subprocess.PIPE)
WHEN
"""
BEFORE = "child = start()\nasyncio.run(asyncio.to_thread(input))"
WITHIN = "async def main():\n    child = start()\n    await asyncio.to_thread(input)\nasyncio.run(main())"


@pytest.mark.parametrize("when", [BEFORE, WITHIN], ids=["before the loop", "within the loop"])
def test_a_child_that_is_started_with_exec_does_not_inherit_options(when: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--name", "outer", "--port", str(port), "--library-pools"]
    with executed(OUTER.replace("WHEN", when), tmp_path, *options) as process:
        child = health(tmp_path / "theirs")
        app = health(tmp_path)
        assert (app["app"], child["app"]) == ("outer", "-c")
        assert app["pid"] != child["pid"]
        assert "LIVEGUI_PORT" not in (tmp_path / "seen").read_text()
        assert "LIBRARY_POOLS" not in (tmp_path / "seen").read_text()
        _, err = process.communicate("\n", timeout=30)
    assert err == ""


def test_a_port_that_the_user_sets_counts_for_a_child_that_is_started_with_exec(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    when = WITHIN.replace("child = start()", f"os.environ['LIVEGUI_PORT'] = '{port}'; child = start()")
    with executed(OUTER.replace("WHEN", when), tmp_path, "--port", "0"):
        health(tmp_path / "theirs")
        assert f"127.0.0.1:{port}" in (tmp_path / "theirs" / "agent.json").read_text()
