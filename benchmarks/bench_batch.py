"""The cost of `livegui run`, beside a shell loop with a plain pytest a batch, and beside pytest-xdist.

python3 dev.py bench batch

Five batches of two small files that need no app. In the second comparison, a test of the second batch ends
its pytest with SIGSEGV before the batch's second file. What counts is the time until the next test begins.
"""

from __future__ import annotations

import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import Table, spread, times

BATCHES = 5
#: Which batch's first file crashes, if one does.
CRASHES = 1
ROUNDS = 3
#: The bars, in milliseconds: added to a batch's own pytest, and from a crash to the next test.
ADDED_MS, NEXT_TEST_MS = 500, 1500

#: Each test notes when it began.
TEST = """
import os, signal, time
def test_it():
    with open("begun", "a") as file:
        print({name!r}, time.time(), file=file)
    {act}
"""
CRASH = "os.kill(os.getpid(), signal.SIGSEGV)"
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
LIVEGUI, LOOP = "livegui run", "a shell loop of pytests"
XDIST = "pytest-xdist, one worker"


def write(folder: Path, crashes: bool) -> list[str]:
    """Write the suite. Returns its folders, one a batch."""
    config, names = [], [f"batch{number}" for number in range(BATCHES)]
    for number, name in enumerate(names):
        (folder / name).mkdir()
        for letter in "ab":
            act = CRASH if crashes and number == CRASHES and letter == "a" else "pass"
            test = f"{name}/test_{number}{letter}.py"
            (folder / test).write_text(TEST.format(name=test, act=act))
        config.append(f'[tool.livegui.batches.{name}]\npaths = ["{name}"]\n')
    (folder / "pyproject.toml").write_text("".join(config))
    return names


def commands(names: list[str]) -> dict[str, list[str]]:
    """What runs the suite: ours, and its peers."""
    without = shlex.join([*PYTEST, "-p", "no:livegui"])
    return {
        LIVEGUI: [sys.executable, "-m", "livegui", "run"],
        LOOP: ["sh", "-c", f"for batch in {' '.join(names)}; do {without} $batch; done"],
        XDIST: [*PYTEST, "-p", "no:livegui", "-n1"],
    }


def run(who: str, crashes: bool) -> tuple[float, dict[str, float]]:
    """The seconds that one of them takes, and when each test began."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = commands(write(folder, crashes))[who]
        began = time.perf_counter()
        with (folder / "log").open("wb") as log:
            done = subprocess.run(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=60, check=False
            )
        said = (folder / "log").read_text(errors="replace")
        took = time.perf_counter() - began
        begun = dict(line.split() for line in (folder / "begun").read_text().splitlines())
        expected = 2 * BATCHES - (1 if crashes and who == LOOP else 0)
        if len(begun) != expected:
            sys.exit(f"{who}: {len(begun)} of {expected} tests ran\n{said[-3000:]}")
        if who == LIVEGUI and done.returncode != (3 if crashes else 0):
            sys.exit(f"{who} ended with {done.returncode}\n{said[-3000:]}")
        return took, {test: float(at) for test, at in begun.items()}


def recovery(begun: dict[str, float]) -> float:
    """The seconds from the crash to the beginning of the next test."""
    (crashed,) = (at for test, at in begun.items() if test.endswith(f"test_{CRASHES}a.py"))
    return min(at for at in begun.values() if at > crashed) - crashed


def main() -> None:
    """Run all of them in turns, so that a busy machine is as busy for each."""
    table = Table()
    whole: dict[str, list[float]] = {name: [] for name in (LIVEGUI, LOOP, XDIST)}
    after: dict[str, list[float]] = {name: [] for name in (LIVEGUI, LOOP)}
    for _ in range(ROUNDS):
        for name, taken in whole.items():
            taken.append(run(name, crashes=False)[0] * 1e3 / BATCHES)
        for name, taken in after.items():
            taken.append(recovery(run(name, crashes=True)[1]) * 1e3)
    peers = {name: statistics.median(whole[name]) for name in (LOOP, XDIST)}
    ours = statistics.median(whole[LIVEGUI])
    note = f"{spread(whole[LIVEGUI], 'ms', 0)}; a worker of xdist starts once for all batches"
    table.show(f"{BATCHES} batches, each", f"{ours:.0f} ms", beside=times(ours, peers, "ms", 0), note=note)
    added = [a - b for a, b in zip(whole[LIVEGUI], whole[LOOP], strict=True)]
    what, beside = "added to a batch's own pytest", f"{LOOP} adds none"
    table.add(what, statistics.median(added), "ms", ADDED_MS, beside=beside, note=spread(added, "ms", 0))
    ours, peers = statistics.median(after[LIVEGUI]), {LOOP: statistics.median(after[LOOP])}
    note = f"{spread(after[LIVEGUI], 'ms', 0)}; the shell loop lost the batch's second file, and exits with 0"
    table.add(
        "from a crash to the next test",
        ours,
        "ms",
        NEXT_TEST_MS,
        beside=times(ours, peers, "ms", 0),
        note=note,
    )
    table.end()


if __name__ == "__main__":
    main()
