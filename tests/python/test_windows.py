"""What only Windows has: consoles, jobs, files that a reader holds. Its POSIX twins are named in each test."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from plain_suites import HELPERS, PASSES, Suite, under_wine, wait_until_gone

pytestmark = pytest.mark.skipif(
    os.name != "nt", reason="of Windows; the POSIX twins are in the files it names"
)

#: Has two helpers, of which one has a console and a group of its own and outlives its parent.
FAMILY = """
import os, runpy, subprocess, sys
waits = [sys.executable, "-c", "import time; time.sleep(600)"]
flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
between = "import subprocess, sys; print(subprocess.Popen(sys.argv[2:], creationflags=int(sys.argv[1])).pid)"
orphan = subprocess.check_output([sys.executable, "-c", between, str(flags), *waits])
with open("family", "a") as file:
    print(os.getpid(), subprocess.Popen(waits).pid, int(orphan), file=file)
runpy.run_path("plain_app.py", run_name="__main__")
"""
INI = "live_gui_command = {python} family.py\npythonpath = ."

ENDS = """
import os, signal, time

def test_ends_the_run(app):
    {how}
    time.sleep(60)

def test_never(app):
    raise AssertionError("this must not run")
"""


def assert_nothing_is_left(folder: Path) -> None:
    (line,) = (folder / "family").read_text().splitlines()
    pids = [int(pid) for pid in line.split()]
    assert len(pids) == 3
    wait_until_gone(*pids)


@pytest.mark.parametrize(
    "how",
    [
        "os.kill(os.getpid(), 9)",  # TerminateProcess: nothing of pytest runs any more
        "os._exit(0)",
        "signal.raise_signal(signal.SIGINT)",
        "signal.raise_signal(signal.SIGBREAK)",
    ],
    ids=["killed", "exit", "ctrl_c", "ctrl_break"],
)
def test_a_run_that_is_ended_leaves_nothing(suite: Suite, pytester: pytest.Pytester, how: str) -> None:
    """Twin: test_ends.py."""
    result = suite({"family.py": FAMILY, "test_a.py": ENDS.format(how=how)}, ini=INI)
    result.stdout.no_fnmatch_line("*this must not run*")
    if "raise_signal" in how:
        result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])
        assert result.ret == pytest.ExitCode.INTERRUPTED
    assert_nothing_is_left(pytester.path)


def test_a_worker_that_is_killed_leaves_nothing(suite: Suite, pytester: pytest.Pytester) -> None:
    """Twin: test_ends.py."""
    test = ENDS.format(how="os.kill(os.getpid(), 9)").partition("def test_never")[0]
    suite({"family.py": FAMILY, "test_a.py": test}, "-n1", "--max-worker-restart=0", ini=INI)
    assert_nothing_is_left(pytester.path)


PRESSES = """
import ctypes, json, pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGINT, lambda *_: None)
command, times = json.loads(sys.argv[1])
process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
while not pathlib.Path("runs").exists():
    assert process.poll() is None, process.stdout.read().decode()
    time.sleep(0.05)
for _ in range(times):
    ctypes.WinDLL("kernel32").GenerateConsoleCtrlEvent(0, 0)  # Ctrl-C, for all of this console
    time.sleep(0.5)
out = process.communicate(timeout=150)[0]
sys.stdout.buffer.write(out)
sys.exit(process.returncode)
"""


def press_ctrl_c(folder: Path, *arguments: str, times: int = 1) -> tuple[int, str]:
    """Press it on a console of its own, as soon as the test says that it runs; returns status and output."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(
        [sys.executable, "-c", PRESSES, json.dumps([command, times])],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        creationflags=getattr(subprocess, "CREATE_NEW_CONSOLE", 0),
        timeout=180,
        check=False,
    )
    return done.returncode, done.stdout.decode(errors="replace")


WAITS = ENDS.format(how="open('runs', 'w').close()")


def write_family(suite: Suite, pytester: pytest.Pytester) -> None:
    suite({"family.py": FAMILY, "test_a.py": WAITS}, "--collect-only", ini=INI)


def test_ctrl_c_on_the_console_is_for_pytest_which_ends_its_app(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    """Twin: test_plugin.py."""
    write_family(suite, pytester)
    status, output = press_ctrl_c(pytester.path, "pytest", "-p", "no:cacheprovider")
    assert status == pytest.ExitCode.INTERRUPTED, output
    assert "KeyboardInterrupt" in output
    assert "GuiExited" not in output, "the app was hit as well"
    (record,) = (pytester.path / ".livegui").glob("*/run.json")
    assert [entry["state"] for entry in json.loads(record.read_text())["generations"]] == ["ended"]
    assert_nothing_is_left(pytester.path)


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_ctrl_c_ends_batches(suite: Suite, pytester: pytest.Pytester, times: int) -> None:
    """Twin: test_run.py."""
    write_family(suite, pytester)
    (pytester.path / "pyproject.toml").write_text('[tool.livegui.batches.a]\npaths = ["test_a.py"]\n')
    test = pytester.path / "test_a.py"
    # The first Ctrl-C lets the running test come to its end.
    test.write_text(test.read_text().replace("time.sleep(60)", f"time.sleep({60 if times == 2 else 3})"))
    status, output = press_ctrl_c(pytester.path, "livegui", "run", times=times)
    assert status == 130, output
    assert "stopping after the running test" in output
    assert "livegui run --resume" in output
    assert_nothing_is_left(pytester.path)


def test_whatever_happens_in_one_batch_the_others_run_and_all_have_a_verdict(
    suite: Suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twin: test_run.py."""
    family, _, _ = FAMILY.rpartition("runpy.run_path")
    dies = """
import ctypes, time

def test_0():
    pass

def test_dies():
    ctypes.WinDLL("kernel32").CreateThread(None, 0, ctypes.c_void_p(16), None, 0, None)  # runs what is no code
    time.sleep(60)

def test_2():
    pass
"""
    files = {
        "a/test_a.py": dies,
        "b/test_a.py": f"import time\n{family}\ndef test_hangs(): time.sleep(600)",
        "c/test_a.py": "import os\ndef test_dies(): os.kill(os.getpid(), 9)",
        "d/test_a.py": "def test_it(): print('\\u2192 \\u7a93')",
    }
    suite(files, "--collect-only", "a", ini="addopts = -s")
    monkeypatch.delenv("PYTHONIOENCODING")
    batches = {
        "violates": 'paths = ["a"]',
        "hangs": 'paths = ["b"]\ntimeout = "12s"',
        "killed": 'paths = ["c"]',
        "passes": 'paths = ["d"]',
    }
    tables = [f"[tool.livegui.batches.{name}]\n{text}\n" for name, text in batches.items()]
    (pytester.path / "pyproject.toml").write_text("\n".join(tables))
    done = subprocess.run(
        [sys.executable, "-m", "livegui", "run"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=180,
        check=False,
    )
    assert done.returncode == 3, done.stdout.decode(errors="replace")
    (record,) = (pytester.path / ".livegui" / "batches").glob("*/run.json")
    ran = {batch["batch"]["name"]: batch for batch in json.loads(record.read_text())["batches"]}
    assert {name: batch["why"] for name, batch in ran.items()} == {
        "violates": "pytest ended with exit status 0xc0000005 (access violation), during a/test_a.py::test_dies",
        "hangs": "pytest hung: no end within 12s, during b/test_a.py::test_hangs",
        "killed": "pytest ended with exit status 9, during c/test_a.py::test_dies",
        "passes": None,
    }
    (printed,) = (pytester.path / ".livegui" / "batches").glob("*/passes/stdout.log")
    assert "\u2192 \u7a93" in printed.read_text(encoding="utf-8")
    assert_nothing_is_left(pytester.path)


def test_a_record_that_somebody_reads_all_the_time_is_written(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    """On Windows `open()` keeps others from replacing what it opened. Twin: none, POSIX replaces it."""
    reads = """
import pathlib, threading, time

def read():
    while True:
        for record in pathlib.Path(".livegui").glob("*/run.json"):
            with open(record) as file:
                file.read()
                time.sleep(0.05)
        time.sleep(0.01)

threading.Thread(target=read, daemon=True).start()
"""
    conftest = pytester.path / "conftest.py"
    conftest.write_text(conftest.read_text() + reads)
    result = suite({"test_a.py": PASSES, "test_b.py": PASSES}, ini="live_gui_scope = module")
    result.assert_outcomes(passed=2)
    (record,) = (pytester.path / ".livegui").glob("*/run.json")
    document = json.loads(record.read_text())
    assert [entry["state"] for entry in document["generations"]] == ["ended", "ended"]
    assert document["ended_at"]


def test_the_command_is_split_by_windows_rules(suite: Suite, pytester: pytest.Pytester) -> None:
    """Twin: the unit tests of the command line."""
    folder = pytester.path / "my apps" / "neu"
    folder.mkdir(parents=True)
    suite({}, "--collect-only")
    (pytester.path / "plain_app.py").rename(folder / "plain_app.py")
    command = f'live_gui_command = {{python}} "{folder}\\plain_app.py" it\'s --path C:\\new\\table'
    test = "import json\n\ndef test_it(app, live_gui):\n    record = json.loads((live_gui.run_folder / 'run.json').read_text())\n    print(record['generations'][0]['command'][2:])"
    result = suite({"test_a.py": test}, "-s", ini=command)
    result.assert_outcomes(passed=1)
    assert r"""["it's", '--path', 'C:\\new\\table']""" in result.stdout.str()


@pytest.mark.parametrize("encoding", ["cp1252", "cp932", "cp437"])
def test_a_console_of_an_old_code_page_shows_what_it_can(
    suite: Suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """Twin: none, a terminal of today is UTF-8."""
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    test = textwrap.dedent(
        r"""
        import time

        def test_culprit(app):
            app.do("crash \u2192 \u7a93 \u00fc \u2500")
            time.sleep(30)
        """
    )
    result = suite({"test_a.py": test, "test_b.py": PASSES})
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*GuiDegraded*", "*main_loop_crashed*"])
    assert "UnicodeEncodeError" not in result.stdout.str() + result.stderr.str()


def test_a_user_whose_name_is_not_ascii(suite: Suite, pytester: pytest.Pytester) -> None:
    """Twin: none, POSIX paths are bytes."""
    home = pytester.path / "Jürgen 窓"
    home.mkdir()
    suite({"test_a.py": PASSES}, "--collect-only")
    for path in pytester.path.glob("*.*"):
        if path.is_file():
            path.rename(home / path.name)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")
    assert list(home.glob(".livegui/*/gen-1/stderr.log"))


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_who_holds_the_port_is_named(suite: Suite, address: str) -> None:
    """Windows lets two listen, if one has all addresses and one has this. Twin: test_held_ports.py."""
    with socket.create_server((address, 0)) as server:
        port = server.getsockname()[1]
        command = f"live_gui_command = {{python}} plain_app.py --port {port}"
        result = suite({"test_a.py": PASSES}, ini=command)
    result.assert_outcomes(errors=1)
    holder = "a process that cannot be seen from here" if under_wine() else f"pid {os.getpid()}, started *"
    result.stdout.fnmatch_lines([f"*its port {port} is held by {holder}", "*foreign*"])


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_a_test_can_end_the_app(suite: Suite, how: str) -> None:
    """Twin: test_exits.py."""
    test = f"def test_it(live_gui):\n    process = live_gui.process\n    process.{how}()\n    assert process.wait(5) != 0"
    result = suite({"test_a.py": test, "test_b.py": PASSES})
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*GuiExited*"])


SUSPENDS = """
import time
from plain_suites import suspend

def test_before(live_gui):
    time.sleep(0.8)  # the last answer to the watch is some time ago when the next test begins

def test_suspends(live_gui):
    suspend(live_gui.pid)
    time.sleep(60)

def test_after(live_gui):
    pass
"""


def test_an_app_whose_threads_are_suspended_does_not_answer_and_is_blamed_on_the_test_that_ran(
    suite: Suite,
) -> None:
    """Twin: test_silence.py."""
    result = suite({"test_a.py": SUSPENDS, "test_b.py": PASSES}, ini=HELPERS)
    result.assert_outcomes(passed=2, failed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*did not run: test_suspends left the app*",
            "*GuiUnreachable: *",
            "*its process is alive, * s of CPU time so far",
            "*last heartbeat log line, * s ago: *ok*",
        ]
    )


def test_an_app_ends_with_the_livegui_exec_that_runs_it(tmp_path: Path) -> None:
    """Twin: none, on POSIX it is the same process."""
    waits = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    command = [sys.executable, "-m", "livegui", "exec", "--", sys.executable, "-c", waits]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.kill()
    wait_until_gone(int((tmp_path / "pid").read_text()))


def test_livegui_exec_has_the_status_of_the_app() -> None:
    """Twin: none, on POSIX it is the same process."""
    command = [sys.executable, "-m", "livegui", "exec", "--", sys.executable, "-c", "import sys; sys.exit(7)"]
    assert subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode == 7
