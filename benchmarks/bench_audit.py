"""The cost of an audit compared with the suite itself: 20 files on the real Dear ImGui app, some stateful.

One file depends on another, one is broken by another, one crashes the app, one is flaky. The audit must find
each with its true cause, and accuse no other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "python"))

import audit_suite  # noqa: E402 -- it is found only now
from figures import Table  # noqa: E402 -- likewise

SLOPPY = ROOT / "examples" / "sloppy"
#: How many seconds each test takes on top of its work, as GUI tests do.
TEST_S = 0.25
#: Files of the tests' suite that repeat another case, or are no finding.
LEFT_OUT = ("test_i_exports.py", "test_n_fails.py")
#: Additional clean files.
MORE = 8

CONFTEST = f"""
import time
import pytest
from hook_client import HookClient

class App:
    \"\"\"The words of the audit's suite, in terms of sloppy.\"\"\"

    def __init__(self, port):
        self.hook = HookClient(port)

    def words(self):
        held = {{
            "project": self.hook.value("project") != "(none)",
            "dark": self.hook.value("ai_model") == "large",
            "scratch": self.hook.value("tool_search"),
        }}
        return [word for word, holds in held.items() if holds]

    def tell(self, word):
        if word == "crash":
            self.hook.fault("im_assert")
            return
        wanted = not word.startswith("-")
        name = word.lstrip("-")
        buttons = {{"project": "project_new_automated", "dark": "ai_model_large", "scratch": "tool_search"}}
        self.hook.click(f"btn_{{buttons[name]}}")
        self.hook.wait_until(word, lambda: (name in self.words()) is wanted, timeout=10)

@pytest.fixture
def app(live_gui):
    time.sleep({TEST_S})
    return App(live_gui.hook_port)
"""


def main() -> None:
    """Run the suite, then its audit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        more = {f"test_{letter}_more.py": audit_suite.CLEAN for letter in "opqrstuvwxyz"[:MORE]}
        files = {name: text for name, text in (audit_suite.FILES | more).items() if name not in LEFT_OUT}
        audit_suite.write(folder, files)
        (folder / "tests" / "conftest.py").write_text(CONFTEST)
        (folder / "pytest.ini").write_text(
            "[pytest]\ntestpaths = tests\n"
            f"pythonpath = {SLOPPY}\n"
            f"live_gui_command = {{python}} {SLOPPY / 'sloppy.py'} --hook-port {{hook_port}}\n"
        )
        warm_s = min(timed(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider") for _ in range(2))
        cores = os.cpu_count()
        print(f"an audit of {len(files)} files on sloppy, {cores} cores; in order they take {warm_s:.1f} s")
        table = Table()
        audit_s = timed(folder, "-m", "livegui", "audit", "--spares=1")
        record = json.loads(next(folder.glob(".livegui/audits/*/audit.json")).read_text())
        check(record["report"])
        beside = f"the suite {warm_s:.1f} s"
        note = f"{audit_s:.1f} s, {len(record['trials'])} experiments, two at a time"
        table.add(
            "audit with one spare, beside the suite in order",
            audit_s / warm_s,
            "x",
            2.5,
            beside=beside,
            note=note,
        )
        cost = record["report"]["cost"]
        for key, what in (("with_spares", "with one spare"), ("without_spares", "without spares")):
            print(f"  live_gui_scope = module would add, {what}: {cost[key]['seconds']:.1f} s")
    table.end()


def timed(folder: Path, *words: str) -> float:
    began = time.monotonic()
    with (folder / "output.log").open("w") as output:
        done = subprocess.run(
            [sys.executable, *words], cwd=folder, stdout=output, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode != 1:  # both the suite and its audit find a problem
        sys.exit((folder / "output.log").read_text())
    return time.monotonic() - began


def check(report: dict[str, list[dict[str, object]]]) -> None:
    found = {(found["finding"], found["file"]): found["causes"] for found in report["found"]}
    expected = {
        (finding, file): causes
        for (finding, file), causes in audit_suite.EXPECTED.items()
        if Path(file).name not in LEFT_OUT
    }
    if found != expected:
        sys.exit(f"the audit found something else than there is:\n{json.dumps(report['found'], indent=1)}")


if __name__ == "__main__":
    main()
