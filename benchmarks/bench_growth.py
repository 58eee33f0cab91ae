"""How the cost grows with test files, batches and apps at once. One more should cost the same.

python3 dev.py bench growth

A plain loop app. `time ~ n ** exponent` is fitted to the cost beyond a pytest of one file. An exponent of 1
is right; a higher one means that each further item costs more.

`python3 benchmarks/bench_growth.py apps` runs one step only: files, processes, batches or apps.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from figures import Table, spread

from livegui._livegui import NativeLive

APP = Path(__file__).parents[1] / "tests" / "python" / "plain_app.py"
FILES = (1, 10, 100, 300, 1000)
PROCESSES = (1, 10, 30, 100)
BATCHES = (1, 10, 100)
APPS = (1, 4, 16, 64)
#: Of several runs, the fastest counts, because what disturbs a machine only adds time. What is short runs
#: more often, so that it is as exact as what is long.
REPEATS, REPEAT_FOR_S = 3, 10.0
#: Below, an item costs less the more there are: then something else was measured.
EXPONENT = (0.9, 1.1)
#: An idle processor takes longer to wake up, which weighs more with one app than with 64. These keep all of
#: them awake, and run only when nothing else wants to.
KEEPS_AWAKE = "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass"
#: How often each of the apps ends. With more than 100 ends, p99 is not the longest of them.
ROUNDS = 2
#: How many per cent of a core one more app may cost.
APP_CPU = 0.5

#: Its main loop crashes on request. It notes when, and lives on.
BEATS = """
import os, pathlib, time, livegui
asked = pathlib.Path(os.environ["LIVEGUI_STATE_DIR"]) / "crash"
try:
    with livegui.start("loop").main_loop():
        while not asked.exists():
            livegui.start().beat()
            time.sleep(1 / 60)
        asked.with_name("crashed").write_text(str(time.monotonic_ns()))
        raise RuntimeError("as it was asked")
except RuntimeError:
    time.sleep(3600)
"""


def exponent(counts: Sequence[float], costs: Sequence[float]) -> float:
    """The slope of a line through the logarithms."""
    x, y = [math.log(count) for count in counts], [math.log(max(cost, 1e-9)) for cost in costs]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return above / sum((a - mean_x) ** 2 for a in x)


def measured(folder: Path, command: list[str]) -> tuple[float, float]:
    """The seconds that a command takes, and its peak memory in MiB."""
    with (folder / "log").open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 5):
        sys.exit((folder / "log").read_text()[-3000:])
    return seconds, usage.ru_maxrss / 1024


def repeated(folder: Path, command: list[str]) -> tuple[float, float]:
    """The fewest seconds that it takes, and its highest peak memory in MiB."""
    runs: list[tuple[float, float]] = []
    while len(runs) < REPEATS or sum(seconds for seconds, _ in runs) < REPEAT_FOR_S:
        runs.append(measured(folder, command))
    return min(seconds for seconds, _ in runs), max(most for _, most in runs)


def files(table: Table, title: str, ini: str, counts: Sequence[int], fit_from: int) -> None:
    """The cost of a file, as the number grows. Below `fit_from`, fixed costs dominate."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore"]
    costs, memory = [], []
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            shutil.copy(APP, folder)
            (folder / "pytest.ini").write_text(
                f"[pytest]\nlive_gui_command = {{python}} plain_app.py\n{ini}\n"
            )
            for number in range(count):
                (folder / f"test_{number:04}.py").write_text("def test_it(live_gui): pass\n")
            seconds, most = repeated(folder, command)
        costs.append(seconds)
        memory.append(most)
        table.show(
            f"{title}: {count} files",
            f"{seconds:.2f} s",
            note=f"{1e3 * seconds / count:.0f} ms a file, {most:.0f} MiB",
        )
    big = [number for number, count in enumerate(counts) if count >= fit_from]
    grown = exponent([counts[n] - counts[0] for n in big], [costs[n] - costs[0] for n in big])
    what = f"{title}: time ~ files to the power of"
    table.within(what, grown, *EXPONENT, note=f"fitted from {fit_from} files on")
    a_thousand = (memory[-1] - memory[0]) / (counts[-1] - counts[0]) * 1000
    table.add(f"{title}: memory for 1,000 files more", a_thousand, "MiB", 100)


def batches(table: Table, counts: Sequence[int]) -> None:
    """The cost of a batch of `livegui run` (each has one test without an app), and the memory of that."""
    costs, memory = [], []
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            config = []
            for number in range(count):
                (folder / f"test_{number:03}.py").write_text("def test_it(): pass\n")
                config.append(f'[tool.livegui.batches.b{number:03}]\npaths = ["test_{number:03}.py"]\n')
            (folder / "pyproject.toml").write_text("".join(config))
            began = time.perf_counter()
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "livegui", "run"], cwd=folder, stdout=log, stderr=log
                )
            most = 0.0
            while process.poll() is None:
                most = max(most, memory_of(process.pid))
                time.sleep(0.02)
            costs.append(time.perf_counter() - began)
            memory.append(most)
            if process.returncode != 0:
                sys.exit((folder / "log").read_text()[-3000:])
        table.show(
            f"livegui run: {count} batches",
            f"{costs[-1]:.2f} s",
            note=f"{1e3 * costs[-1] / count:.0f} ms a batch, {most:.0f} MiB",
        )
    grown = exponent([count - counts[0] for count in counts[1:]], [cost - costs[0] for cost in costs[1:]])
    what = "livegui run: time ~ batches to the power of"
    table.within(what, grown, *EXPONENT, note="most of it pytest's start")
    a_thousand = (memory[-1] - memory[0]) / (counts[-1] - counts[0]) * 1000
    table.add("livegui run: memory for 1,000 batches more", a_thousand, "MiB", 100)


def memory_of(pid: int) -> float:
    """The peak memory of a process in MiB, without its children."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    lines = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return max((int(line.split()[1]) / 1024 for line in lines), default=0.0)


@contextmanager
def lives(count: int, folder: Path) -> Iterator[list[NativeLive]]:
    """This many apps, all of them running."""
    made = []
    try:
        for number in range(count):
            live = NativeLive(
                [sys.executable, "-c", BEATS],
                name=str(number),
                environment=[],
                cwd=folder,
                python=sys.executable,
                run_dir=folder / f"runs{number}",
                ready_timeout_s=120.0,
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
            made.append(live)
            live.respawn("up")
        yield made
    finally:
        for live in made:
            live.close()


def apps(table: Table, counts: Sequence[int]) -> None:
    """What watching costs this process as the number of apps grows, and how soon the end of one is known."""
    costs, threads = [], []
    for count in counts:
        with tempfile.TemporaryDirectory() as name, lives(count, Path(name)) as made:
            time.sleep(1)
            with all_awake():
                costs.append(min(cpu_used() for _ in range(REPEATS)))
            # A thread that looks up an address for a request lives for a moment.
            threads.append(min(len(list(Path("/proc/self/task").iterdir())) for _ in range(REPEATS)))
            note = f"{threads[-1]} threads of pytest"
            table.show(f"{count} apps watched", f"{costs[-1]:.2f} % of a core", note=note)
            if count == counts[-1]:
                for fault, end in (("SIGKILL", kill), ("a crashed main loop", crash)):
                    took = ends(made, end)
                    what = f"one of {count} apps, from {fault} to its verdict"
                    table.latency(what, took, p99=250, note=spread(took, "ms", 1))
    a_thread = (threads[-1] - threads[0]) / (counts[-1] - counts[0])
    table.add("threads for an app more", a_thread, "", 3)
    # What pytest costs without an app is in each of them.
    grown = exponent([count - counts[0] for count in counts[1:]], [cost - costs[0] for cost in costs[1:]])
    what = "CPU of pytest ~ apps to the power of"
    table.within(what, grown, *EXPONENT, note="its watches ask twice a second")
    table.add("CPU of pytest for an app more", costs[-1] / counts[-1], "%", APP_CPU, note="of a core")


@contextmanager
def all_awake() -> Iterator[None]:
    """Every processor has something to do."""
    made = [subprocess.Popen([sys.executable, "-c", KEEPS_AWAKE]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in made:
            process.kill()
            process.wait()


def cpu_used() -> float:
    """How many per cent of a core this process uses."""
    before, began = time.process_time(), time.perf_counter()
    time.sleep(10)
    return (time.process_time() - before) / (time.perf_counter() - began) * 100


def ends(made: list[NativeLive], end: Callable[[NativeLive], Callable[[], int]]) -> list[float]:
    """Milliseconds from an app's end to the verdict, for one app after the other. Each is replaced."""
    took = []
    for live in made * ROUNDS:
        ended_at = end(live)
        while live.is_healthy():
            time.sleep(0.0005)
        known = time.monotonic_ns()
        took.append((known - ended_at()) / 1e6)
        live.respawn("measured")
    return took


def kill(live: NativeLive) -> Callable[[], int]:
    """End an app. Returns what tells when."""
    process = live.process
    assert process is not None
    began = time.monotonic_ns()
    os.kill(process.pid, signal.SIGKILL)
    return lambda: began


def crash(live: NativeLive) -> Callable[[], int]:
    """Let an app's main loop end with an exception. Returns what tells when."""
    state = live.run_folder / f"gen-{live.generation}" / "state"
    (state / "crash").touch()
    return lambda: int((state / "crashed").read_text())


def main() -> None:
    """Run everything, or the named steps, in one table."""
    table = Table()
    steps: dict[str, Callable[[], None]] = {
        "files": lambda: files(table, "one app", "", FILES, 100),
        "processes": lambda: files(table, "a process a file", "live_gui_scope = module", PROCESSES, 10),
        "batches": lambda: batches(table, BATCHES),
        "apps": lambda: apps(table, APPS),
    }
    for name in sys.argv[1:] or steps:
        steps[name]()
    table.end()


if __name__ == "__main__":
    main()
