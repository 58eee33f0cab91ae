"""Threads that end, and a process that does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import livegui
from livegui._canary import Canary


def wait_for(agent: livegui.Agent, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while not condition(document := agent.health()):
        assert time.monotonic() < deadline, document
    return document


def fail() -> None:
    raise OSError("no such device")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_says_why_at_once(agent: livegui.Agent) -> None:
    thread = threading.Thread(target=fail, name="reader")
    agent.watch_thread(thread)
    assert agent.health()["checks"]["threads"] == [{"name": "reader", "state": "alive"}]
    thread.start()
    thread.join()
    document = agent.health()
    (reason,) = document["reasons"]
    assert reason["code"] == "thread_died"
    assert reason["component"] == "reader"
    assert "OSError: no such device" in reason["message"]
    assert "in fail" in reason["detail"]["traceback"]
    assert document["checks"]["threads"] == [{"name": "reader", "state": "ended"}]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_runs_already_is_watched_just_as_well(agent: livegui.Agent) -> None:
    go = threading.Event()

    def work() -> None:
        go.wait(10)
        fail()

    thread = threading.Thread(target=work)
    thread.start()
    agent.watch_thread(thread, "reader")
    go.set()
    thread.join()
    (reason,) = agent.health()["reasons"]
    assert "OSError: no such device" in reason["message"]


def test_a_thread_that_returns_is_dead_too(agent: livegui.Agent) -> None:
    go = threading.Event()
    thread = threading.Thread(target=go.wait, args=(10,))
    thread.start()
    agent.watch_thread(thread, "reader")
    go.set()
    document = wait_for(agent, lambda document: document["status"] == "degraded")
    assert document["reasons"][0]["message"] == 'thread "reader" ended'


def test_a_thread_hook_of_somebody_else_is_called_and_given_back(tmp_path: Path) -> None:
    heard: list[object] = []
    earlier, threading.excepthook = threading.excepthook, heard.append
    try:
        mine = threading.excepthook
        agent = livegui.start("test", run_dir=tmp_path)
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        assert len(heard) == 1
        agent.stop()
        assert threading.excepthook == mine
    finally:
        threading.excepthook = earlier


def test_what_is_no_thread_is_refused(agent: livegui.Agent) -> None:
    with pytest.raises(TypeError, match="not str"):
        agent.watch_thread("reader")  # type: ignore[arg-type]


def run_app(code: str, run_dir: Path, **options: Any) -> subprocess.Popen[str]:
    environment = os.environ | {"LIVEGUI_RUN_DIR": str(run_dir)}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, text=True, **options)


def health_of(run_dir: Path) -> dict[str, Any]:
    discovery = json.loads((run_dir / "agent.json").read_text())
    request = urllib.request.Request(
        f"{discovery['url']}/health", headers={"Authorization": f"Bearer {discovery['token']}"}
    )
    try:
        answer = urllib.request.urlopen(request, timeout=5)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        document: dict[str, Any] = json.load(answer)
        return document


def poll_health(run_dir: Path, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + 15
    while True:
        try:
            document = health_of(run_dir)
            if condition(document):
                return document
        except (OSError, ValueError):
            document = {}
        assert time.monotonic() < deadline, document
        time.sleep(0.02)


def test_a_process_whose_main_thread_ended_says_who_keeps_it_alive(tmp_path: Path) -> None:
    code = """
import livegui, threading
agent = livegui.start("x")
agent.beat()
threading.Thread(target=input, name="hooks").start()
"""
    with run_app(code, tmp_path, stdin=subprocess.PIPE) as app:
        document = poll_health(tmp_path, lambda document: document["status"] == "degraded")
        assert document["reasons"][0]["code"] == "app_exiting"
        assert "hooks" in document["reasons"][0]["message"]
        app.communicate("\n", timeout=10)
        assert app.returncode == 0


def test_a_worker_that_blocks_the_exit_is_named(tmp_path: Path) -> None:
    code = """
import livegui
from concurrent.futures import ThreadPoolExecutor
agent = livegui.start("x")
agent.beat()
ThreadPoolExecutor(1, thread_name_prefix="io").submit(input)
"""
    with run_app(code, tmp_path, stdin=subprocess.PIPE) as app:
        document = poll_health(tmp_path, lambda document: document["status"] == "degraded")
        assert document["reasons"][0]["code"] == "app_exiting"
        assert "io_0" in document["reasons"][0]["message"]
        app.communicate("\n", timeout=10)
        assert app.returncode == 0


def test_whoever_debugs_the_main_thread_is_not_told_that_it_hangs(tmp_path: Path) -> None:
    code = """
import livegui, time
agent = livegui.start("x", stall_after_ms=500)
agent.beat()
breakpoint()
for _ in range(600):
    agent.beat()
    time.sleep(0.01)
"""
    with run_app(code, tmp_path, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as app:
        poll_health(tmp_path, lambda document: document["checks"]["main_loop"]["state"] == "paused")
        # Awake time is what counts, not this machine's speed.
        document = poll_health(tmp_path, lambda document: document["checks"]["main_loop"]["age_ms"] > 2000)
        assert document["status"] == "ok"
        assert app.stdin is not None
        app.stdin.write("continue\n")
        app.stdin.flush()
        poll_health(tmp_path, lambda document: document["checks"]["main_loop"]["state"] == "ok")
        app.kill()


class NoThread:
    """What gevent makes of a thread: it runs on the thread that started it."""

    def __init__(self, target: Callable[[], None], **_named: object) -> None:
        self.run = target

    def start(self) -> None:
        pass

    def join(self, _timeout: float) -> None:
        pass


def test_a_canary_that_runs_on_a_thread_of_the_app_does_not_wait_in_native_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits = []

    class Native:
        question = silence = None

        def tick(self) -> float:
            return 60.0

        def looked(self) -> None:
            pass

        def end_wait(self) -> None:
            pass

        def wait_for_question(self, at_most_s: float) -> None:
            waits.append(at_most_s)

    native: Any = Native()
    for made_like_this, expected in ((NoThread, set()), (threading.Thread, {60.0})):
        with monkeypatch.context() as patched:
            patched.setattr(threading, "Thread", made_like_this)
            canary = Canary(native, ())
        canary.stop()
        if made_like_this is NoThread:
            canary._run()
        assert set(waits) == expected
