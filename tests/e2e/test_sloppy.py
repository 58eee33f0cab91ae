"""The seed's story on the real app: Dear ImGui, a real IM_ASSERT, real processes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from unwired import unwired_sloppy

SLOPPY = Path(__file__).parents[2] / "examples" / "sloppy"

Run = Callable[..., "Result"]


class Result:
    """What one pytest run of the sloppy suite left."""

    def __init__(self, folder: Path, status: int, output: str, seconds: float) -> None:
        self.folder, self.status, self.output, self.seconds = folder, status, output, seconds
        self.outcomes: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        for case in ET.parse(folder / "report.xml").iter("testcase"):
            name = case.get("name", "")
            bad = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
            self.outcomes[name] = "passed" if bad is None else bad.tag
            self.texts[name] = "" if bad is None else f"{bad.get('message')}\n{bad.text}"

    @property
    def record(self) -> dict[str, Any]:
        (record,) = (self.folder / ".livegui").glob("*/run.json")
        document: dict[str, Any] = json.loads(record.read_text())
        return document


@pytest.fixture
def run(tmp_path: Path) -> Run:
    shutil.copytree(
        SLOPPY, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".livegui", "__pycache__")
    )

    def run(*options: str, tests: dict[str, str] | None = None, **environment: str) -> Result:
        if tests is not None:
            for old in (tmp_path / "tests").glob("test_*.py"):
                old.unlink()
            for name, text in tests.items():
                (tmp_path / "tests" / name).write_text(text)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--junitxml=report.xml",
            *options,
        ]
        began = time.monotonic()
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=120,
            check=False,
        )
        print(done.stdout)  # shown if the test fails
        return Result(tmp_path, done.returncode, done.stdout, time.monotonic() - began)

    return run


def test_the_seed_s_story_ends_well(run: Run) -> None:
    result = run()
    assert result.outcomes == {
        "test_context_sim_live": "passed",
        "test_ai_settings_sim_live": "passed",
        "test_tools_sim_live": "passed",
        "test_execution_sim_live": "failure",
        "test_execution_result_sim_live": "error",
        "test_full_live_workflow": "passed",
    }
    assert (
        "IM_ASSERT( child_window->Flags & ImGuiWindowFlags_ChildWindow )"
        in result.texts["test_execution_sim_live"]
    )
    assert "test_execution_sim_live left the app degraded" in result.texts["test_execution_result_sim_live"]
    first, second = result.record["generations"]
    assert first["culprit"] == {
        "test": "tests/test_extended_sims.py::test_execution_sim_live",
        "inferred": False,
    }
    assert first["why"].startswith("main_loop_crashed: RuntimeError: IM_ASSERT(")
    assert second["state"] == "ended"
    assert (
        "tests/test_live_workflow.py  fresh process (generation 2): tests/test_extended_sims.py::test_execution_sim_live "
        "left generation 1 degraded: main_loop_crashed: RuntimeError: IM_ASSERT(" in result.output
    )
    assert result.seconds < 60, "the original polls for two minutes"


def test_the_outcome_is_the_same_if_no_line_of_the_app_knows_of_livegui(run: Run, tmp_path: Path) -> None:
    unwired_sloppy(tmp_path)
    test_the_seed_s_story_ends_well(run)


def test_without_livegui_the_wrong_test_is_blamed(run: Run) -> None:
    result = run("-p", "no:livegui", "-p", "naive_live_gui", "-W", "ignore", SLOPPY_POLL_S="1")
    assert result.outcomes["test_execution_sim_live"] == "passed"
    assert result.outcomes["test_full_live_workflow"] == "failure"
    assert "project switch timed out" in result.texts["test_full_live_workflow"]


FAULT = """
import time

def test_culprit(hook):
    hook.fault({fault!r}{arguments})
    time.sleep(60)
"""
NEXT = """
def test_next(hook):
    assert hook.status()["hook_server"] == "ok"
"""


def test_solution_a_gives_each_file_its_own_process(run: Run) -> None:
    options = ("--live-gui-scope=module", "--live-gui-spares=1")
    result = run(*options, tests={"test_a.py": NEXT, "test_b.py": NEXT.replace("next", "other")})
    assert result.outcomes == {"test_next": "passed", "test_other": "passed"}
    (note,) = result.record["notes"]
    assert (note["file"], note["because"]) == ("tests/test_b.py", "live_gui_scope = module")


def test_solution_b_brings_up_the_next_process_at_a_use_between_tests_and_never_in_one(run: Run) -> None:
    keeper = """
import pytest

@pytest.fixture(autouse=True)
def keep(live_gui):
    global handle
    handle, _script = live_gui

def pytest_runtest_logfinish(nodeid):
    if "culprit" in nodeid:
        assert "generation=1 " in repr(handle)  # which is no use of it
        assert handle.process.poll() is None
        assert handle.generation == 2
"""
    test = FAULT.format(fault="im_assert", arguments="") + NEXT
    result = run(
        tests={"conftest.py": (SLOPPY / "tests/conftest.py").read_text() + keeper, "test_a.py": test}
    )
    assert result.outcomes == {"test_culprit": "failure", "test_next": "passed"}


def test_solution_c_leaves_on_disk_what_became_of_every_process(run: Run) -> None:
    result = run(tests={"test_a.py": FAULT.format(fault="im_assert", arguments=""), "test_b.py": NEXT})
    first, second = result.record["generations"]
    assert (first["state"], second["state"]) == ("degraded", "ended")
    assert "IM_ASSERT" in first["why"]
    for generation in (first, second):
        assert generation["pid"] > 1
        assert generation["process"]["pid"] == generation["pid"]


def test_solution_d_puts_a_fresh_process_under_the_next_test(run: Run) -> None:
    test = FAULT.format(fault="im_assert", arguments="") + NEXT
    result = run("--live-gui-respawn=test", tests={"test_a.py": test})
    assert result.outcomes == {"test_culprit": "failure", "test_next": "passed"}
    (note,) = result.record["notes"]
    assert note["test"] == "tests/test_a.py::test_next"


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("im_assert", "main_loop_crashed: RuntimeError: IM_ASSERT("),
        ("raise_in_frame", "main_loop_crashed: ValueError: out of cheese"),
        (
            "shut_pool",
            'executor_shutdown: ThreadPoolExecutor "io_pool" refuses new work: shut down by close()',
        ),
        ("exit_process", "exit status 3"),
        (
            "crash_process",
            "signal 11 (SIGSEGV)" if os.name == "posix" else "exit status 0xc0000005 (access violation)",
        ),
    ],
)
def test_every_fault_is_blamed_on_its_test_and_the_next_file_is_clean(
    run: Run, fault: str, says: str
) -> None:
    result = run(tests={"test_a.py": FAULT.format(fault=fault, arguments=""), "test_b.py": NEXT})
    assert result.outcomes == {"test_culprit": "failure", "test_next": "passed"}
    assert says in result.texts["test_culprit"]


@pytest.mark.parametrize(
    ("fault", "says"),
    [("hang", "main_loop_stalled: no beat for"), ("hold_gil", "interpreter_held:")],
)
def test_a_hung_loop_is_told_from_a_held_interpreter(run: Run, fault: str, says: str) -> None:
    test = FAULT.format(fault=fault, arguments=", seconds=30")
    result = run(tests={"test_a.py": test, "test_b.py": NEXT}, LIVEGUI_STALL_AFTER_MS="1000")
    assert result.outcomes == {"test_culprit": "failure", "test_next": "passed"}
    assert says in result.texts["test_culprit"]


def test_a_closed_window_is_a_normal_end(tmp_path: Path) -> None:
    with sloppy(tmp_path) as app:
        app.hook("/fault", {"fault": "leave_loop"})
        assert app.process.wait(10) == 0
        assert not (tmp_path / "agent.json").exists(), "a clean end takes the discovery file along"


@pytest.mark.parametrize("seconds", [2])
def test_readyz_answers_while_native_code_holds_the_interpreter(tmp_path: Path, seconds: int) -> None:
    with sloppy(tmp_path) as app:
        app.hook("/fault", {"fault": "hold_gil", "seconds": seconds})
        deadline = time.monotonic() + seconds
        answers = []
        while time.monotonic() < deadline - 0.2:
            began = time.monotonic()
            with urllib.request.urlopen(f"{app.url}/readyz", timeout=1) as answer:
                assert answer.status == 200
            answers.append(time.monotonic() - began)
        assert len(answers) > 100, f"median {statistics.median(answers):.4f} s"


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_a_thousand_half_open_connections_leave_the_app_untouched(tmp_path: Path) -> None:
    with sloppy(tmp_path) as app:
        port = int(app.url.rpartition(":")[2])
        threads = Path(f"/proc/{app.process.pid}/task")
        before, frames = len(list(threads.iterdir())), app.value("frames")
        half_open = []
        for _ in range(1000):
            connection = socket.create_connection(("127.0.0.1", port), timeout=5)
            with contextlib.suppress(OSError):  # it may have been ended already, to make room
                connection.sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")
            half_open.append(connection)
        with urllib.request.urlopen(f"{app.url}/readyz", timeout=5) as answer:
            assert answer.status == 200
        # One thread of the app's own may be serving `value`.
        assert len(list(threads.iterdir())) <= before + 1
        assert app.value("frames") > frames
        for connection in half_open:
            connection.close()


class App:
    """A sloppy process of a test's own."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, port: int) -> None:
        self.process, self.folder, self.port = process, folder, port
        self.url: str = json.loads((folder / "agent.json").read_text())["url"]

    def hook(self, path: str, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", data, timeout=5).close()

    def value(self, name: str) -> Any:
        url = f"http://127.0.0.1:{self.port}/value?name={name}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)["value"]

    def __enter__(self) -> App:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def sloppy(folder: Path) -> App:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"LIVEGUI_RUN_DIR": str(folder), "LIVEGUI_STATE_DIR": str(folder / "state")}
    process = subprocess.Popen(
        [sys.executable, str(SLOPPY / "sloppy.py"), "--hook-port", str(port)],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    for _ in poll(10):
        if (folder / "agent.json").exists():
            url = json.loads((folder / "agent.json").read_text())["url"]
            try:
                urllib.request.urlopen(f"{url}/readyz", timeout=1).close()
                break
            except OSError:
                continue
    return App(process, folder, port)


def poll(seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(0.01)
    raise AssertionError(f"not ready within {seconds} s")
