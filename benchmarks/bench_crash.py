"""From an IM_ASSERT to the failed test: 50 crashes of the real app, each in a pytest test of its own.

The app notes when it is about to assert, the plugin of this file when pytest reports the test as
failed; both read the machine's monotonic clock. Every crash is followed by a fresh process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import quantile

CRASHES = 50
SLOPPY = Path(__file__).parents[1] / "examples" / "sloppy"

SUITE = """
import time
import pytest

@pytest.mark.parametrize("number", range({crashes}))
def test_crash(hook, number, request):
    request.node.hook = hook
    hook.fault("im_assert")
    time.sleep(60)
"""

PLUGIN = """
import json, os, time
import pytest

LATENCIES = []

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        reported = time.monotonic_ns()
        assert report.failed and "IM_ASSERT" in str(report.longrepr), report.longrepr
        LATENCIES.append(reported - item.hook.value("asserted_at_ns"))
        os.write(2, b".")  # progress; pytest's own output is in a file
    return report

def pytest_sessionfinish():
    with open(os.environ["BENCH_OUT"], "w") as file:
        json.dump(LATENCIES, file)
"""


def main() -> None:
    """Run it and print one line."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tests").mkdir()
        (folder / "tests" / "test_crash.py").write_text(SUITE.format(crashes=CRASHES))
        (folder / "tests" / "conftest.py").write_text((SLOPPY / "tests" / "conftest.py").read_text())
        (folder / "measure.py").write_text(PLUGIN)
        (folder / "pytest.ini").write_text(
            "[pytest]\n"
            f"pythonpath = . {SLOPPY}\n"
            f"live_gui_command = {{python}} {SLOPPY / 'sloppy.py'} --hook-port {{hook_port}}\n"
            "live_gui_respawn = test\n"
            f"live_gui_max_respawns = {CRASHES}\n"
        )
        out = folder / "latencies.json"
        print(f"crash to failed test, {CRASHES} crashes ", end="", flush=True)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--capture=no",
            "--tb=no",
            "--no-summary",
            "-p",
            "measure",
        ]
        environment = os.environ | {"BENCH_OUT": str(out)}
        log = folder / "pytest.log"
        with log.open("w") as output:
            subprocess.run(command, cwd=folder, env=environment, stdout=output, check=False)
        said = log.read_text()
        if not out.exists():
            sys.exit(said)
        latencies = [nanoseconds / 1e6 for nanoseconds in json.loads(out.read_text())]
    print()
    if len(latencies) != CRASHES:
        sys.exit(f"only {len(latencies)} of {CRASHES} crashes failed their test:\n{said}")
    p50, p99 = quantile(latencies, 0.5), quantile(latencies, 0.99)
    print(f"  livegui    p50 {p50:8.2f} ms   p99 {p99:8.2f} ms   max {max(latencies):8.2f} ms")
    print(f"  the suite's own poll, without livegui: 120000 ms, {120_000 / p99:,.0f} times p99")
    if p99 >= 100:
        sys.exit("the bar is 100 ms at p99")


if __name__ == "__main__":
    main()
