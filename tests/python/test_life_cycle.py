"""How an app can end, fork, pause and be held, and what the agent makes of it."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import socket
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
from plain_suites import resume, suspend

import livegui

posix = pytest.mark.skipif(os.name != "posix", reason="there is no fork")

#: What ends a process, and with which status: Windows has TerminateProcess and no more.
ENDS: list[tuple[signal.Signals, int]]
if sys.platform == "win32":
    ENDS = [(signal.SIGTERM, 1)]
else:
    ENDS = [(signal.SIGTERM, -15), (signal.SIGKILL, -9), (signal.SIGSEGV, -11)]

STRESS = Path(__file__).parents[1] / "chaos" / "exit_stress.py"


class App:
    """A process with an agent, whose code is given as text."""

    def __init__(self, folder: Path, code: str, **environment: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | {"LIVEGUI_RUN_DIR": str(folder)} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> App:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def health(self) -> dict[str, Any]:
        discovery = json.loads((self.folder / "agent.json").read_text())
        request = urllib.request.Request(f"{discovery['url']}/health?token={discovery['token']}")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                document: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                document = json.load(error)
        return document

    def wait_for(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError, ValueError):
                document = self.health()
                if condition(document):
                    return document
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def journal(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "heartbeat.jsonl").read_text().splitlines()]


BEATS_UNTIL_TOLD = """
import livegui, sys, threading
told = threading.Event()
threading.Thread(target=lambda: sys.stdin.readline() and told.set(), daemon=True).start()
agent = livegui.start("x")
with agent.main_loop():
    while not told.wait(0.005):
        agent.beat()
    agent.stopping()
"""


def ok(document: dict[str, Any]) -> bool:
    return bool(document["status"] == "ok")


def test_a_clean_end_is_the_journal_s_last_line(tmp_path: Path) -> None:
    with App(tmp_path, BEATS_UNTIL_TOLD) as app:
        app.wait_for(ok)
        app.process.communicate("\n", timeout=10)
        assert app.process.returncode == 0
        first, *_, last = app.journal()
        assert first["schema"] == "livegui/journal/1"
        assert first["app"] == "x"
        assert last["end"] == "clean"
        assert not (tmp_path / "agent.json").exists()


@pytest.mark.parametrize(("number", "status"), ENDS)
def test_an_end_from_outside_leaves_a_journal_without_a_last_line(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    with App(tmp_path, BEATS_UNTIL_TOLD) as app:
        app.wait_for(ok)
        app.process.send_signal(number)
        assert app.process.wait(10) == status
        assert all("end" not in line for line in app.journal())


def test_os_exit_leaves_a_journal_without_a_last_line(tmp_path: Path) -> None:
    code = "import livegui, os; a = livegui.start('x'); a.beat(); a.health(); input(); os._exit(3)"
    with App(tmp_path, code) as app:
        app.wait_for(ok)
        app.process.communicate("\n", timeout=10)
        assert app.process.returncode == 3
        assert all("end" not in line for line in app.journal())


def test_a_few_exits_under_load_are_clean() -> None:
    # `python3 dev.py exits` does a thousand, on every Python there is.
    done = subprocess.run(
        [sys.executable, STRESS, "--exits", "20", sys.executable],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_a_pause_of_the_whole_process_is_no_stall(tmp_path: Path) -> None:
    with App(tmp_path, BEATS_UNTIL_TOLD, LIVEGUI_STALL_AFTER_MS="1000") as app:
        app.wait_for(ok)
        suspend(app.process.pid)
        time.sleep(2.5)  # what is tested: a span in which nothing of the app runs
        resume(app.process.pid)
        document = app.wait_for(lambda document: document["observer"]["gaps"] > 0)
        assert document["observer"]["last_gap_ms"] >= 2000
        beats = document["checks"]["main_loop"]["beats"]
        document = app.wait_for(lambda document: document["checks"]["main_loop"]["beats"] > beats + 100)
        assert document["status"] == "ok"
        assert document["history"] == []


def test_an_app_that_hung_before_a_pause_is_still_reported_after_it(tmp_path: Path) -> None:
    code = "import livegui, time; a = livegui.start('x'); a.beat(); time.sleep(600)"
    with App(tmp_path, code, LIVEGUI_STALL_AFTER_MS="3000") as app:
        app.wait_for(lambda document: (document["checks"]["main_loop"]["age_ms"] or 0) >= 1000)
        suspend(app.process.pid)
        time.sleep(4)  # longer than what was left
        resume(app.process.pid)
        document = app.wait_for(lambda document: document["observer"]["gaps"] > 0)
        assert document["status"] == "ok", "the pause itself aged nothing"
        document = app.wait_for(lambda document: document["status"] == "degraded")
        assert document["reasons"][0]["code"] == "main_loop_stalled"
        assert 3000 <= document["checks"]["main_loop"]["age_ms"] < 4500


def test_sixteen_busy_threads_are_no_stall(tmp_path: Path) -> None:
    code = """
import livegui, threading, time
agent = livegui.start("x", stall_after_ms=3000)
for _ in range(16):
    threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
while True:
    agent.beat()
    time.sleep(0.005)
"""
    with App(tmp_path, code) as app:
        document = app.wait_for(lambda document: document["uptime_ms"] > 6000)
        assert document["status"] == "ok"
        assert document["history"] == []


@pytest.mark.parametrize(("library", "code"), [("PyDLL", "interpreter_held"), ("CDLL", "main_loop_stalled")])
def test_native_code_that_holds_the_interpreter_is_told_from_a_hang(
    tmp_path: Path, library: str, code: str
) -> None:
    sleep = "('kernel32').Sleep(4_000)" if sys.platform == "win32" else "(None).usleep(4_000_000)"
    app_code = f"""
import ctypes, livegui, time
agent = livegui.start("x", stall_after_ms=1000)
end = time.monotonic() + 0.5
while time.monotonic() < end:
    agent.beat()
    time.sleep(0.005)
ctypes.{library}{sleep}
while True:
    agent.beat()
    time.sleep(0.005)
"""
    with App(tmp_path, app_code) as app:
        document = app.wait_for(lambda document: document["status"] == "degraded")
        assert document["reasons"][0]["code"] == code
        document = app.wait_for(lambda document: ok(document) and document["history"])
        assert [reason["code"] for reason in document["history"]] == [code], "one episode, in the history"


@posix
def test_a_child_forked_in_mid_request_holds_on_to_nothing(agent: livegui.Agent, tmp_path: Path) -> None:
    port = int((agent.url or "").rpartition(":")[2])
    seq = agent.health()["seq"]
    poll = socket.create_connection(("127.0.0.1", port), timeout=10)
    poll.sendall(
        f"GET /health?token={agent.token}&after={seq}&wait_ms=60000 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    )
    agent.health()
    release, released = os.pipe()
    forked, has_forked = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            agent.beat()
            agent.degrade("in the child")
            os.write(has_forked, b"x")
            os.read(release, 1)
        finally:
            os._exit(0)
    try:
        os.read(forked, 1)  # until it has run, it holds what its parent holds
        agent.degrade("in the parent")
        assert b"in the parent" in read_all(poll), "answered and closed, though the child lives"
        agent.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))
            again.listen()
    finally:
        os.write(released, b"x")
        assert os.waitpid(child, 0)[1] == 0


def read_all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


@posix
def test_a_forked_child_can_have_an_agent_of_its_own(agent: livegui.Agent, tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            (tmp_path / "child").mkdir()
            own = livegui.start("child", run_dir=tmp_path / "child")
            own.beat()
            status = 0 if own.health()["pid"] == os.getpid() and own.health()["status"] == "ok" else 2
            own.stop()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert agent.health()["status"] == "ok"


def beat_in_child(agent: livegui.Agent) -> None:
    agent.beat()
    agent.degrade("in the child")
    agent.health()
    agent.stop()


@posix
def test_a_child_of_multiprocessing_by_fork_leaves_the_parent_alone(
    agent: livegui.Agent, tmp_path: Path
) -> None:
    child = multiprocessing.get_context("fork").Process(target=beat_in_child, args=(agent,))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert agent.health()["status"] == "ok"
    assert agent.health()["checks"]["main_loop"]["beats"] == 1
    assert (tmp_path / "agent.json").exists(), "it is the parent's"


def test_a_sub_interpreter_is_refused_by_name() -> None:
    code = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
import sys
import livegui; livegui.start
number = interpreters.create()
text = f'''
import sys
sys.path[:] = {sys.path!r}
try:
    import livegui; livegui.start
except ImportError as error:
    print("ImportError:", error, flush=True)
else:
    print("imported", flush=True)
'''
interpreters.run_string(number, text)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.startswith("ImportError:"), done.stdout + done.stderr
    assert "subinterpreter" in done.stdout


def test_starting_and_stopping_leaves_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    for _ in range(50):
        agent = livegui.start("test", run_dir=tmp_path)
        agent.beat()
        agent.stop()
    assert threading.active_count() == before
