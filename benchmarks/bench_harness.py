"""The test side's figures, compared with mirakuru, pytest-xprocess, pytest-xdist, psutil, a naive fixture.

All of them start the same real Dear ImGui app, headless, in the same run.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from figures import Table, quantile, spread, times
from harnesses import (
    LIMIT,
    Harness,
    Livegui,
    Mirakuru,
    Naive,
    Xprocess,
    free_port,
    head,
    psutil_check,
)
from mirakuru import TimeoutExpired

from livegui.errors import LiveGuiError

HERE = Path(__file__).parent
SLOPPY = HERE.parent / "examples" / "sloppy"
SUITES = HERE / "harness_suites"

CRASHES = 50
WORKER_CRASHES = 10
STARTS = 10
FILES = 50
FILES_WITHOUT_SPARE = 20
FILES_UNDER_XDIST = 10
TESTS = 1000
NO_OP_RUNS = 10
FAILED_STARTS = 20

HOLDER = """
import socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
input()
"""


# --- in pytests of their own ----------------------------------------------------------------------


def run_pytest(suite: str, *options: str, **environment: str) -> Any:
    """Run one of the suites here, with the plugin that measures. Returns what that wrote."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        out, log = folder / "figures.json", folder / "pytest.log"
        (folder / "pytest.ini").write_text(
            "[pytest]\n"
            f"pythonpath = {SUITES} {SLOPPY}\n"
            f"live_gui_command = {{python}} {SLOPPY / 'sloppy.py'} --hook-port {{hook_port}}\n"
        )
        text = (SUITES / suite).read_text()
        copies = int(environment.get("BENCH_FILES", "1"))
        for number in range(copies):
            (folder / f"test_{number:02}.py").write_text(text)
        command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", *options]
        command += ["-W", "ignore"]
        # Without the peers, whose plugins would take part in every test.
        environment |= {"BENCH_OUT": str(out), "LIVEGUI_STATE_DIR": name, "PYTHONPATH": ""}
        with log.open("w") as output:
            subprocess.run(
                command,
                cwd=folder,
                env=os.environ | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if not out.exists():
            sys.exit(log.read_text())
        return json.loads(out.read_text())


def milliseconds(nanoseconds: list[int]) -> list[float]:
    return [value / 1e6 for value in nanoseconds]


def bench_crash(table: Table) -> None:
    """From an IM_ASSERT in the app to the running test's failure."""
    options = ["-p", "measure_crash", "--live-gui-respawn=test", f"--live-gui-max-respawns={CRASHES}"]
    ours = milliseconds(run_pytest("suite_crash.py", *options, BENCH_CRASHES=str(CRASHES)))
    if len(ours) != CRASHES:
        sys.exit(f"only {len(ours)} of {CRASHES} crashes failed their test")
    naive = milliseconds(
        run_pytest(
            "suite_crash.py",
            "-p",
            "measure_crash",
            "-p",
            "no:livegui",
            "-p",
            "naive_live_gui",
            BENCH_CRASHES="1",
            SLOPPY_POLL_S="3",
        )
    )
    workers = milliseconds(
        run_pytest(
            "suite_worker_crash.py",
            "-p",
            "measure_worker_crash",
            "-n1",
            f"--max-worker-restart={WORKER_CRASHES}",
            BENCH_CRASHES=str(WORKER_CRASHES),
        )
    )
    over = 120_000 / quantile(ours, 0.99)
    polled = f"naive: its poll of 120 s, {over:,.0f} x (cut to 3 s: {naive[0] / 1e3:.1f} s)"
    died = f"xdist, where a whole worker dies: {quantile(workers, 0.5):.0f} ms"
    table.latency(
        f"crash to the running test's failure, {CRASHES} crashes", ours, p99=50, beside=f"{polled}; {died}"
    )


def bench_check(table: Table, checks: dict[str, list[float]]) -> None:
    """The checks before each test."""
    taken = run_pytest("suite_no_op.py", "-p", "measure_use", BENCH_TESTS=str(TESTS), BENCH_APP="1")
    ours = [value / 1e3 for value in taken["use"][1:]]
    p50 = quantile(ours, 0.5)
    beside = times(p50, {name: quantile(us, 0.5) for name, us in checks.items()}, "us")
    note = f"p99 {quantile(ours, 0.99):.1f} us"
    table.add(f"check before each test, p50 of {TESTS}", p50, "us", 10, beside=beside, note=note)


def bench_files(table: Table, whole: dict[str, list[float]]) -> None:
    """A fresh process for every file."""
    options = ["-p", "measure_use", "--live-gui-scope=module"]
    spare = milliseconds(
        run_pytest("suite_file.py", *options, "--live-gui-spares=1", BENCH_FILES=str(FILES), BENCH_SPARE="1")[
            "use"
        ]
    )[1:]
    without = milliseconds(run_pytest("suite_file.py", *options, BENCH_FILES=str(FILES_WITHOUT_SPARE))["use"])
    under_xdist = run_pytest(
        "suite_no_op.py",
        "-p",
        "no:livegui",
        "-p",
        "naive_per_file",
        "-p",
        "measure_use",
        "-n2",
        "--dist=loadfile",
        BENCH_FILES=str(FILES_UNDER_XDIST),
        BENCH_TESTS="1",
        BENCH_APP="1",
    )
    p50 = quantile(spare, 0.5)
    others = {name: quantile(ms, 0.5) for name, ms in whole.items() if name != "livegui"}
    others["xdist -n2 with naive, a file"] = under_xdist["loop"] / 1e6 / FILES_UNDER_XDIST
    seconds = f"{sum(spare) / 1e3:.2f} s in all (the seed fears 49 to 98 s)"
    table.add(
        f"fresh process for a file, a spare, p50 of {len(spare)}",
        p50,
        "ms",
        50,
        beside=times(p50, others, "ms", 0),
        note=f"{seconds}; {spread(spare, 'ms', 1)}",
    )
    slow = without[1:]
    table.show(
        "  the same without a spare",
        f"{quantile(slow, 0.5):.0f} ms",
        beside=times(quantile(slow, 0.5), others, "ms", 0),
        note=spread(slow, "ms", 0),
    )


def bench_handover(table: Table) -> None:
    """The additional cost for a file of asking an app at 60 frames a second whether its main loop runs."""
    one_process = ("suite_no_op.py", {"BENCH_TESTS": "1", "BENCH_APP": "1"})
    a_spare_each = ("suite_file.py", {"BENCH_SPARE": "1"})
    kinds = {
        "hand-over to the next file, added to it": (one_process, []),
        "  the same with a spare a file": (
            a_spare_each,
            ["--live-gui-scope=module", "--live-gui-spares=1"],
        ),
    }
    for what, ((suite, environment), options) in kinds.items():
        taken = {}
        for handover in ("respawn", "off"):
            asked = ["-p", "measure_use", f"--live-gui-handover={handover}", *options]
            figures = run_pytest(suite, *asked, BENCH_FILES=str(FILES), **environment)
            # A test's own time counts in neither. Waiting for a spare takes as long as it takes.
            taken[handover] = milliseconds(figures["around"][1:-1])
        added = quantile(taken["respawn"], 0.5) - quantile(taken["off"], 0.5)
        p99 = quantile(taken["respawn"], 0.99) - quantile(taken["off"], 0.5)
        table.add(f"{what}, p50 of {FILES}", added, "ms", 25, note=f"p99 {p99:.1f} ms")


def bench_no_op(table: Table) -> None:
    """Tests that do not use the app, with the plugin and without it, alternating."""
    with_plugin, without = [], []
    for _ in range(NO_OP_RUNS):
        for taken, options in ((with_plugin, []), (without, ["-p", "no:livegui"])):
            figures = run_pytest("suite_no_op.py", "-p", "measure_use", *options, BENCH_TESTS=str(TESTS))
            taken.append(quantile(figures["tests"], 0.5) / 1e3)
    # The minimum of the runs, because other activity on the machine can only add to it.
    ours, bare = min(with_plugin), min(without)
    table.add(
        f"plugin's share of a no-op test, {NO_OP_RUNS} runs",
        ours - bare,
        "us",
        20,
        note=f"{ours:.0f} us with it, {bare:.0f} us without; {spread(with_plugin, 'us', 0)} with it",
    )


# --- in this process ------------------------------------------------------------------------------


@contextlib.contextmanager
def moments(folder: Path, **environment: str) -> Iterator[Callable[[], dict[str, int]]]:
    """Where the next app writes its moments. The function waits until it has."""
    file = folder / "moments.json"
    file.unlink(missing_ok=True)
    added = {"BENCH_MOMENTS": str(file)} | environment

    def read() -> dict[str, int]:
        deadline = time.monotonic() + 30
        while not file.exists():
            if time.monotonic() > deadline:
                sys.exit("the app did not come up")
            time.sleep(0.001)
        noted: dict[str, int] = json.loads(file.read_text())
        return noted

    os.environ.update(added)
    try:
        yield read
    finally:
        for name in added:
            del os.environ[name]


def bench_starts(table: Table, harnesses: list[Harness], folder: Path) -> dict[str, list[float]]:
    """From start to usable. Returns the milliseconds for ending one app and starting the next."""
    over, whole = defaultdict(list), defaultdict(list)
    for _ in range(STARTS):
        for harness in harnesses:
            with moments(folder) as read:
                asked = time.monotonic_ns()
                harness.start(free_port())
                usable = time.monotonic_ns()
                noted = read()
            ending = time.monotonic_ns()
            harness.stop()
            ended = time.monotonic_ns()
            # Up to the app's first line it is the interpreter's start, which is the same for all.
            own = noted[harness.sign] - noted["began"] + interpreter_start()
            over[harness.name].append((usable - asked - own) / 1e6)
            whole[harness.name].append((usable - asked + ended - ending) / 1e6)
    p50 = {name: quantile(ms, 0.5) for name, ms in over.items()}
    ours = p50.pop("livegui")
    beside, note = times(ours, p50, "ms", 0), spread(over["livegui"], "ms", 1)
    table.add(
        f"start to usable over the app's own, p50 of {STARTS}", ours, "ms", 30, beside=beside, note=note
    )
    return whole


def interpreter_start() -> int:
    """Nanoseconds from a process's start to its first line of Python."""
    asked = time.monotonic_ns()
    code = "import time; print(time.monotonic_ns())"
    return (
        int(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout) - asked
    )


def time_checks(harnesses: list[Harness]) -> dict[str, list[float]]:
    """Microseconds for each harness' check before a test, on a running app."""
    taken = {}
    for harness in harnesses:
        if isinstance(harness, Livegui):
            continue
        port = free_port()
        harness.start(port)
        try:
            check = "Popen.poll" if isinstance(harness, Naive) else harness.name
            taken[check] = microseconds(harness.is_up)
            if isinstance(harness, Naive):
                pid = harness.process.pid
                taken["psutil"] = microseconds(lambda pid=pid: psutil_check(pid))
                taken["fresh HEAD"] = microseconds(lambda port=port: head(port), 500)
        finally:
            harness.stop()
    return taken


def microseconds(call: Callable[[], object], times: int = TESTS) -> list[float]:
    taken = []
    for _ in range(times):
        began = time.perf_counter_ns()
        call()
        taken.append((time.perf_counter_ns() - began) / 1e3)
    return taken


def bench_held_port(table: Table, harnesses: list[Harness], folder: Path) -> None:
    """A port that another process holds."""
    command = [sys.executable, "-c", HOLDER]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    port = int(holder.stdout.readline())
    try:
        ours, beside = [], []
        for harness in harnesses:
            for _ in range(FAILED_STARTS if harness.name == "livegui" else 1):
                with moments(folder):
                    began = time.perf_counter()
                    error = failure_of(harness, port)
                    taken = (time.perf_counter() - began) * 1e3
                if isinstance(error, LiveGuiError):
                    ours.append(taken)
                    if f"held by pid {holder.pid}" not in str(error):
                        sys.exit(f"the error does not name the holder: {error}")
                else:
                    beside.append(f"{harness.name} {outcome(error, taken)}")
    finally:
        holder.kill()
        holder.communicate()
    table.latency("held port to the error that names its holder", ours, p99=20, beside=", ".join(beside))


def bench_early_death(table: Table, harnesses: list[Harness], folder: Path) -> None:
    """An app that ends before it is ready."""
    for status in ("0", "3"):
        ours, beside = [], []
        for harness in harnesses:
            for _ in range(FAILED_STARTS if harness.name == "livegui" else 1):
                with moments(folder, BENCH_DIE=status) as read:
                    error = failure_of(harness, free_port())
                    taken = (time.monotonic_ns() - read()["died"]) / 1e6
                if isinstance(error, LiveGuiError):
                    ours.append(taken)
                    if f"exit status {status}" not in str(error):
                        sys.exit(f"the error does not tell of the end: {error}")
                else:
                    beside.append(f"{harness.name} {outcome(error, taken)}")
        table.latency(f"early death, exit {status}, to the error", ours, p99=50, beside=", ".join(beside))


def failure_of(harness: Harness, port: int) -> Exception:
    """The error of a start that cannot succeed."""
    try:
        harness.start(port, LIMIT)
    except Exception as error:  # noqa: BLE001 -- each has its own
        return error
    else:
        return AssertionError("no error")
    finally:
        with contextlib.suppress(Exception):
            harness.stop()


def outcome(error: Exception, taken: float) -> str:
    """The result of a peer."""
    if isinstance(error, TimeoutError | TimeoutExpired):
        return f"none until its time-out ({LIMIT:g} s here)"
    return f"{taken:.0f} ms ({type(error).__name__})"


class InThisProcess:
    """A pytest whose loop is a function of ours, because the peers' fixtures need pytest's configuration."""

    def __init__(self, loop: Callable[[pytest.Config], None]) -> None:
        self.loop = loop

    def pytest_collection(self) -> bool:
        return True

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.loop(session.config)
        return True


def main() -> None:
    """Run everything, in one table."""
    table = Table()

    def loop(config: pytest.Config) -> None:
        folder = config.rootpath
        harnesses: list[Harness] = [Livegui(config), Naive(), Mirakuru(), Xprocess(folder)]
        checks = time_checks(harnesses)
        bench_crash(table)
        bench_check(table, checks)
        bench_files(table, bench_starts(table, harnesses, folder))
        bench_handover(table)
        bench_held_port(table, harnesses, folder)
        bench_early_death(table, harnesses, folder)
        bench_no_op(table)

    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"LIVEGUI_STATE_DIR": folder, "BENCH_MOMENTS": str(Path(folder) / "moments.json")}
        options = ["-s", "-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:xprocess"]
        options += ["--rootdir", folder, folder]
        status = pytest.main(options, plugins=[InThisProcess(loop)])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        sys.exit(f"pytest ended with exit status {status}")
    table.end()


if __name__ == "__main__":
    main()
