"""Measures the time from the end of an app to the verdict, whatever reads its exit status.

python tests/chaos/exit_to_verdict.py [ROUNDS]
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from livegui._livegui import NativeLive
from livegui.errors import GuiExited

APP = """
import time, livegui
agent = livegui.start("short")
with agent.main_loop():
    while True:
        agent.beat()
        time.sleep(0.005)
"""
BAR_MS = 50.0


def rounds(how: str, count: int, folder: Path) -> list[float]:
    """Milliseconds from SIGKILL to the verdict, sorted."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN if how == "ignored" else signal.SIG_DFL)
    live = NativeLive(
        [sys.executable, "-c", APP],
        name="",
        environment=[],
        cwd=folder,
        python=sys.executable,
        run_dir=folder / "runs",
        ready_timeout_s=30.0,
        scope="session",
        respawn="file",
        max_respawns=3,
        callback_errors="fail",
        spares=0,
        kill_stale=False,
        handover="respawn",
        handover_timeout="500ms",
        left_open="respawn",
        inject="false",
        library_pools=False,
        carrier=folder,
        output_limit="16M",
        say=print,
        signal=signal.SIGURG,
    )
    took = []
    for _ in range(count):
        live.respawn("another round")
        process = live.process
        assert process is not None
        began = time.perf_counter()
        os.kill(process.pid, signal.SIGKILL)
        if how == "reaped elsewhere":
            os.waitpid(process.pid, 0)
        while live.is_healthy():
            pass
        took.append((time.perf_counter() - began) * 1e3)
        try:
            live.health_json()
        except GuiExited:
            continue
        raise AssertionError("it is not told as an exit")
    live.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return sorted(took)


def main() -> None:
    """Kill apps, and print a line for each way in which the exit status is read."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    missed = []
    for how in ("default", "ignored", "reaped elsewhere"):
        with tempfile.TemporaryDirectory() as folder:
            took = rounds(how, count, Path(folder))
        p50, p99 = took[len(took) // 2], took[min(len(took) - 1, len(took) * 99 // 100)]
        print(f"SIGCHLD {how}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, of {count}", flush=True)
        if p99 > BAR_MS:
            missed.append(how)
    if missed:
        sys.exit(f"more than {BAR_MS:.0f} ms at p99: {', '.join(missed)}")


if __name__ == "__main__":
    main()
