"""Limits that bind root as well: a control group for threads, a read-only mount for a folder."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from pathlib import Path

#: Control groups of version 1, and of version 2 where the controller is on.
GROUPS = [Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")]


def group_of_groups() -> Path | None:
    """Where a group that limits threads can be made; None if nowhere here."""
    for parent in GROUPS:
        probe = parent / f"chaos-probe-{os.getpid()}"
        with contextlib.suppress(OSError):
            probe.mkdir()
            has_limit = (probe / "pids.max").exists()
            probe.rmdir()
            if has_limit:
                return parent
    return None


def use_up_threads(seconds: float) -> None:
    """Let this process have no thread more, and after so many seconds as many as it likes again."""
    parent = group_of_groups()
    assert parent is not None
    group = parent / f"chaos-{os.getpid()}"
    group.mkdir()
    (group / "cgroup.procs").write_text(str(os.getpid()))
    done, started = threading.Event(), []
    try:
        (group / "pids.max").write_text((group / "pids.current").read_text())
        with contextlib.suppress(RuntimeError):
            while True:
                thread = threading.Thread(target=done.wait, daemon=True)
                thread.start()
                started.append(thread)
        time.sleep(seconds)
    finally:
        done.set()
        for thread in started:
            thread.join()
        (parent / "cgroup.procs").write_text(str(os.getpid()))
        group.rmdir()


def make_read_only(folder: Path) -> None:
    """Nothing can be written by this path any more; what is open for writing stays so."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)


def make_writable(folder: Path) -> None:
    """Take the read-only mount away again."""
    subprocess.run(["umount", folder], check=True)
