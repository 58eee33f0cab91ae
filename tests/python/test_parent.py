"""The watch over the test run ends no app by mistake, and none outlives its run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from plain_suites import DENY, Suite, generation, generations, is_running, wait_until_gone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces and seccomp are of Linux")

PIDFD_OPEN = 434
NO_OP = "def test_it(live_gui):\n    assert live_gui.is_healthy()\n"


@pytest.mark.parametrize("errno", [1, 38, 24], ids=["EPERM", "ENOSYS", "EMFILE"])
def test_an_app_lives_where_a_pidfd_cannot_be_had(suite: Suite, errno: int) -> None:
    test = f"""
import os, signal, time
import pytest

def test_it(live_gui):
    with pytest.raises(OSError) as refused:
        os.pidfd_open(os.getpid())
    assert refused.value.errno == {errno}
    time.sleep(2)  # longer than the watch over the parent takes to look
    assert live_gui.is_healthy()
    assert live_gui.health()["observer"]["parent"] == "watched"
    os.kill(live_gui.pid, signal.SIGKILL)
    time.sleep(60)
"""
    early = DENY + f"deny({PIDFD_OPEN}, {errno})\n"
    result = suite({"early.py": early, "test_a.py": test}, "-p", "early", ini="pythonpath = .")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*GuiExited: signal 9 (SIGKILL)*"])


def test_a_killed_run_leaves_nothing_where_a_pidfd_cannot_be_had(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    early = DENY + f"deny({PIDFD_OPEN}, 1)\n"
    kill = "import os, signal\ndef test_it(live_gui):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    suite({"early.py": early, "test_a.py": kill}, "-p", "early", ini="pythonpath = .")
    wait_until_gone(generation(pytester)["pid"])


def test_an_app_that_closes_every_descriptor_is_not_ended_for_it(tmp_path: Path) -> None:
    app = """
import os, sys, time, livegui
agent = livegui.start("closes")
agent.beat()
os.closerange(3, 256)
held = [os.open("/dev/zero", os.O_RDONLY) for _ in range(64)]  # readable, as the end of a process was
time.sleep(2.5)
os.write(1, b"lives")
os._exit(0)
"""
    done = run_app(app, tmp_path, parent=this_process())
    assert (done.stdout, done.returncode) == ("lives", 0), done.stderr


def test_an_app_in_a_pid_namespace_of_its_own_lives_and_says_that_nobody_watches(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    namespaces()
    test = """
import time

def test_it(live_gui):
    time.sleep(2)
    assert live_gui.is_healthy()
    assert live_gui.health()["observer"]["parent"].startswith("not watched: pid ")
"""
    command = "live_gui_command = unshare --fork --pid {python} plain_app.py"
    suite({"test_a.py": test}, ini=command).assert_outcomes(passed=1)
    journal = Path(generation(pytester)["folder"], "heartbeat.jsonl").read_text()
    assert json.loads(journal.splitlines()[0])["parent"].startswith("not watched: ")


def test_an_app_says_why_it_ends_itself(suite: Suite, pytester: pytest.Pytester) -> None:
    kill = "import os, signal\ndef test_it(live_gui):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    suite({"test_a.py": kill})
    gone = generation(pytester)
    wait_until_gone(gone["pid"])
    folder = Path(gone["folder"])
    why = "is gone, so it ends itself"
    assert why in (folder / "stderr.log").read_text()
    lines = [json.loads(line) for line in (folder / "heartbeat.jsonl").read_text().splitlines()]
    assert any(why in line.get("end", "") for line in lines)


@pytest.mark.parametrize(
    "command",
    [
        "{python} -c 'import time; time.sleep(600)'",
        "sleep 600",
        "setsid sh -c 'trap : TERM; sleep 600 & wait; wait'",
        "sh -c 'setsid sleep 600 & sleep 600'",
    ],
    ids=["hang_at_import", "no_agent", "session_of_its_own", "helper_that_left"],
)
def test_an_app_without_an_agent_does_not_outlive_a_killed_run(
    pytester: pytest.Pytester, command: str
) -> None:
    (pytester.path / "pytest.ini").write_text(f"[pytest]\nlive_gui_command = {command}\n")
    (pytester.path / "test_a.py").write_text(NO_OP)
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=pytester.path,
        stdout=subprocess.DEVNULL,
    ) as run:
        deadline = time.monotonic() + 20
        while not list(pytester.path.glob(".livegui/*/run.json")) or not generations(pytester):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.7)  # the helper is there by then, and the guard
        pids = carriers(generation(pytester)["folder"])
        assert pids
        run.send_signal(signal.SIGKILL)
    wait_until_gone(*pids)


@pytest.mark.parametrize("missing", ["", "LIVEGUI_RUN_DIR="])
def test_an_empty_run_folder_matches_nobody(tmp_path: Path, missing: str) -> None:
    """The app of a run that is gone ends what carries its mark; an empty one is carried by strangers too."""
    stranger = subprocess.Popen(["sleep", "60"], env={"PATH": os.environ["PATH"], "LIVEGUI_RUN_DIR": ""})
    try:
        app = """
import time, livegui
agent = livegui.start("x", journal=False)
while True:
    agent.beat()
    time.sleep(0.01)
"""
        parent = this_process() | {"pid": 2**22 - 1}
        environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
        if missing:
            environment["LIVEGUI_RUN_DIR"] = ""
        done = run_app(app, None, parent=parent, **environment)
        assert done.returncode == -signal.SIGTERM
        assert "is gone, so it ends itself" in done.stderr
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_followed_pytest_says_that_nobody_watches_its_parent(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("def test_it():\n    pass\n")
    parent = this_process() | {"namespace": "of somebody else"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIVEGUI")}
    environment = {"LIVEGUI_EVENTS": str(tmp_path / "events.jsonl"), "LIVEGUI_PARENT": json.dumps(parent)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert (
        f"livegui: this test run does not end with the one that started it, should that be killed: pid {os.getpid()} is of another PID namespace"
        in done.stderr
    )


def namespaces() -> None:
    if subprocess.run(["unshare", "--fork", "--pid", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no right to make a PID namespace")


def this_process() -> dict[str, Any]:
    """What livegui hands an app as its parent."""
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    links = [str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("pid", "time")]
    return {
        "pid": os.getpid(),
        "start": int(stat[19]),
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "namespace": " ".join(links),
        "host": os.uname().nodename,
    }


def run_app(
    code: str, folder: Path | None, *, parent: dict[str, Any], **environment: str
) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIVEGUI")}
    if folder is not None:
        environment["LIVEGUI_RUN_DIR"] = str(folder)
    return subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | environment | {"LIVEGUI_PARENT": json.dumps(parent)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        start_new_session=True,
    )


def carriers(folder: str) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            carries = f"LIVEGUI_RUN_DIR={folder}".encode() in (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if carries and is_running(int(process.name)):
            found.append(int(process.name))
    return found
