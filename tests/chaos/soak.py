"""Hours of harmless trouble, and pytests of thousands of tests. No false alarm may occur; nothing may grow.

    python3 dev.py soak [--minutes N] [--short]

The app's side: the sloppy app at 60 frames a second with slow frames, paused scopes, bursts of work, busy
threads, garbage collections and forks, beside the same app without livegui. The test side: one pytest with a
test a line and an app that crashes over and over, and one without livegui. A line is fitted to memory, threads
and descriptors, and its slope is reported with its standard error. Something grows if its slope is more than three errors above zero, and above a bar.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SLOPPY = HERE.parents[1] / "examples" / "sloppy"
#: The threshold of a stall, livegui's default. The longest frame takes 80 % of it.
STALL_MS = 5000
LONGEST_FRAME_S = 0.8 * STALL_MS / 1000
SAMPLE_S = 1.0
#: The growth that is allowed on the app's side, an hour.
BARS = {"memory": 4.0, "threads": 0.5, "descriptors": 0.5}
#: The same on the test side, for a thousand tests of which a hundred crash their app: 10 KiB a crash. The record of
#: a process takes 1 KiB.
TEST_BARS = BARS | {"memory": 1.0}
UNITS = {"memory": "MiB", "threads": "", "descriptors": ""}
#: The share of samples to ignore: those from before everything was imported and every pool had its threads.
WARM_UP = 0.25


@dataclass(frozen=True)
class Slope:
    """A line through samples: its slope, and the standard error of that."""

    per_unit: float
    error: float

    def grows(self, bar: float) -> bool:
        """Whether it is significantly above zero, and above the bar."""
        return self.per_unit > max(bar, 3 * self.error)


def fit(at: Sequence[float], values: Sequence[float]) -> Slope:
    """Least squares. Neighbouring samples are similar, so the error is computed from independent blocks."""
    count = len(at)
    if count < 8:
        return Slope(0.0, math.inf)
    blocks = min(count, 32)
    edges = [count * number // blocks for number in range(blocks + 1)]
    pairs = list(pairwise(edges))
    x = [sum(at[a:b]) / (b - a) for a, b in pairs]
    y = [sum(values[a:b]) / (b - a) for a, b in pairs]
    mean_x, mean_y = sum(x) / blocks, sum(y) / blocks
    spread = sum((value - mean_x) ** 2 for value in x)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    rest = sum((b - mean_y - slope * (a - mean_x)) ** 2 for a, b in zip(x, y, strict=True))
    return Slope(slope, math.sqrt(rest / (blocks - 2) / spread))


def usage(pid: int | str) -> dict[str, float]:
    """The memory that belongs to a process alone, its threads and descriptors."""
    status = Path(f"/proc/{pid}/status").read_text()
    return {
        "memory": int(status.split("RssAnon:")[1].split()[0]) / 1024,
        "threads": float(status.split("Threads:")[1].split()[0]),
        "descriptors": float(len(list(Path(f"/proc/{pid}/fd").iterdir()))),
    }


def report(
    title: str,
    at: Sequence[float],
    samples: Sequence[dict[str, float]],
    unit: str,
    *,
    bars: Mapping[str, float] = BARS,
    judges: bool = True,
) -> list[str]:
    """Print the slopes. Returns what grows."""
    skipped = int(len(at) * WARM_UP)
    at, samples, grown = at[skipped:], samples[skipped:], []
    for what, bar in bars.items():
        values = [sample[what] for sample in samples]
        slope = fit(at, values)
        grows = judges and slope.grows(bar)
        print(
            f"  {title}, {what}: {min(values):.1f} to {max(values):.1f} {UNITS[what]}, slope "
            f"{slope.per_unit:+.3f} ± {slope.error:.3f} {UNITS[what]} {unit} {'GROWS' if grows else ''}",
            flush=True,
        )
        if grows:
            grown.append(f"{title}, {what}")
    return grown


# --- the app's side -------------------------------------------------------------------------------

#: Those that a frame may have one of. Two would be a stall.
IN_A_FRAME = ("slow_frame", "pause", "collect")
TROUBLE = ("slow_frame", "pause", "burst", "busy", "collect", "fork")


def ask(url: str, path: str, body: dict[str, Any] | None = None, token: str = "") -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        document: dict[str, Any] = json.load(answer)
        return document


@dataclass(frozen=True)
class App:
    """A running app of the soak, its folder, and the address of its hook server."""

    process: subprocess.Popen[bytes]
    folder: Path
    hooks: str

    def output(self) -> str:
        """The end of what it printed."""
        return (self.folder / "output").read_text()[-2000:]


@contextlib.contextmanager
def running_app(*, is_watched: bool) -> Iterator[App]:
    """The app, with livegui or without it, once it can be troubled."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LIVEGUI")}
        environment |= {"LIVEGUI_RUN_DIR": name, "LIVEGUI_STATE_DIR": name, "PYTHONPATH": str(SLOPPY)}
        if not is_watched:
            environment["LIVEGUI"] = "0"
        port_file = folder / "port"
        command = [sys.executable, str(HERE / "soak_app.py"), str(port_file)]
        with (folder / "output").open("wb") as output:
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 60
            while not (port_file.exists() and (not is_watched or (folder / "agent.json").exists())):
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"the app did not start:\n{(folder / 'output').read_text()[-2000:]}")
                time.sleep(0.05)
            yield App(process, folder, f"http://127.0.0.1:{port_file.read_text()}")
        finally:
            process.kill()
            process.wait()


def app_side(seconds: float, seed: int) -> list[str]:
    """What is wrong after this many seconds of legitimate trouble, compared with the same app without livegui."""
    with running_app(is_watched=True) as watched, running_app(is_watched=False) as beside:
        return watch_apps(watched, beside, seconds, random.Random(seed))


def wait_for_frames(app: App, count: int) -> None:
    """Wait until this many frames with trouble are over."""
    deadline = time.monotonic() + 60
    while count and ask(app.hooks, "/value?name=frames_troubled")["value"] < count:
        if time.monotonic() > deadline:
            raise TimeoutError("the app's main loop did not come back within 60 s")
        time.sleep(0.05)


def watch_apps(watched: App, beside: App, seconds: float, chance: random.Random) -> list[str]:
    """Give both apps the same trouble."""
    apps = (watched, beside)
    found = json.loads((watched.folder / "agent.json").read_text())
    began, at, done = time.monotonic(), list[float](), dict[str, int]()
    samples: tuple[list[dict[str, float]], ...] = ([], [])
    due = began
    while time.monotonic() - began < seconds:
        for app in apps:
            if app.process.poll() is not None:
                return [f"an app ended: {app.process.returncode}\n{app.output()}"]
        if time.monotonic() >= due:
            trouble = chance.choice(TROUBLE)
            amount = chance.uniform(0.05, LONGEST_FRAME_S)
            for app in apps:
                ask(app.hooks, "/fault", {"fault": trouble, "amount": amount})
            done[trouble] = done.get(trouble, 0) + 1
            for app in apps:
                wait_for_frames(app, sum(done.get(name, 0) for name in IN_A_FRAME))
            due = time.monotonic() + chance.uniform(0.2, 4.0)
        for app, taken in zip(apps, samples, strict=True):
            taken.append(usage(app.process.pid))
        at.append((time.monotonic() - began) / 3600)
        time.sleep(SAMPLE_S)
    health = ask(found["url"], "/health", token=found["token"])
    frames = health["checks"]["main_loop"]["beats"]
    episodes = [*health["reasons"], *health["history"]]
    print(
        f"  {at[-1]:.3f} hours, {frames} frames, {len(episodes)} episodes, {sum(done.values())} times trouble: {done}"
    )
    ours, theirs = samples
    report("app without livegui", at, theirs, "an hour", judges=False)
    # Over minutes the slope per hour means little. It is printed, and judged only in a soak that is long enough.
    grown = report("app", at, ours, "an hour", judges=seconds >= 1200)
    more = [
        {what: mine[what] - other[what] for what in mine} for mine, other in zip(ours, theirs, strict=True)
    ]
    grown += report("more than without livegui", at, more, "an hour", judges=seconds >= 1200)
    return [*(f"false alarm: {episode['code']}: {episode['message']}" for episode in episodes), *grown]


# --- the test side --------------------------------------------------------------------------------

CONFTEST = """
import json, os
import soak

def pytest_runtest_logfinish(nodeid, location):
    with open("usage", "a") as file:
        file.write(json.dumps(soak.usage("self")) + "\\n")
"""
SUITE = """
import os, time
import pytest

CRASH_EVERY = int(os.environ["SOAK_CRASH_EVERY"])

@pytest.mark.parametrize("number", range(int(os.environ["SOAK_TESTS"])))
def test_it(live_gui, number):
    if number % CRASH_EVERY == CRASH_EVERY - 1:
        command = live_gui.generation_folder / "state" / "command"
        command.with_name("draft").write_text("crash of number %d" % number)
        command.with_name("draft").rename(command)
        time.sleep(30)
"""


CONTROL = """
import os
import pytest

CRASH_EVERY = int(os.environ["SOAK_CRASH_EVERY"])

@pytest.mark.parametrize("number", range(int(os.environ["SOAK_TESTS"])))
def test_it(number):
    if number % CRASH_EVERY == CRASH_EVERY - 1:
        pytest.fail("a line of a failure that is about as long as one of ours\\n" * 30)
"""


def test_side(tests: int, crash_every: int) -> list[str]:
    """One pytest, compared with one with as many failures but no livegui. Returns what is wrong with it."""
    beside = one_pytest(tests, crash_every, CONTROL, ["-p", "no:livegui"])
    ours = one_pytest(tests, crash_every, SUITE, [])
    wrong, at = beside.wrong + ours.wrong, [number / 1000 for number in range(tests)]
    report("pytest alone", at, beside.samples, "a thousand tests", judges=False)
    # pytest itself keeps something of each test. What is judged is how much more is kept with livegui.
    more = [
        {**mine, "memory": mine["memory"] - other["memory"]}
        for mine, other in zip(ours.samples, beside.samples, strict=False)
    ]
    report("pytest with livegui", at, ours.samples, "a thousand tests", judges=False)
    return wrong + report("more than alone", at, more, "a thousand tests", bars=TEST_BARS)


@dataclass(frozen=True)
class OnePytest:
    """What one pytest used after each of its tests, and what is wrong with it."""

    samples: list[dict[str, float]]
    wrong: list[str]


def one_pytest(tests: int, crash_every: int, suite: str, options: list[str]) -> OnePytest:
    """Run it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(HERE.parent / "python" / "plain_app.py", folder)
        (folder / "conftest.py").write_text(CONFTEST)
        (folder / "test_soak.py").write_text(suite)
        ini = (
            "live_gui_command = {python} plain_app.py",
            "live_gui_respawn = test",
            "live_gui_max_respawns = 100000",
        )
        (folder / "pytest.ini").write_text("[pytest]\n" + "\n".join(() if options else ini))
        environment = os.environ | {"SOAK_TESTS": str(tests), "SOAK_CRASH_EVERY": str(crash_every)}
        environment["PYTHONPATH"] = str(HERE)
        command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", "-rN"]
        command += options
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        lines = (folder / "usage").read_text().splitlines() if (folder / "usage").exists() else []
        records = [json.loads(path.read_text()) for path in folder.glob(".livegui/*/run.json")]
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-500:]
    crashes = tests // crash_every
    generations = sum(len(record["generations"]) for record in records)
    print(f"  {len(lines)} tests, {generations} apps in one pytest: {last}", flush=True)
    wrong = [] if f"{crashes} failed, {tests - crashes} passed" in last else [f"not {crashes} failed: {last}"]
    return OnePytest([json.loads(line) for line in lines], wrong)


def main() -> None:
    """Run both sides, one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="of the app's side (default: 60)")
    parser.add_argument("--tests", type=int, default=5000)
    parser.add_argument(
        "--crash-every", type=int, default=10, help="a respawn every so many tests (default: 10)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--short", action="store_true", help="a minute of the app, 3,000 tests with 300 respawns"
    )
    options = parser.parse_args()
    if options.short:
        # With fewer tests, a single step of the allocator's (0.3 MiB) decides about the slope.
        options.minutes, options.tests = 1.0, 3000
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; random numbers from {options.seed}")
    wrong = app_side(options.minutes * 60, options.seed)
    wrong += test_side(options.tests, options.crash_every)
    print(f"load {os.getloadavg()[0]:.1f} at the end")
    if wrong:
        sys.exit("not as it should be:\n  " + "\n  ".join(wrong))


if __name__ == "__main__":
    main()
