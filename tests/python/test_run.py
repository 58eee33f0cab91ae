"""``livegui run``: real batches of real pytests, and what becomes of each when they fail, die or hang."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from plain_suites import is_running, wait_until_gone

HERE = Path(__file__).parent
LIVEGUI = [sys.executable, "-m", "livegui", "run"]
posix = pytest.mark.skipif(
    os.name != "posix", reason="POSIX signals, or none of them; twins: test_windows.py"
)

PASSES = "def test_passes():\n    pass\n"
FAILS = 'def test_good():\n    pass\n\ndef test_bad():\n    assert 1 == 2, "one is not two"\n'
LIVE = '[tool.pytest.ini_options]\nlive_gui_command = "{python} plain_app.py"\n'


@dataclass
class Result:
    status: int
    text: str

    def rows(self) -> dict[str, list[str]]:
        """The table: batch -> verdict, passed, failed, victims, lost, respawns."""
        lines = [line.strip("│ ").split("┆") for line in self.text.splitlines() if line.startswith("│")]
        cells = [[cell.strip() for cell in line] for line in lines]
        if cells and len(cells[0]) == 1:
            cells = [[word.strip() for word in line[0].split("  ") if word.strip()] for line in cells]
        return {line[0]: line[1:-1] for line in cells[1:]}


class Project:
    """A folder with a suite, and the batches in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)

    def batches(self, **batches: str) -> None:
        tables = [f"[tool.livegui.batches.{name}]\n{text}\n" for name, text in batches.items()]
        self.write({"pyproject.toml": "\n".join(tables)})

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*LIVEGUI, *arguments],
            cwd=self.root,
            env=self.environment(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )

    def run(self, *arguments: str, **environment: str) -> Result:
        return finished(self.start(*arguments, **environment))

    def environment(self, more: dict[str, str]) -> dict[str, str]:
        # This test may itself run in a pytest that is followed, or on a CI machine.
        ours = ("LIVEGUI", "GITHUB_", "PYTEST_", "COLUMNS")
        return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more

    def folder(self) -> Path:
        """The newest run."""
        return max((self.root / ".livegui" / "batches").iterdir(), key=lambda path: path.name)

    def record(self) -> dict[str, Any]:
        """What the newest run recorded of each batch."""
        run = json.loads((self.folder() / "run.json").read_text())
        return {batch["batch"]["name"]: batch for batch in run["batches"]}

    def wait_for(self, name: str) -> None:
        """Until a test has made this file."""
        deadline = time.monotonic() + 30
        while not (self.root / name).exists():
            assert time.monotonic() < deadline, f"no {name}"
            time.sleep(0.01)

    def processes(self) -> list[int]:
        """Whatever runs in this folder or came from something that does."""
        found = []
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and int(process.name) != os.getpid() and is_running(int(process.name)):
                try:
                    text = (process / "environ").read_bytes() + os.fsencode((process / "cwd").readlink())
                except OSError:
                    continue
                if os.fsencode(self.root) in text:
                    found.append(int(process.name))
        return found


def finished(process: subprocess.Popen[str]) -> Result:
    text, _ = process.communicate(timeout=180)
    print(text)
    return Result(process.returncode, text)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    yield project
    if sys.platform == "linux":
        for pid in project.processes():  # a test that failed may have left them
            os.kill(pid, signal.SIGKILL)


@posix
def test_whatever_happens_in_one_batch_the_others_run_and_all_have_a_verdict(project: Project) -> None:
    project.batches(
        segfaults='paths = ["a"]',
        hangs='paths = ["b"]\ntimeout = "2s"',
        killed='paths = ["c"]',
        uncollectable='paths = ["d"]',
        fails='paths = ["e"]',
        passes='paths = ["f"]',
    )
    hangs = """
import subprocess, time
def test_hangs():
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    time.sleep(600)
def test_after(): pass
"""
    project.write(
        {
            "a/test_a.py": "import ctypes\ndef test_0(): pass\ndef test_dies(): ctypes.string_at(0)\ndef test_2(): pass",
            "a/test_b.py": PASSES,
            "b/test_a.py": hangs,
            "b/test_b.py": PASSES,
            "c/test_a.py": "import os, signal\ndef test_dies(): os.kill(os.getpid(), signal.SIGKILL)",
            "d/test_a.py": "import nothing_of_the_kind",
            "d/test_b.py": PASSES,
            "e/test_a.py": FAILS,
            "f/test_a.py": PASSES,
        }
    )
    result = project.run()
    assert result.status == 3
    rows = {name: " ".join(cells) for name, cells in result.rows().items()}
    assert rows == {
        "segfaults": "lost 2 0 0 2 0",
        "hangs": "lost 1 0 0 2 0",
        "killed": "lost 0 0 0 1 0",
        "uncollectable": "lost 1 0 0 0 0",
        "fails": "failed 1 1 0 0 0",
        "passes": "passed 1 0 0 0 0",
    }
    record = project.record()
    assert {name: batch["why"] for name, batch in record.items()} == {
        "segfaults": "pytest ended with signal 11 (SIGSEGV), during a/test_a.py::test_dies",
        "hangs": "pytest hung: no end within 2s, during b/test_a.py::test_hangs",
        "killed": "pytest ended with signal 9 (SIGKILL), during c/test_a.py::test_dies",
        "uncollectable": "d/test_a.py could not be collected: ModuleNotFoundError: No module named 'nothing_of_the_kind'",
        "fails": None,
        "passes": None,
    }
    lost = {
        name: [(lost["test"], lost["culprit"]) for lost in batch["lost"]] for name, batch in record.items()
    }
    assert lost["segfaults"] == [("a/test_a.py::test_dies", True), ("a/test_a.py::test_2", False)]
    assert lost["hangs"] == [("b/test_a.py::test_hangs", True), ("b/test_a.py::test_after", False)]
    where = (project.folder() / "hangs" / "stdout.log").read_text()
    assert "test_a.py:5: KeyboardInterrupt" in where, "it says where it hung"
    report = ET.parse(project.folder() / "junit.xml").getroot()
    assert (report.get("tests"), report.get("failures")) == ("17", "1")
    assert {suite.get("name") for suite in report} == set(rows)
    assert (project.folder() / "segfaults" / "junit.xml").exists()
    if sys.platform == "linux":
        assert project.processes() == []


def test_a_run_in_which_all_passes_ends_with_0_and_one_in_which_a_test_fails_with_1(project: Project) -> None:
    project.batches(first='paths = ["test_a.py"]', second='paths = ["test_b.py"]')
    project.write({"test_a.py": PASSES, "test_b.py": PASSES})
    assert project.run(LIVEGUI_FOLLOWED="1", LIVEGUI_ONLY="of another run").status == 0
    project.write({"test_b.py": FAILS})
    result = project.run()
    assert result.status == 1
    assert "   FAILED  test_b.py::test_bad  AssertionError: one is not two\n" in result.text
    assert " left)" in result.text, "it knows how long that took the last time"
    # On Windows there is one for PowerShell as well.
    label = "reproduce:" if os.name == "posix" else "reproduce (cmd):"
    (reproduce,) = [line for line in result.text.splitlines() if label in line]
    again = subprocess.run(
        reproduce.partition(label)[2],
        shell=True,
        cwd="/",
        env=project.environment({}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 1
    assert "1 failed in" in again.stdout


REFUSED = {
    "an unknown key": (
        '[tool.livegui.batches.a]\npaths = ["."]\ntimeuot = "1m"',
        'pyproject.toml:3: [tool.livegui.batches.a]: there is no key "timeuot": did you mean "timeout"?',
    ),
    "a missing path": (
        '[tool.livegui.batches.a]\npaths = [".", "nowhere"]',
        'pyproject.toml:2: tool.livegui.batches.a.paths has "nowhere": there is no such path',
    ),
    "a bad duration": (
        '[tool.livegui.batches.a]\npaths = ["."]\ntimeout = "soon"',
        'pyproject.toml:3: tool.livegui.batches.a.timeout = "soon": expected number at 0; expected a duration such as "90s"',
    ),
    "an unknown batch": (
        '[tool.livegui.batches.unit]\npaths = ["."]\nneeds = ["unti"]',
        'pyproject.toml:3: tool.livegui.batches.unit.needs: there is no batch "unti": did you mean "unit"?',
    ),
    "a circle": (
        '[tool.livegui.batches.a]\npaths = ["."]\nneeds = ["b"]\n[tool.livegui.batches.b]\npaths = ["."]\nneeds = ["a"]',
        "pyproject.toml:3: tool.livegui.batches.a.needs goes round in a circle: a needs b needs a",
    ),
    "no TOML": ("[tool.livegui", "pyproject.toml:1: "),
    "no batches": ("", "pyproject.toml has no [tool.livegui.batches.*]: add one, for example"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_bad_configuration_is_refused_before_anything_runs(project: Project, text: str) -> None:
    configuration, expected = REFUSED[text]
    project.write({"pyproject.toml": configuration, "test_a.py": PASSES})
    result = project.run()
    assert result.status == 2
    assert expected in result.text
    assert not (project.root / ".livegui").exists()


def test_a_name_that_is_neither_batch_nor_path_is_refused_with_the_nearest(project: Project) -> None:
    project.batches(unit='paths = ["."]')
    result = project.run("unti")
    assert (result.status, 'there is no batch or path "unti": did you mean "unit"?' in result.text) == (
        2,
        True,
    )
    assert project.run("--timeout", "soon").status == 64
    assert project.run("--resume", "--last-failed").status == 64


def test_a_batch_whose_need_did_not_pass_is_not_run_and_that_is_no_success(project: Project) -> None:
    project.batches(
        live='paths = ["test_a.py"]\nneeds = ["unit"]',
        other='paths = ["test_a.py"]',
        unit='paths = ["test_b.py"]',
    )
    project.write({"test_a.py": PASSES, "test_b.py": FAILS})
    result = project.run()
    assert result.status == 3
    assert [(name, cells[0]) for name, cells in result.rows().items()] == [
        ("unit", "failed"),
        ("live", "not run"),
        ("other", "passed"),
    ]
    assert "live: not run: it needs unit: failed" in result.text
    project.write({"test_b.py": PASSES})
    result = project.run("live")
    assert result.status == 0
    assert list(result.rows()) == ["unit", "live"], "what it needs comes along"


def test_what_a_dead_pytest_never_ran_is_left_only_if_so_asked(project: Project) -> None:
    dies = "import os\ndef test_0(): pass\ndef test_dies(): os._exit(0)\ndef test_2(): pass"
    project.write({"test_a.py": dies, "test_b.py": dies, "test_c.py": PASSES})
    result = project.run(".")
    assert result.status == 3, "its own exit status is 0"
    assert " ".join(result.rows()["(paths)"]) == "lost 3 0 0 4 0"
    assert "   LOST    test_a.py::test_dies  pytest ended with exit status 0 while it ran\n" in result.text
    result = project.run(".", "--no-resume-lost")
    assert result.status == 3
    assert " ".join(result.rows()["(paths)"]) == "lost 1 0 0 6 0"


def test_last_failed_runs_again_what_did_not_end_well_and_nothing_else(project: Project) -> None:
    project.batches(
        good='paths = ["test_a.py"]',
        bad='paths = ["test_b.py"]',
        dies='paths = ["test_c.py"]',
        broken='paths = ["d"]',
    )
    dies = "import os\ndef test_0(): pass\ndef test_dies(): os._exit(1)\ndef test_2(): pass"
    project.write(
        {"test_a.py": PASSES, "test_b.py": FAILS, "test_c.py": dies, "d/test_d.py": "import nothing"}
    )
    assert project.run().status == 3
    for name in ("test_b.py", "test_c.py", "d/test_d.py"):
        text = (project.root / name).read_text()
        project.write(
            {
                name: text.replace("1 == 2", "True")
                .replace("os._exit(1)", "pass")
                .replace("import nothing", PASSES)
            }
        )
    result = project.run("--last-failed")
    assert result.status == 0
    assert {name: " ".join(cells[:2]) for name, cells in result.rows().items()} == {
        "bad": "passed 1",
        "dies": "passed 2",
        "broken": "passed 1",
    }
    result = project.run("--last-failed")
    assert (result.status, "nothing failed in the newest run" in result.text) == (2, True)


WAITS = """
import pathlib, time
def test_first(): pass
def test_waits():
    pathlib.Path("running").touch()
    while not pathlib.Path("go on").exists():
        time.sleep(0.01)
def test_last(): pass
"""


@posix
def test_one_ctrl_c_lets_the_running_test_end_and_resume_goes_on_from_there(project: Project) -> None:
    project.batches(a='paths = ["test_a.py"]', b='paths = ["test_b.py"]', c='paths = ["test_a.py"]')
    project.write({"test_a.py": PASSES, "test_b.py": WAITS})
    process = project.start()
    project.wait_for("running")
    process.send_signal(signal.SIGINT)
    project.wait_for(".livegui/batches/" + project.folder().name + "/b/events.jsonl.stop")
    project.write({"go on": ""})
    result = finished(process)
    assert result.status == 130
    assert {name: " ".join(cells[:2]) for name, cells in result.rows().items()} == {
        "a": "passed 1",
        "b": "interrupted 2",
        "c": "did not begin 0",
    }
    result = project.run("--resume")
    assert result.status == 0
    assert {name: " ".join(cells[:2]) for name, cells in result.rows().items()} == {
        "a": "passed 1",
        "b": "passed 3",
        "c": "passed 1",
    }
    assert "== a" not in result.text, "it is finished"
    assert [len(batch["processes"]) for batch in project.record().values()] == [1, 2, 1]
    result = project.run("--resume")
    assert (result.status, "there is nothing to resume" in result.text) == (2, True)


@posix
@pytest.mark.parametrize(
    "signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]], ids=["ctrl-c twice", "term"]
)
def test_a_second_ctrl_c_ends_it_at_once_and_leaves_no_process(
    project: Project, signals: list[signal.Signals]
) -> None:
    project.write({"pyproject.toml": LIVE, "test_a.py": WAITS.replace("_waits()", "_waits(live_gui)")})
    shutil.copy(HERE / "plain_app.py", project.root)
    process = project.start(".")
    project.wait_for("running")
    for number, name in enumerate(signals):
        process.send_signal(name)
        if number == 0 and len(signals) > 1:
            project.wait_for(".livegui/batches/" + project.folder().name + "/(paths)/events.jsonl.stop")
    began = time.monotonic()
    result = finished(process)
    assert time.monotonic() - began < 20
    assert result.status == 130
    assert " ".join(result.rows()["(paths)"]) == "interrupted 1 0 0 0 0"
    if sys.platform == "linux":
        assert project.processes() == []


def test_a_runner_that_is_killed_leaves_no_process_and_can_be_resumed(project: Project) -> None:
    project.write({"pyproject.toml": LIVE, "test_a.py": WAITS.replace("_waits()", "_waits(live_gui)")})
    shutil.copy(HERE / "plain_app.py", project.root)
    process = project.start(".")
    project.wait_for("running")
    (record,) = (project.root / ".livegui").glob("*/run.json")
    app = json.loads(record.read_text())["generations"][0]["pid"]
    assert is_running(app)
    process.kill()
    process.communicate()
    wait_until_gone(app)
    gone(project.processes)
    project.write({"go on": ""})
    result = project.run("--resume")
    assert result.status == 0
    assert " ".join(result.rows()["(paths)"]) == "passed 3 0 0 0 0"
    # The app ends with its pytest, which may see that before it is ended itself.
    ends = (
        "its run was killed.",
        "the process ended with signal 15 (SIGTERM).",
        "the process ended with exit status 1.",
    )
    assert any(end in result.text for end in ends)


@pytest.mark.parametrize("days", [-2, 2], ids=["set back", "set forward"])
def test_a_run_that_goes_on_is_not_doubled_after_a_step_of_the_clock(project: Project, days: int) -> None:
    """What the clock said when the run was recorded is moved: the clock of this machine is not to be set."""
    project.batches(a='paths = ["test_a.py"]')
    project.write({"test_a.py": WAITS})
    process = project.start()
    project.wait_for("running")
    record = project.folder() / "run.json"

    def step(text: re.Match[str]) -> str:
        moved = datetime.fromisoformat(text[1]) - timedelta(days=days)
        return moved.isoformat()

    stepped = re.sub(r"\b(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d)", step, record.read_text())
    assert stepped != record.read_text()
    record.write_text(stepped)
    result = project.run("--resume")
    assert result.status == 2
    assert f"still goes on: pid {process.pid}" in result.text
    project.write({"go on": ""})
    assert finished(process).status == 0
    assert len(list((project.root / ".livegui" / "batches").iterdir())) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are of Linux")
def test_a_run_whose_clock_is_another_may_still_go_on(project: Project) -> None:
    other = ["unshare", "--time", "--boottime", "1000000", "--fork"]
    if subprocess.run([*other, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no right to make a time namespace")
    project.batches(a='paths = ["test_a.py"]')
    project.write({"test_a.py": WAITS})
    process = project.start()
    project.wait_for("running")
    done = subprocess.run(
        [*other, *LIVEGUI, "--resume"],
        cwd=project.root,
        env=project.environment({}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"may still go on: whether its process (pid {process.pid}) is there" in done.stderr
    project.write({"go on": ""})
    assert finished(process).status == 0


def gone(processes: Callable[[], list[int]]) -> None:
    if sys.platform == "linux":
        deadline = time.monotonic() + 15
        while processes():
            assert time.monotonic() < deadline, processes()
            time.sleep(0.05)


@pytest.mark.skipif(os.name != "posix", reason="on Windows the app ends with a pytest that is killed")
def test_what_a_batch_left_is_told_before_the_next_one(project: Project) -> None:
    crashes = """
def test_crashes(live_gui):
    state = live_gui.run_folder / f"gen-{live_gui.generation}" / "state"
    (state / "draft").write_text("crash boom")
    (state / "draft").rename(state / "command")
    live_gui.process.wait(60)
"""
    kills = "import os, signal\ndef test_kills(live_gui): os.kill(os.getpid(), signal.SIGKILL)"
    batches = '[tool.livegui.batches.tier-3-live-gui]\npaths = ["test_a.py"]\n'
    batches += '[tool.livegui.batches.killed]\npaths = ["test_b.py"]\n[tool.livegui.batches.last]\npaths = ["test_c.py"]\n'
    project.write(
        {"pyproject.toml": LIVE + batches, "test_a.py": crashes, "test_b.py": kills, "test_c.py": PASSES}
    )
    shutil.copy(HERE / "plain_app.py", project.root)
    result = project.run()
    assert result.status == 3
    (run,) = [run for run in runs(project) if len(run["generations"]) == 1 and run["ended_at"]]
    pid = run["generations"][0]["pid"]
    assert (
        f'[BATCH-WARN] prior batch "tier-3-live-gui" left the live_gui subprocess (pid={pid}) dead: '
        "main_loop_crashed: RuntimeError: boom" in result.text
    )
    assert '[BATCH-WARN] prior batch "killed" left the live_gui subprocess (pid=' in result.text
    assert result.text.count(" This batch starts on a fresh process.\n") == 2
    if sys.platform == "linux":
        assert project.processes() == []


def runs(project: Project) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in (project.root / ".livegui").glob("*/run.json")]


def test_victims_and_respawns_are_counted(project: Project) -> None:
    crashes = """
import time
def test_crashes(live_gui):
    state = live_gui.run_folder / f"gen-{live_gui.generation}" / "state"
    (state / "draft").write_text("crash boom")
    (state / "draft").rename(state / "command")
    time.sleep(60)
def test_victim(live_gui): pass
"""
    project.write({"pyproject.toml": LIVE, "test_a.py": crashes, "test_b.py": "def test_b(live_gui): pass"})
    shutil.copy(HERE / "plain_app.py", project.root)
    result = project.run(".")
    assert result.status == 1
    assert " ".join(result.rows()["(paths)"]) == "failed 1 1 1 0 1"
    assert "GuiDegraded: main_loop_crashed: RuntimeError: boom\n" in result.text
    assert "  victim:    test_a.py::test_victim of test_a.py::test_crashes\n" in result.text


def test_workers_share_a_batch_and_a_test_that_kills_one_is_named(project: Project) -> None:
    project.batches(live='paths = ["."]\nworkers = 2')
    many = "import pytest\n@pytest.mark.parametrize('n', range(8))\ndef test_many(n): pass"
    project.write({"test_a.py": many, "test_b.py": "import os\ndef test_dies(): os._exit(1)"})
    result = project.run()
    assert result.status == 1, "xdist goes on by itself"
    assert " ".join(result.rows()["live"]) == "failed 8 1 0 0 0"
    assert "crashed while running 'test_b.py::test_dies'" in result.text
    project.write({"test_b.py": "def test_dies(): pass"})
    result = project.run("--last-failed")
    assert (result.status, " ".join(result.rows()["live"])) == (0, "passed 1 0 0 0 0")


def test_a_pytest_that_a_test_runs_is_not_taken_for_the_batch(project: Project) -> None:
    nested = """
import subprocess, sys
def test_outer(tmp_path, pytester):
    (tmp_path / "test_inner.py").write_text("def test_inner(): assert False")
    for more in ([], ["-n", "1"]):
        command = [sys.executable, "-m", "pytest", "-p", "livegui", *more, str(tmp_path)]
        assert subprocess.run(command).returncode == 1
    pytester.makepyfile("def test_in_process(): assert False")
    pytester.runpytest_inprocess().assert_outcomes(failed=1)
"""
    project.write({"test_a.py": nested, "conftest.py": 'pytest_plugins = ["pytester"]'})
    result = project.run("test_a.py")
    assert (result.status, " ".join(result.rows()["(paths)"])) == (0, "passed 1 0 0 0 0")


def test_github_is_told_where_a_test_failed(project: Project) -> None:
    project.write({"sub/tests/test_a.py": FAILS, "sub/pytest.ini": "[pytest]\n"})
    result = project.run("-C", "sub", "tests", GITHUB_ACTIONS="true", GITHUB_WORKSPACE=str(project.root))
    assert result.status == 1
    annotation = "::error file=sub/tests/test_a.py,line=4,title=tests/test_a.py%3A%3Atest_bad::AssertionError: one is not two"
    assert annotation in result.text.splitlines()


def test_list_shows_batches_and_files_and_runs_nothing(project: Project) -> None:
    project.batches(
        unit='paths = ["a"]\ntimeout = "2m"\nargs = ["-n", "1"]', live='paths = ["b"]\nneeds = ["unit"]'
    )
    project.write({"a/test_a.py": FAILS, "a/test_b.py": PASSES, "b/test_c.py": PASSES})
    result = project.run("--list", "-k", "not good")
    assert result.status == 0
    assert result.text.splitlines() == [
        "unit: 2 tests, at most 2m",
        "     1  a/test_a.py",
        "     1  a/test_b.py",
        "live: 1 test, at most 1h, needs unit",
        "     1  b/test_c.py",
    ]
    assert not (project.root / ".livegui").exists()
    project.write({"b/test_c.py": "import nothing_of_the_kind"})
    result = project.run("--list")
    assert (result.status, "b/test_c.py cannot be collected" in result.text) == (3, True)


def test_selections_and_everything_after_two_dashes_go_to_pytest(project: Project) -> None:
    project.batches(
        one='paths = ["test_a.py"]\nargs = ["-v"]\nenv = { PART = "1" }', two='paths = ["test_b.py"]'
    )
    project.write(
        {"test_a.py": "import os\ndef test_part(): assert os.environ['PART'] == '1'", "test_b.py": FAILS}
    )
    result = project.run("-k", "part", "--", "-p", "no:cacheprovider")
    assert result.status == 0
    assert {name: " ".join(cells[:2]) for name, cells in result.rows().items()} == {
        "one": "passed 1",
        "two": "no tests 0",
    }
    output = (project.folder() / "one" / "stdout.log").read_text()
    assert "test_a.py::test_part PASSED" in output
    assert not (project.root / ".pytest_cache").exists()
    assert project.run("-k", "nothing_has_this_name").status == 2


def test_a_batch_of_which_nothing_is_heard_is_lost_and_says_what_pytest_said(project: Project) -> None:
    project.batches(a='paths = ["test_a.py"]\nargs = ["--no-such-option"]', b='paths = ["test_a.py"]')
    project.write({"test_a.py": PASSES})
    result = project.run(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert result.status == 3
    assert [cells[0] for cells in result.rows().values()] == ["lost", "passed"]
    assert "pytest ended with exit status 4, before its livegui plugin said anything" in result.text
    assert "unrecognized arguments: --no-such-option" in result.text
    result = project.run("b", "--", "-p", "no:livegui")
    assert result.status == 3
    result = project.run("b", "--python", "/no/such/python")
    assert (result.status, "pytest was not started: cannot start /no/such/python" in result.text) == (3, True)


@pytest.mark.skipif(os.name != "posix", reason="pseudo terminals are of POSIX")
def test_on_a_terminal_there_is_a_bar(project: Project) -> None:
    import pty  # noqa: PLC0415 -- not on Windows

    project.write({"test_a.py": WAITS})
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*LIVEGUI, "test_a.py"],
        cwd=project.root,
        env=project.environment({"TERM": "xterm", "COLUMNS": "100"}),
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    text = b""
    deadline = time.monotonic() + 30
    while process.poll() is None:
        assert time.monotonic() < deadline, text
        if select.select([ours], [], [], 0.1)[0]:
            try:
                text += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
        if b"1/3" in text:
            project.write({"go on": ""})
    os.close(ours)
    assert process.wait(30) == 0
    assert b"3 passed" in text
