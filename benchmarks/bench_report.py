"""The cost of a report: compared with pytest-html, for runs of many tests, and drawn in a browser.

python3 dev.py bench report
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "python"))

import page  # noqa: E402 -- found only now
from figures import Table, times  # noqa: E402 -- found only now
from records import many_tests  # noqa: E402 -- found only now

from livegui._livegui import write_report  # noqa: E402 -- found only now

#: Within how many milliseconds the report of this many tests must be written.
BARS = {500: 100, 10_000: 1000}
TIMES = 15
TESTS = 500
APPS = 16

SUITE = (
    "import pytest\n@pytest.mark.parametrize('number', range({tests}))\ndef test_it(live_gui, number): pass\n"
)
#: Times what both write at the end of the same pytest.
TIMED = """
import time
import livegui._session as session
import pytest_html.basereport as peer

def timed(owner, name, what):
    earlier = getattr(owner, name)
    def run(*arguments, **options):
        began = time.perf_counter()
        try:
            return earlier(*arguments, **options)
        finally:
            print(f"TIMED {what} {time.perf_counter() - began}")
    setattr(owner, name, run)

timed(session, "write_report", "livegui")
timed(peer.BaseReport, "_generate_report", "pytest-html")
"""


def main() -> None:
    """Print the figures."""
    table = Table()
    with tempfile.TemporaryDirectory() as folder:
        for tests, bar in BARS.items():
            run = many_tests(Path(folder) / str(tests), tests)
            took = []
            for _ in range(TIMES):
                began = time.perf_counter()
                file = write_report(run)
                took.append(time.perf_counter() - began)
            size = f"{file.stat().st_size / 1024:.0f} KiB"
            milliseconds = [1e3 * seconds for seconds in took]
            table.latency(f"write the report of {tests} tests", milliseconds, p50=bar, p99=2 * bar, note=size)
        beside_pytest_html(Path(folder), table)
        in_a_browser(Path(folder), table)
        top(Path(folder), table)
    table.end()


def beside_pytest_html(parent: Path, table: Table) -> None:
    """Both reports of one pytest of 500 tests."""
    folder = parent / "suite"
    folder.mkdir()
    (folder / "test_it.py").write_text(SUITE.format(tests=TESTS))
    (folder / "conftest.py").write_text(TIMED)
    app = ROOT / "tests" / "python" / "plain_app.py"
    (folder / "pytest.ini").write_text(f"[pytest]\nlive_gui_command = {{python}} {app}\n")
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "--html=peer.html"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    took: dict[str, float] = {}
    for what, seconds in re.findall(r"TIMED (\S+) (\S+)", done.stdout):
        took[what] = took.get(what, 0.0) + float(seconds)
    if "pytest-html" not in took:
        sys.exit(f"pytest-html did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    ours, theirs = 1e3 * took["livegui"], 1e3 * took["pytest-html"]
    beside = times(ours, {"pytest-html": theirs}, "ms")
    table.add(f"the same at the end of a pytest of {TESTS} tests", ours, "ms", 100, beside=beside)


ZOOM = """
const done = arguments[0], box = document.getElementById("timeline"), corner = box.getBoundingClientRect();
const times = [], took = [];
let left = 240, last = performance.now();
box.focus();
const step = (now) => {
  times.push(now - last);
  took.push(Number(document.getElementById("canvas").dataset.took));
  last = now;
  const at = { clientX: corner.left + 700, clientY: corner.top + 60, bubbles: true, cancelable: true };
  box.dispatchEvent(new WheelEvent("wheel", { deltaY: left % 120 < 60 ? -60 : 60, ...at }));
  if (--left) requestAnimationFrame(step); else done([times, took]);
};
requestAnimationFrame(step);
"""


def in_a_browser(parent: Path, table: Table) -> None:
    """Zoom in and out over 2,000 tests on 4 workers, one step per frame."""
    why = page.missing()
    if why is not None:
        table.show("zoom over 2,000 tests", "not measured", note=why)
        return
    run = many_tests(parent / "2000", 2000)
    file = write_report(run)
    driver = page.open_browser(parent / "profile")
    try:
        shown = page.Page(driver).open(file)
        times, took = shown.run_async(ZOOM)
    finally:
        driver.quit()
    rate = 1000 * len(times) / sum(times)
    table.add(
        "zoom over 2,000 tests, between two frames", 1000 / rate, "ms", 17, note=f"{rate:.1f} frames a second"
    )
    table.latency("draw one of these frames", took, p50=4, p99=16)


APP = """
import livegui, sys, time
agent = livegui.start("app" + sys.argv[1])
while True:
    agent.beat()
    time.sleep(1 / 60)
"""


def top(folder: Path, table: Table) -> None:
    """How much of a core ``livegui top`` uses while it shows 16 apps."""
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    apps = [subprocess.Popen([sys.executable, "-c", APP, str(number)]) for number in range(APPS)]
    seconds = 20
    try:
        while len(list((folder / "livegui").glob("*.json"))) < APPS:
            time.sleep(0.1)
        command = [sys.executable, "-m", "livegui", "top"]
        # `script` provides a terminal.
        watching = subprocess.Popen(
            ["script", "-qec", " ".join(command), "/dev/null"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        time.sleep(3)
        pid = int(subprocess.check_output(["pgrep", "-P", str(watching.pid)], text=True).split()[0])
        before = cpu_s(pid)
        time.sleep(seconds)
        used = cpu_s(pid) - before
        table.add(f"livegui top, {APPS} apps", 100 * used / seconds, "% of a core", 1)
        watching.kill()
    finally:
        for app in apps:
            app.kill()


def cpu_s(pid: int) -> float:
    """The processor time of a process, and of its children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
