"""The agent as an app uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import livegui


def get(agent: livegui.Agent, path: str) -> tuple[int, bytes]:
    request = urllib.request.Request(f"{agent.url}{path}", headers={"Authorization": f"Bearer {agent.token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_start_is_idempotent_and_starts_anew_after_stop(agent: livegui.Agent, tmp_path: Path) -> None:
    assert livegui.start("another name") is agent
    agent.stop()
    again = livegui.start("test", run_dir=tmp_path)
    try:
        assert again is not agent
        assert again.health()["status"] == "starting"
    finally:
        again.stop()


def test_health_is_what_the_endpoint_answers(agent: livegui.Agent) -> None:
    document = agent.health()
    status, body = get(agent, "/health")
    assert status == 200
    assert document["schema"] == "livegui/health/1"
    assert document["status"] == "ok"
    assert document["pid"] == os.getpid()
    assert document["checks"]["main_loop"]["beats"] == 1
    assert json.loads(body).keys() == document.keys()


def test_the_discovery_file_lets_in_its_owner_only_and_goes_with_the_agent(
    agent: livegui.Agent, tmp_path: Path
) -> None:
    file = tmp_path / "agent.json"
    discovery = json.loads(file.read_text())
    assert discovery["url"] == agent.url
    assert discovery["token"] == agent.token
    assert discovery["instance"] == agent.health()["instance"]
    if os.name == "posix":
        assert file.stat().st_mode & 0o777 == 0o600
    agent.stop()
    assert [path.name for path in tmp_path.iterdir()] == ["heartbeat.jsonl"]


def test_an_exception_out_of_the_main_loop_is_a_crash_and_passes_through(agent: livegui.Agent) -> None:
    with pytest.raises(ZeroDivisionError), agent.main_loop():
        _ = 1 / 0
    (reason,) = agent.health()["reasons"]
    assert reason["code"] == "main_loop_crashed"
    assert reason["message"] == "ZeroDivisionError: division by zero"
    assert "test_agent.py" in reason["detail"]["traceback"]
    assert get(agent, "/readyz") == (503, b"degraded\n")


class Unprintable(Exception):
    def __str__(self) -> str:
        raise KeyError("no text")


@pytest.mark.parametrize(
    ("error", "says"),
    [(ValueError("bad file \udcff"), "ValueError: bad file \\udcff"), (Unprintable(), "Unprintable")],
)
def test_a_crash_is_told_whatever_its_text(agent: livegui.Agent, error: Exception, says: str) -> None:
    with pytest.raises(type(error)), agent.main_loop():
        raise error
    (reason,) = agent.health()["reasons"]
    assert reason["code"] == "main_loop_crashed"
    assert says in reason["message"]


def test_leaving_the_main_loop_is_an_exit_unless_it_was_announced(agent: livegui.Agent) -> None:
    with agent.main_loop():
        agent.beat()
    assert [reason["code"] for reason in agent.health()["reasons"]] == ["main_loop_exited"]


def test_leaving_the_main_loop_after_stopping_is_a_normal_end(agent: livegui.Agent) -> None:
    with agent.main_loop():
        agent.stopping()
    assert agent.health()["status"] == "stopping"
    assert agent.health()["reasons"] == []


def test_sys_exit_leaves_the_loop_and_is_no_crash(agent: livegui.Agent) -> None:
    with pytest.raises(SystemExit), agent.main_loop():
        sys.exit(3)
    (reason,) = agent.health()["reasons"]
    assert reason["code"] == "main_loop_exited"
    assert reason["message"].startswith("the app ended itself: sys.exit(3) at ")
    assert "test_agent.py:" in reason["message"]


def test_an_app_can_report_trouble_and_take_it_back(agent: livegui.Agent) -> None:
    agent.degrade("the disk is full", code="disk_full", recoverable=True)
    agent.degrade("no licence")
    assert [(r["code"], r["recoverable"]) for r in agent.health()["reasons"]] == [
        ("disk_full", True),
        ("app_reported", False),
    ]
    agent.clear("disk_full")
    agent.clear()
    document = agent.health()
    assert document["status"] == "ok"
    assert [reason["code"] for reason in document["history"]] == ["disk_full", "app_reported"]


@pytest.mark.parametrize("code", ["", "Main Loop", "main_loop_crashed", "x" * 65])
def test_a_code_that_is_no_plain_word_or_livegui_s_own_is_refused(agent: livegui.Agent, code: str) -> None:
    with pytest.raises(ValueError, match="code="):
        agent.degrade("x", code=code)
    assert agent.health()["status"] == "ok"


def test_a_pause_takes_seconds(agent: livegui.Agent) -> None:
    with agent.paused("file dialog", max_s=1.5):
        assert agent.health()["checks"]["main_loop"]["state"] == "paused"
        with agent.paused("another"):
            pass
        assert agent.health()["checks"]["main_loop"]["state"] == "paused"
    assert agent.health()["checks"]["main_loop"]["state"] == "ok"
    with pytest.raises(ValueError, match="max_s=-1"), agent.paused("x", max_s=-1):
        pass


def test_everything_works_from_any_thread(agent: livegui.Agent) -> None:
    def work() -> None:
        for number in range(200):
            agent.beat()
            with agent.paused("x"):
                agent.degrade(str(number), code="busy")
            agent.clear("busy")
            agent.health()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    document = agent.health()
    assert document["status"] == "ok"
    assert document["checks"]["main_loop"]["beats"] == 1 + 8 * 200
    assert document["observer"]["dropped"] == 0


def test_after_stop_nothing_does_anything(agent: livegui.Agent) -> None:
    agent.stop()
    agent.beat()
    agent.degrade("x")
    agent.clear()
    agent.stopping()
    with agent.main_loop(), agent.paused("x"):
        pass
    agent.stop()
    assert agent.health()["status"] == "stopping"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("livegui")]


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_inert_agent_takes_every_call_and_starts_nothing() -> None:
    code = """
import livegui, threading
from concurrent.futures import ThreadPoolExecutor
agent = livegui.start()
with agent.main_loop(), agent.paused("x"):
    agent.beat()
agent.watch_executor(ThreadPoolExecutor(), "pool")
agent.degrade("x")
assert agent.url is None and agent.token is None
assert agent.health()["status"] == "starting", agent.health()
assert threading.active_count() == 1
"""
    done = run_python(code, LIVEGUI="0")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIVEGUI", "maybe"),
        ("LIVEGUI_PORT", "x"),
        ("LIVEGUI_STALL_AFTER_MS", "5s"),
        ("LIVEGUI_STARTUP_MS", "1"),
    ],
)
def test_a_bad_variable_is_refused_by_name_and_value(name: str, value: str) -> None:
    done = run_python("import livegui; livegui.start()", **{name: value})
    assert done.returncode == 1
    assert f"ValueError: {name}={value}: expected " in done.stderr


def test_a_run_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write the discovery file .*file"):
        livegui.start("test", run_dir=tmp_path / "file")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("livegui")]


@pytest.mark.parametrize("argument", ["port", "stall_after_ms", "startup_ms", "executor_stall_ms"])
def test_a_bad_argument_is_refused_by_name(argument: str) -> None:
    with pytest.raises(ValueError, match=f"{argument}=-5"):
        livegui.start("test", **{argument: -5})  # type: ignore[arg-type]


def test_a_helper_with_the_app_s_environment_does_not_take_its_place(
    agent: livegui.Agent, tmp_path: Path
) -> None:
    before = (tmp_path / "agent.json").read_text()
    done = run_python("import livegui; livegui.start().beat()", LIVEGUI_RUN_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "agent.json").read_text() == before
    assert not list(tmp_path.glob("[0-9]*.json"))


def test_an_app_that_changes_its_folder_leaves_its_files_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    agent = livegui.start("test", run_dir="run")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    agent.stop()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["heartbeat.jsonl"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_is_inert_and_the_parent_unaffected(agent: livegui.Agent) -> None:
    child = os.fork()
    if child == 0:
        try:
            agent.beat()
            agent.degrade("in the child")
            agent.stop()
            agent.health()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert agent.health()["status"] == "ok"
    assert agent.health()["checks"]["main_loop"]["beats"] == 1
