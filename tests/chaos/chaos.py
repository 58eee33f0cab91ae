"""Runs every fault of ``matrix.py`` on the real sloppy app, under every setting that is named there.

    python3 dev.py chaos [--rounds N] [--short] [--jobs N] [--only TEXT] [--json FILE]

Each case is a separate pytest with two files. Its results are compared with what the matrix expects:
*missed* (a fault that was not reported), *wrong* (the wrong test, code, next file or exit status), *false*
(a failure without a fault), *left* (processes, ports, files in the shared temporary folder, descriptors or
threads of pytest).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "python"))

from limits import group_of_groups  # noqa: E402 -- found only now
from matrix import CASES, HELD_DESCRIPTORS, HELD_THREADS, REACHED, SETTINGS, Case  # noqa: E402 -- found only now
from plain_suites import UNGUARD  # noqa: E402 -- found only now
from unwired import SLOPPY, unwired_sloppy  # noqa: E402 -- found only now

LIMIT_S = 150.0
#: One worker, because the next file must run where the app crashed.
XDIST = ("-n1", "--dist=loadfile")
#: How many seconds what a run leaves may take to disappear.
SOON_S = 10.0

TEST_A = """
import os, time
import pytest
from chaos_conftest import kill_me, read_only
from limits import use_up_threads

def fill():
    from pathlib import Path
    with open(Path(os.environ["CHAOS_RUN_DIR"]) / "full", "wb") as file:
        try:
            while True:
                file.write(bytes(65536)); file.flush()
        except OSError:
            pass

def use_up_descriptors():
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    kept = []
    try:
        while True:
            kept.append(open(os.devnull))
    except OSError:
        pass
    time.sleep(2)
    for file in kept:
        file.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

def test_before(hook, phases):
    hook.click("btn_ai_model_large")
    hook.wait_until("model change", lambda: hook.value("ai_model") == "large")

def test_culprit(hook, live_gui):
    {act}

def test_victim(hook):
    assert hook.status()["hook_server"] == "ok"
"""
TEST_B = """
def test_next(hook):
    hook.click("btn_project_new_automated")
    hook.wait_until("project switch", lambda: hook.value("project_switch") == "done")
"""
#: A run that is killed, and leaves its app with a dead main loop and the hook server on its port.
TEST_EARLIER = f"""
import os, signal

def test_it(hook):
    {UNGUARD}
    try:
        hook.fault("im_assert")
    finally:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@dataclass
class Run:
    """What was observed of one pytest."""

    exit_status: int | None = None
    #: Test -> its worst outcome, and its message.
    tests: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: Test -> the generation that it ran on.
    generations: dict[str, int] = field(default_factory=dict)
    #: The phases that this pytest reached, in order. ``app`` is when a test had its app.
    phases: list[str] = field(default_factory=list)
    #: How many pytest processes looked at what they leave. Under xdist, the worker is one.
    looked: int = 0
    left: list[str] = field(default_factory=list)
    output: str = ""


def judge(case: Case, setting: str, run: Run) -> list[str]:
    """What differs from the matrix, each beginning with its kind; pure."""
    found = [f"left: {what}" for what in run.left]
    if run.exit_status is None:
        return [*found, "wrong: pytest did not end"]
    if case.killed_in:
        return found + judge_kill(case, run)
    if run.looked < (2 if setting == "xdist" else 1):
        found.append("left: unknown, because a pytest did not look at its descriptors and threads")
    expected = case.outcomes(setting)
    for test, outcome in expected.items():
        got, text = run.tests.get(test, ("did not run", ""))
        if got != outcome:
            kind = "missed" if got == "passed" else "false" if outcome == "passed" else "wrong"
            first = next((line for line in text.splitlines() if line.startswith("E ")), "")
            found.append(f"{kind}: {test} {got}, not {outcome} {first}")
        elif (outcome == "failed" or case.start_fails) and not re.search(case.code, text):
            found.append(f"wrong: {test} does not say {case.code}: {text[-300:]}")
        elif outcome == "error" and not case.start_fails and "test_culprit" not in text:
            found.append(f"wrong: {test} does not name the culprit: {text[-300:]}")
        elif test == "test_next" and not is_fresh(case, setting, run):
            found.append(f"wrong: test_next on generation {run.generations.get(test)}")
    status = 1 if any(outcome != "passed" for outcome in expected.values()) else 0
    if run.exit_status != status:
        found.append(f"wrong: exit status {run.exit_status}, not {status}")
    return found


def judge_kill(case: Case, run: Run) -> list[str]:
    """Whether pytest was killed, and in the phase that the case is about; pure."""
    found = [] if run.exit_status == -9 else [f"wrong: exit status {run.exit_status}"]
    if " ".join(run.phases) != REACHED[case.killed_in]:
        found.append(f"wrong: not killed in its phase, but after: {' '.join(run.phases) or 'nothing'}")
    return found


def is_fresh(case: Case, setting: str, run: Run) -> bool:
    """Whether the next file had the expected process."""
    has_crashed = case.code and not case.start_fails and setting != "C"
    return not has_crashed or run.generations.get("test_next") == 2


def run_case(case: Case, setting: str) -> Run:
    """Run one pytest, in its own folders."""
    with (
        tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as name,
        contextlib.ExitStack() as stack,
    ):
        folder, mark = Path(name), uuid.uuid4().hex
        suite, shared, run_dir = folder / "suite", folder / "shared", folder / "runs"
        if setting == "injected":
            unwired_sloppy(suite)
        else:
            shutil.copytree(SLOPPY, suite, ignore=shutil.ignore_patterns(".livegui", "__pycache__", "tests"))
        shutil.rmtree(suite / "tests", ignore_errors=True)
        for file in ("more_faults.py", "chaos_conftest.py", "limits.py"):
            shutil.copy(HERE / file, suite)
        for path in (shared, run_dir, suite / "tests"):
            path.mkdir(mode=0o700)
        (suite / "tests" / "test_a.py").write_text(TEST_A.replace("{act}", case.act))
        (suite / "tests" / "conftest.py").write_text("from chaos_conftest import live_gui_env\n")
        (suite / "tests" / "test_b.py").write_text(TEST_B)
        if case.needs == "tmpfs":
            stack.enter_context(tmpfs(run_dir))
        port = "{hook_port}" if not case.holder else str(free_port())
        ini = {
            "live_gui_command": f"{{python}} more_faults.py --hook-port {port}",
            "live_gui_run_dir": str(run_dir),
        }
        lines = {**ini, **SETTINGS[setting], **case.ini}
        (suite / "pytest.ini").write_text(
            "[pytest]\npythonpath = .\ntestpaths = tests\n"
            + "".join(f"{k} = {v}\n" for k, v in lines.items())
        )
        if case.holder == "stranger":
            stack.enter_context(socket.create_server(("127.0.0.1", int(port))))
        elif case.holder == "zombie":
            stack.enter_context(zombie(folder, int(port)))
        return start(case, setting, folder, mark)


def environment_of(folder: Path, mark: str, out: Path) -> dict[str, str]:
    """What a pytest in a case's folders, and everything that it starts, has in its environment."""
    suite, shared = folder / "suite", folder / "shared"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LIVEGUI", "PYTEST"))}
    environment |= {"CHAOS_MARK": mark, "CHAOS_OUT": str(out), "CHAOS_APP_ENVIRONMENT": "{}"}
    environment |= {"CHAOS_RUN_DIR": str(folder / "runs"), "SLOPPY_POLL_S": "20"}
    return environment | {
        "TMPDIR": str(shared),
        "XDG_RUNTIME_DIR": str(shared),
        "PYTHONPATH": str(suite),
    }


def pytest_command(folder: Path) -> list[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "chaos_conftest"]
    return [*command, f"--basetemp={folder / 'basetemp'}"]


def start(case: Case, setting: str, folder: Path, mark: str) -> Run:
    """Run pytest, and check what it left."""
    suite, shared, out = folder / "suite", folder / "shared", folder / "out"
    command = [*pytest_command(folder), *(XDIST if setting == "xdist" else [])]
    environment = environment_of(folder, mark, out) | {"CHAOS_KILL": case.killed_in}
    app_environment = {**case.environment, **(own_clock(folder) if case.needs == "compiler" else {})}
    environment["CHAOS_APP_ENVIRONMENT"] = json.dumps(app_environment)
    run = Run()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=suite,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            run.exit_status = process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    run.output = (folder / "log").read_text(errors="replace")
    read(out, run)
    if case.killed_in:  # the next use of livegui cleans up after a killed pytest
        health = [sys.executable, "-m", "livegui", "health"]
        subprocess.run(health, env=environment | {"CHAOS_MARK": ""}, capture_output=True, check=False)
    look_for_leftovers(mark, shared, out, run)
    return run


def lines_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def read(out: Path, run: Run) -> None:
    """What pytest reported."""
    for line in lines_of(out):
        if line["kind"] == "report":
            earlier = run.tests.get(line["test"], ("", ""))
            outcome = line["outcome"]
            if outcome == "failed" and line["when"] != "call":
                outcome = "error"
            if earlier[0] not in ("failed", "error"):
                run.tests[line["test"]] = (outcome, line["text"])
        elif line["kind"] == "app":
            run.generations[line["test"]] = line["generation"]
            run.phases.append("app")
        elif line["kind"] == "phase":
            run.phases.append(line["phase"])
        elif line["kind"] == "left_in_pytest":
            run.looked += 1
            run.left += [
                f"descriptor of pytest: {x}" for x in more_than(HELD_DESCRIPTORS, line["descriptors"])
            ]
            run.left += [f"thread of pytest: {name}" for name in more_than(HELD_THREADS, line["threads"])]


def more_than(held: tuple[str, ...], found: list[str]) -> list[str]:
    """What was found in addition to one of each that is expected; pure."""
    rest = list(found)
    for pattern in held:
        for what in rest:
            if re.fullmatch(pattern, what):
                rest.remove(what)
                break
    return rest


def look_for_leftovers(mark: str, shared: Path, out: Path, run: Run) -> None:
    """Processes of the run, ports that one of its apps had, files in the shared temporary folder."""
    deadline = time.monotonic() + SOON_S
    ports = {line["port"] for line in lines_of(out) if line["kind"] == "app"}
    while True:
        left = [f"process {pid}: {command}" for pid, command in processes(mark)]
        left += [f"port {port}" for port in ports if not is_free(port)]
        left += [f"file {path.relative_to(shared)}" for path in shared.rglob("*") if path.is_file()]
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    run.left += left
    for pid, _ in processes(mark):
        with contextlib.suppress(OSError):
            os.kill(pid, 9)


def processes(mark: str) -> list[tuple[int, str]]:
    """The processes with the mark of a run in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if f"CHAOS_MARK={mark}".encode() in (entry / "environ").read_bytes():
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found.append((int(entry.name), command[:120]))
    return found


@contextlib.contextmanager
def zombie(folder: Path, port: int) -> Iterator[None]:
    """Let an earlier run leave its app on this port: its main loop is dead, its hook server lives on."""
    mark, suite = uuid.uuid4().hex, folder / "suite"
    shutil.copytree(suite / "tests", suite / "earlier")
    for file in (suite / "earlier").glob("test_*.py"):
        file.unlink()
    (suite / "earlier" / "test_earlier.py").write_text(TEST_EARLIER)
    environment = environment_of(folder, mark, folder / "earlier_out")
    environment["CHAOS_APP_ENVIRONMENT"] = json.dumps({"CHAOS_START": "outlive_pytest"})
    try:
        earlier = subprocess.run(
            [*pytest_command(folder), "earlier"],
            cwd=suite,
            env=environment,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
        if earlier.returncode != -9 or is_free(port):
            raise RuntimeError(f"the earlier run left no app: {earlier.stdout.decode(errors='replace')}")
        shutil.rmtree(suite / "earlier")
        yield
    finally:
        for pid, _ in processes(mark):
            with contextlib.suppress(OSError):
                os.kill(pid, 9)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def tmpfs(folder: Path) -> Iterator[None]:
    """A disk of 4 MiB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


COMPILER = shutil.which("cc") or shutil.which("gcc")


def own_clock(folder: Path) -> dict[str, str]:
    """An environment in which an app's wall clock differs by what a file says."""
    library, clock = folder / "wall_clock.so", folder / "clock"
    source = str(HERE / "wall_clock.c")
    subprocess.run([str(COMPILER), "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    clock.write_bytes(bytes(8))
    return {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(clock)}


def cannot(case: Case) -> str:
    """Why a case cannot run on this machine; empty if it can."""
    if case.needs in ("tmpfs", "mount") and os.geteuid() != 0:
        return "mounting needs root"
    if case.needs == "threads" and group_of_groups() is None:
        return "a limit on threads needs a control group that can be written to"
    if case.needs == "compiler" and COMPILER is None:
        return "an app's own clock needs a C compiler (Debian: gcc)"
    return ""


def one(case: Case, setting: str) -> tuple[Case, str, list[str], float, str]:
    began = time.monotonic()
    run = run_case(case, setting)
    return case, setting, judge(case, setting, run), time.monotonic() - began, run.output


def main() -> None:
    """Run the rounds. Print a line for each unexpected result, then the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="a representative part, each in one setting")
    parser.add_argument("--jobs", type=int, default=2, help="cases at once (default: 2)")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--json", type=Path, help="write every verdict there")
    parser.add_argument("--verbose", action="store_true", help="show pytest's output of unexpected verdicts")
    options = parser.parse_args()
    chosen = [case for case in CASES if options.only in case.name and (case.short or not options.short)]
    for case in chosen:
        if why := cannot(case):
            print(f"not run: {case.name}: {why}")
    chosen = [case for case in chosen if not cannot(case)]
    pairs = [
        (case, setting)
        for case in chosen
        for setting in (case.settings[:1] if options.short else case.settings)
    ]
    began, load, table, kinds = time.monotonic(), os.getloadavg()[0], [], Counter[str]()
    with ThreadPoolExecutor(options.jobs) as pool:
        for case, setting, found, seconds, output in pool.map(
            lambda pair: one(*pair), pairs * options.rounds
        ):
            table.append(
                {"case": case.name, "setting": setting, "found": found, "seconds": round(seconds, 1)}
            )
            kinds.update(what.partition(":")[0] for what in found)
            print(
                f"{seconds:6.1f} s  {setting:8} {case.name:36} {'as expected' if not found else ''}",
                flush=True,
            )
            for what in found:
                print(f"          {what[:600]}", flush=True)
            if found and options.verbose:
                print(output[-6000:])
    if options.json:
        options.json.write_text(json.dumps(table, indent=1))
    took = time.monotonic() - began
    print(
        f"{len(table)} runs ({len(pairs)} cases and settings, {options.rounds} rounds) in {took:.0f} s, "
        f"load {load:.1f} to {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores: "
        + ", ".join(f"{kinds[kind]} {kind}" for kind in ("missed", "wrong", "false", "left"))
    )
    if not table:
        sys.exit("no case was run: see --only")
    sys.exit(sum(kinds.values()) > 0)


if __name__ == "__main__":
    main()
