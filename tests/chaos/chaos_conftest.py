"""The conftest of a case's suite. It records what pytest reports, and kills pytest if the case says so."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hook_client import HookClient
from limits import make_read_only, make_writable

OUT = Path(os.environ["CHAOS_OUT"])
PHASE = os.environ.get("CHAOS_KILL", "")
RUN_DIR = Path(os.environ["CHAOS_RUN_DIR"])
read_only_folders: list[Path] = []
#: The threads that kill this pytest. They are none of those that livegui may leave.
killers: set[str] = set()


def kill_me(phase: str, after_s: float = 0.0) -> None:
    """Note that ``phase`` begins. Kill this pytest with SIGKILL, if it should end in it."""
    write("phase", phase=phase)
    if phase == PHASE:
        killer = threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGKILL))
        killer.start()
        killers.add(str(killer.native_id))
        if after_s == 0.0:
            time.sleep(60)


def read_only() -> None:
    """Nothing can be written into the run folder until the next file."""
    make_read_only(RUN_DIR)
    read_only_folders.append(RUN_DIR)
    with pytest.raises(OSError, match="Read-only"):
        (RUN_DIR / "probe").write_text("")


def write(kind: str, **content: Any) -> None:
    with OUT.open("a") as file:
        file.write(json.dumps({"kind": kind, "pid": os.getpid(), **content}) + "\n")


def descriptors() -> dict[str, str]:
    """The open descriptors of this process, and what each is."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[entry.name] = str(entry.readlink())
        except OSError:
            continue
    return {number: target for number, target in found.items() if not target.endswith("/fd")}


def threads() -> list[str]:
    found = []
    for task in Path("/proc/self/task").iterdir():
        try:
            name = (task / "comm").read_text().strip()
        except OSError:  # it has just ended
            continue
        if task.name not in killers:
            found.append(name)
    return sorted(found)


BEFORE: dict[str, Any] = {}


def pytest_configure(config: pytest.Config) -> None:
    BEFORE.update(fds=descriptors(), threads=threads())


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    # What is about to go is no leak: threads that watched an app end a moment after it.
    deadline = time.monotonic() + 3
    while True:
        more = [target for number, target in descriptors().items() if BEFORE["fds"].get(number) != target]
        more_threads = list((Counter(threads()) - Counter(BEFORE["threads"])).elements())
        ending = [name for name in more_threads if name.startswith("livegui-") and name != "livegui-alarm"]
        if not ending or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    write("left_in_pytest", descriptors=more, threads=more_threads)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if os.environ.get("PYTEST_XDIST_WORKER"):
        return  # its controller reports the same
    write(
        "report",
        test=report.nodeid.rpartition("::")[2],
        when=report.when,
        outcome=report.outcome,
        text=report.longreprtext,
    )


@pytest.fixture(scope="session")
def live_gui_env() -> dict[str, str]:
    kill_me("start", 0.1)
    environment: dict[str, str] = json.loads(os.environ["CHAOS_APP_ENVIRONMENT"])
    return environment


@pytest.fixture
def hook(live_gui: Any, request: pytest.FixtureRequest) -> HookClient:
    write("app", test=request.node.name, port=live_gui.hook_port, generation=live_gui.generation)
    return HookClient(live_gui.hook_port)


@pytest.fixture
def phases(live_gui: Any) -> Iterator[None]:
    kill_me("set-up")
    yield
    kill_me("tear-down")


@pytest.fixture(scope="module", autouse=True)
def between_files(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if request.module.__name__ == "test_a":
        while read_only_folders:
            make_writable(read_only_folders.pop())
        (RUN_DIR / "full").unlink(missing_ok=True)
        # The next process is on its way: a spare is there at once.
        kill_me("respawn", 0.02 if int(request.config.getini("live_gui_spares") or 0) else 0.1)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    kill_me("end", 0.01)


__all__ = ["kill_me", "read_only"]
