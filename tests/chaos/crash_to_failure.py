"""Measures how long a test in each kind of wait goes on after its app has crashed: p50 and p99, in ms.

    python tests/chaos/crash_to_failure.py [HOW MANY OF EACH]

A crash loop of real apps under a real pytest. Each test makes the app crash a quarter of a second later, and
waits. The time from the crash to the end of the test is measured.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

APP = Path(__file__).parents[1] / "python" / "plain_app.py"
BAR_MS = 250

CONFTEST = """
import json, time

began = 0.0

def pytest_runtest_makereport(item, call):
    if call.when == "call":
        kind = item.name.partition("[")[0].removeprefix("test_")
        said = "" if call.excinfo is None else str(call.excinfo.value)
        ended = "boom" in said or "exit status 9" in said
        with open("times", "a") as file:
            other = "" if ended else said or "it passed"
            print(json.dumps([kind, (time.perf_counter() - began - 0.25) * 1000, other]), file=file)
"""

SUITE = """
import os, socket, threading, time
import conftest, pytest

each = pytest.mark.parametrize("number", range(int(os.environ["EACH"])))

def crash(live_gui, last="crash_soon boom"):
    command = live_gui.generation_folder / "state" / "command"
    command.with_name("draft").write_text(last)
    command.with_name("draft").rename(command)
    while command.exists():
        time.sleep(0.001)
    conftest.began = time.perf_counter()

@each
def test_sleep(live_gui, number):
    crash(live_gui)
    time.sleep(20)

@each
def test_poll(live_gui, number):
    crash(live_gui)
    for _ in range(400):
        time.sleep(0.05)

@each
def test_lock(live_gui, number):
    lock = threading.Lock()
    lock.acquire()
    crash(live_gui)
    if os.name == "nt":  # there nothing ends a wait for a lock
        live_gui.wait_for(lambda: lock.acquire(blocking=False), 20)
    else:
        lock.acquire(timeout=20)

@each
def test_socket(live_gui, number):
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_connection(silent.getsockname()) as client:
        crash(live_gui)
        if os.name == "nt":  # nor one for a socket
            client.setblocking(False)
            live_gui.wait_for(lambda: reads(client), 20)
        else:
            client.settimeout(20)
            client.recv(1)

@each
def test_exit(live_gui, number):
    crash(live_gui, last="exit 9")
    conftest.began -= 0.25
    time.sleep(20)

def reads(client):
    try:
        return client.recv(1)
    except BlockingIOError:
        return None
"""


def main() -> int:
    """Measure, print, and fail if a bar is missed."""
    each = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        shutil.copy(APP, folder)
        (folder / "conftest.py").write_text(CONFTEST)
        (folder / "test_waits.py").write_text(SUITE)
        ini = "live_gui_command = {python} plain_app.py\nlive_gui_respawn = test\nlive_gui_max_respawns = 100000\n"
        (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = .\n{ini}")
        command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider"]
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"EACH": str(each)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        lines = (folder / "times").read_text().splitlines() if (folder / "times").exists() else []
    times: dict[str, list[float]] = {}
    lost = 0
    for kind, ms, other in map(json.loads, lines):
        times.setdefault(kind, []).append(ms)
        if other:
            lost += 1
            print(f"test_{kind} ended of something else after {ms:.0f} ms: {other}")
    if len(lines) != 5 * each:
        print(done.stdout.decode(errors="replace")[-4000:])
        print(f"{len(lines)} of {5 * each} tests ran")
        return 1
    worst = 0.0
    for kind, values in times.items():
        p50, p99 = statistics.median(values), sorted(values)[max(0, -(-len(values) * 99 // 100) - 1)]
        worst = max(worst, p99)
        print(f"{kind:8} {len(values):4} crashes   p50 {p50:6.1f} ms   p99 {p99:6.1f} ms")
    return 0 if worst < BAR_MS and not lost else 1


if __name__ == "__main__":
    sys.exit(main())
