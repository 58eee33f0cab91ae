"""Suites and helpers that several tests of the plugin share."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

Suite = Callable[..., pytest.RunResult]

unless_windows = pytest.mark.skipif(
    os.name == "nt",
    reason="nothing ends a wait for a lock, a thread or a socket on Windows: docs/platforms.md, test_waits.py",
)

#: ``deny(number, errno)`` refuses a system call to this process and to all that it starts.
DENY = """
import ctypes, struct

def deny(number, errno):
    AND, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
    instructions = [(AND, 0, 0, 0), (JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, 0x00050000 | errno),
                    (RETURN, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in instructions))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(instructions), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, ctypes.c_void_p(ctypes.addressof(program)), 0, 0) == 0, ctypes.get_errno()  # PR_SET_SECCOMP
"""
#: A line of a test: what pytest started may outlive it, as after a crash of the machine's own.
UNGUARD = (
    "import subprocess; "
    "subprocess.run(['pkill', '-KILL', '-P', str(os.getpid()), '-f', 'livegui guard'], check=True)"
)

CRASH_IN_SECOND_OF_THREE = """
import time

def test_first(app):
    pass

def test_culprit(app):
    app.do("crash boom")
    time.sleep(60)

def test_victim(app):
    raise AssertionError("this must not run")
"""

PASSES = """
def test_next(app, live_gui):
    assert live_gui.is_healthy()
    assert live_gui.health()["status"] == "ok"
"""


def beside(name: str, wanted: list[str]) -> Path:
    """A folder for PYTHONPATH with these packages; a Windows under wine has what was made with it."""
    made = os.environ.get("LIVEGUI_TEST_BESIDE")
    if made is None:
        import dev  # noqa: PLC0415 -- dev.py chaos reads this file too, from elsewhere

        return dev.beside(name, wanted)
    folder = Path(made) / name
    assert folder.parent.is_dir()
    if not folder.exists():
        pytest.skip(f"not installed on this Windows: {', '.join(wanted)}")
    return folder


#: For a suite's pytest.ini: its tests may import this module.
HELPERS = f"pythonpath = {Path(__file__).parent.as_posix()} {Path(__file__).parents[2].as_posix()}"
#: Why a test of trio is skipped.
NO_TRIO = "trio waits by a device (AFD) that wine 8 does not have"


#: Whether everything that a test may need must be there. Known before a test clears the variable.
IN_CI = os.environ.get("CI") == "true"


def not_here(why: str) -> NoReturn:
    """Skip the test, because something is not installed; CI has all of it."""
    if IN_CI:
        pytest.fail(why)
    pytest.skip(why)


def skip_without_tkinter() -> None:
    """Skip the test if this Python was built without tkinter. Nothing that CI could install adds it."""
    pytest.importorskip("tkinter", reason="this Python was built without tkinter", exc_type=ImportError)


def under_wine() -> bool:
    """Wine 8 does not have all of Windows: it does not tell whose a port is, for one."""
    return sys.platform == "win32" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")


def is_running(pid: int) -> bool:
    if sys.platform == "linux":  # whoever is to reap orphans may take a while; a zombie does not run
        process = Path(f"/proc/{pid}")
        try:
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            return state != "Z" or len(list((process / "task").iterdir())) > 1
        except OSError:
            return False
    if sys.platform == "win32":  # where os.kill(pid, 0) is Ctrl-C
        synchronize, timeout = 0x0010_0000, 0x102
        kernel32 = ctypes.WinDLL("kernel32")
        handle = kernel32.OpenProcess(synchronize, False, pid)
        runs = bool(handle) and kernel32.WaitForSingleObject(handle, 0) == timeout
        kernel32.CloseHandle(handle)
        return runs
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def suspend(pid: int) -> None:
    """Nothing of it runs until `resume()`."""
    if sys.platform == "win32":
        _nt(pid, "NtSuspendProcess")
    else:
        os.kill(pid, signal.SIGSTOP)


def resume(pid: int) -> None:
    if sys.platform == "win32":
        _nt(pid, "NtResumeProcess")
    else:
        os.kill(pid, signal.SIGCONT)


def _nt(pid: int, function: str) -> None:
    if sys.platform == "win32":
        suspend_resume = 0x800
        kernel32 = ctypes.WinDLL("kernel32")
        handle = kernel32.OpenProcess(suspend_resume, False, pid)
        status = getattr(ctypes.WinDLL("ntdll"), function)(handle)
        kernel32.CloseHandle(handle)
        assert status == 0, hex(status)


def wait_until_gone(*pids: int) -> None:
    deadline = time.monotonic() + 10
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, pids
        time.sleep(0.01)


def generations(pytester: pytest.Pytester) -> list[dict[str, Any]]:
    (record,) = pytester.path.glob(".livegui/*/run.json")
    found: list[dict[str, Any]] = json.loads(record.read_text())["generations"]
    return found


def generation(pytester: pytest.Pytester) -> dict[str, Any]:
    return generations(pytester)[0]
