"""livegui and its peers. Each starts the same app, checks whether it is up, and ends it."""

from __future__ import annotations

import contextlib
import http.client
import io
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import psutil
import pytest
from _pytest._py.path import LocalPath
from mirakuru import HTTPExecutor
from xprocess import ProcessStarter, XProcess

from livegui._session import Session

APP = Path(__file__).with_name("timed_sloppy.py")
#: How many seconds a peer may wait for an app that never comes before it is interrupted.
LIMIT = 3.0
#: How often the naive fixture polls.
POLL_S = 0.1


class Harness(Protocol):
    """Starts apps for tests."""

    name: str
    #: What it considers a sign that the app is usable, as a moment that the app records.
    sign: str

    def start(self, port: int, limit: float = 30.0) -> None:
        """Return when the app is usable."""

    def is_up(self) -> bool:
        """Its own check, as people would use it before each test."""

    def stop(self) -> None:
        """End the app."""


def command(port: int | str) -> list[str]:
    """The app's command line."""
    return [sys.executable, str(APP), "--hook-port", str(port)]


def free_port() -> int:
    """A free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether the app's hook server answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=1):
            return True
    except OSError:
        return False


def head(port: int) -> int:
    """The status of a HEAD request on a new connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("HEAD", "/status")
        return connection.getresponse().status
    finally:
        connection.close()


class Livegui:
    """What the fixture ``live_gui`` does."""

    name, sign = "livegui", "frame"

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.session = Session(config)

    def start(self, port: int, limit: float = 30.0) -> None:
        self.session = Session(self.config)
        self.session.open(command(port), {})

    def is_up(self) -> bool:
        return self.session.live is not None and self.session.live.is_healthy()

    def stop(self) -> None:
        self.session.close()


class Naive:
    """A process, and a poll of its hook server."""

    name, sign = "naive", "listening"
    process: subprocess.Popen[bytes]

    def start(self, port: int, limit: float = 30.0) -> None:
        self.process = subprocess.Popen(command(port), stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + limit
        while not answers(port):
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(POLL_S)

    def is_up(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class Mirakuru:
    """An ``HTTPExecutor`` with its defaults."""

    name, sign = "mirakuru", "listening"
    executor: HTTPExecutor

    def start(self, port: int, limit: float = 30.0) -> None:
        self.executor = HTTPExecutor(
            shlex.join(command(port)),
            f"http://127.0.0.1:{port}/status",
            method="GET",
            timeout=limit,
            expected_returncode=0,
            stderr=subprocess.DEVNULL,
        )
        self.executor.start()

    def is_up(self) -> bool:
        return self.executor.running()

    def stop(self) -> None:
        self.executor.stop()


class Xprocess:
    """The fixture ``xprocess`` with a starter that queries the hook server."""

    name, sign = "xprocess", "listening"

    def __init__(self, folder: Path) -> None:
        self.xprocess: Any = XProcess(SimpleNamespace(), LocalPath(folder))

    def start(self, port: int, limit: float = 30.0) -> None:
        class Starter(ProcessStarter):  # type: ignore[misc]  # it has no types
            args = command(port)
            timeout = limit

            def startup_check(self) -> bool:
                return answers(port)

        with contextlib.redirect_stdout(io.StringIO()):
            self.xprocess.ensure("sloppy", Starter, restart=True)

    def is_up(self) -> bool:
        up: bool = self.xprocess.getinfo("sloppy").isrunning()
        return up

    def stop(self) -> None:
        self.xprocess.getinfo("sloppy").terminate()
        self.xprocess.resources.clear()


def psutil_check(pid: int) -> bool:
    """Whether a process runs, according to psutil."""
    process = psutil.Process(pid)
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
