"""49 live files with a crash in every tenth: the results of a suite's own fixture, and of livegui.

python3 dev.py bench seed

The real sloppy app. In each file two tests wait for what the app does. In every tenth file a third test
between them triggers the `IM_ASSERT`, and passes if nothing notices. A suite's own fixture is
`examples/sloppy/naive_live_gui.py`. Its polls of 120 s are cut to `POLL_S`, and the time that they would
have taken is computed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from figures import Table, times

SLOPPY = Path(__file__).parents[1] / "examples" / "sloppy"
FILES = 49
CRASHES = [number for number in range(FILES) if number % 10 == 4]
POLL_S, REAL_POLL_S = 0.5, 120

CLICKS = """
import time

def test_new_project(hook):
    hook.click("btn_project_new_automated")
    hook.wait_until("project switch", lambda: hook.value("project_switch") == "done")

{culprit}

def test_next_frame(hook):
    frames = hook.value("frames")
    hook.wait_until("next frame", lambda: hook.value("frames") > frames)
"""
CULPRIT = """
def test_culprit(hook):
    hook.click("btn_execution_run")
    time.sleep(0.5)
    assert hook.status()["hook_server"] == "ok"
"""
OWN = ["-p", "no:livegui", "-p", "naive_live_gui", "-W", "ignore"]
SETTINGS = {
    "the suite's own fixture": OWN,
    "A: a process for each file": ["--live-gui-scope=module"],
    "A, with a spare": ["--live-gui-scope=module", "--live-gui-spares=1"],
    "B: one process, replaced as the next file begins": [],
    "D: one process, replaced for the next test": ["--live-gui-respawn=test"],
    "B on two workers": ["-n2", "--dist=loadfile"],
}


@dataclass
class Seen:
    """The result of one run."""

    seconds: float
    #: Files without a crash in which every test passed.
    clean: int
    #: Tests that triggered the crash and failed because of it.
    blamed: int
    #: Other tests that failed for another reason than the crash.
    accused: int
    #: Other tests that did not run, with a message that names the culprit.
    spared: int


def run(options: list[str]) -> Seen:
    """Run the suite once, with these options."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "sloppy"
        shutil.copytree(SLOPPY, folder, ignore=shutil.ignore_patterns(".livegui", "__pycache__"))
        for old in (folder / "tests").glob("test_*.py"):
            old.unlink()
        for number in range(FILES):
            text = CLICKS.format(culprit=CULPRIT if number in CRASHES else "")
            (folder / "tests" / f"test_{number:02}.py").write_text(text)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=junit.xml"]
        poll = POLL_S if options == OWN else REAL_POLL_S
        began = time.perf_counter()
        done = subprocess.run(
            [*command, *options],
            cwd=folder,
            env=os.environ | {"SLOPPY_POLL_S": str(poll)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        seconds = time.perf_counter() - began
        if done.returncode not in (0, 1):
            sys.exit(done.stdout.decode(errors="replace")[-3000:])
        return judge(seconds, ET.parse(folder / "junit.xml").getroot())


def judge(seconds: float, report: ET.Element) -> Seen:
    """Count which tests were blamed, and which ran."""
    seen = Seen(seconds, 0, 0, 0, 0)
    bad_files = set()
    for case in report.iter("testcase"):
        bad = next((child for child in case if child.tag in ("failure", "error")), None)
        if bad is None:
            continue
        says = f"{bad.get('message')}\n{bad.text}"
        bad_files.add(case.get("classname", "").rpartition("_")[2])
        if case.get("name") == "test_culprit":
            seen.blamed += "IM_ASSERT" in says
        elif "test_culprit" in says:
            seen.spared += 1
        else:
            seen.accused += 1
    seen.clean = sum(f"{number:02}" not in bad_files for number in range(FILES) if number not in CRASHES)
    return seen


def main() -> None:
    """Run every setting, one row each."""
    table = Table()
    whole, own = FILES - len(CRASHES), 0.0
    for setting, options in SETTINGS.items():
        seen = run(options)
        said = (
            f"{seen.clean} of {whole} other files clean, {seen.blamed} of {len(CRASHES)} crashes blamed on "
            f"their test; {seen.spared} tests did not run and name it, {seen.accused} failed otherwise"
        )
        if options == OWN:
            polls = (REAL_POLL_S - POLL_S) * seen.accused
            said += f"; about {(seen.seconds + polls) / 60:.0f} min with its polls of {REAL_POLL_S} s"
            own = seen.seconds
            table.show(setting, f"{own:.1f} s", note=said)
        else:
            wrong = whole - seen.clean + len(CRASHES) - seen.blamed + seen.accused
            what = f"{setting}: files or blame that are wrong"
            beside = times(seen.seconds, {"its own fixture": own}, "s")
            table.add(what, wrong, "", 0, beside=beside, note=f"{seen.seconds:.1f} s; {said}")
    table.end()


if __name__ == "__main__":
    main()
