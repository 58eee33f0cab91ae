"""Unchanged apps of other people, under Xvfb: how soon they are ok, how soon a fault is told, their quit, their idling.

    python tests/chaos/unchanged_apps.py [--idle SECONDS] [NAME...]

Their packages are found on PYTHONPATH. The table goes to standard output, and as JSON to target/apps/apps.json.
Fails if something is not as it should be, if a bar is missed on a machine that is not busy (load over the number of
its cores), or if an app cannot be tried that is not optional.
"""

from __future__ import annotations

import argparse
import compileall
import datetime
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from apps_of_others import APPS, CRASHED, SCRIPTS, App

import livegui

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))
from wiring import display

CARRIER = Path(livegui.__file__).parent / "_carrier"
#: On the path of each app.
IN_THE_APP = Path(__file__).parent / "in_the_app"
OUT = Path(__file__).parents[2] / "target" / "apps"
#: How much later than the app's loop runs without livegui it may be called ok.
READY_MS = 50.0
#: If its loop cannot be seen, this much later than its main thread began to serve.
READY_UNSEEN_MS = 1050.0
#: How soon the culprit must have failed after the exception was raised.
FAILED_MS = 50.0
#: How many starts, with and without livegui, alternating; and how many at most if the bar is missed.
STARTS, STARTS_AT_MOST = 3, 9
FAULTS = 3
START_S = 90.0

#: Asks every window to close, as a window manager does when the user clicks on the cross.
CLOSE = """
import ctypes

def close_windows():
    x = ctypes.CDLL("libX11.so.6")
    handler = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(lambda *_: 0)
    x.XSetErrorHandler(handler)  # a window may be gone by then
    x.XOpenDisplay.restype = ctypes.c_void_p
    x.XDefaultRootWindow.restype = x.XInternAtom.restype = ctypes.c_ulong
    screen = ctypes.c_void_p(x.XOpenDisplay(None))
    protocols, delete = (x.XInternAtom(screen, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW"))

    def windows(window):
        root, parent, children, count = ctypes.c_ulong(), ctypes.c_ulong(), ctypes.POINTER(ctypes.c_ulong)(), ctypes.c_uint()
        x.XQueryTree(screen, ctypes.c_ulong(window), *map(ctypes.byref, (root, parent, children, count)))
        for child in children[: count.value]:
            yield child
            yield from windows(child)

    for window in windows(x.XDefaultRootWindow(screen)):
        known, count = ctypes.POINTER(ctypes.c_ulong)(), ctypes.c_int()
        x.XGetWMProtocols(screen, ctypes.c_ulong(window), ctypes.byref(known), ctypes.byref(count))
        if count.value and delete in known[: count.value]:
            event = (ctypes.c_long * 24)()
            event[0], event[4], event[5], event[6], event[7] = 33, window, protocols, 32, delete
            x.XSendEvent(screen, ctypes.c_ulong(window), 0, 0, ctypes.byref(event))
    x.XSync(screen, 0)
"""
IDLE = """
import time

def test_idle(live_gui):
    health = live_gui.health()
    assert health["checks"]["main_loop"]["state"] == {state!r}
    deadline = time.monotonic() + 20  # its first frames may be long ones
    while {seen} and live_gui.health()["checks"]["main_loop"]["beats"] < 20 and time.monotonic() < deadline:
        time.sleep(0.1)
    health = live_gui.health()
    time.sleep({idle})
    after = live_gui.health()
    assert after["reasons"] == after["history"] == [], after
    assert not {seen} or after["checks"]["main_loop"]["beats"] > health["checks"]["main_loop"]["beats"]
"""
AFTER = """
def test_after(live_gui):
    assert live_gui.generation == {generation}
    assert live_gui.health()["status"] == "ok"
"""
CRASH = """
import time

def test_crash(live_gui):
    state = live_gui.generation_folder / "state"
    (state / "draft").write_text({how!r})
    (state / "draft").rename(state / "request")
    try:
        time.sleep(20)
    finally:
        ended = time.time()
        raised = state / "raised"
        if raised.exists():
            raised.rename(state / "told_{number}")
            (state / "ended_{number}").write_text(str(ended))
"""
QUIT = {
    "windows": "from close import close_windows\n    close_windows()",
    "interrupt": "import os, signal\n    os.kill(live_gui.pid, signal.SIGINT)",
    "qt close": "state = live_gui.generation_folder / 'state'\n    (state / 'draft').write_text('qt close')\n"
    "    (state / 'draft').rename(state / 'request')",
}
QUITS = """
import time

def test_quit(live_gui):
    {quit}
    time.sleep(20)
"""


@dataclass
class Row:
    """What came of one app."""

    app: str
    versions: str
    #: Milliseconds from its start until its loop runs, and until it is called ok under livegui: medians.
    plain_ms: float | None = None
    ok_ms: float | None = None
    #: Milliseconds of processor time more until its loop runs: a figure that other processes change less.
    cpu_later_ms: float | None = None
    starts: int = 0
    #: Milliseconds from the exception to the failure of the test that caused it: all, and their median.
    failed_ms: list[float] = field(default_factory=list)
    told: str = ""
    #: How its own quit was told.
    quit: str = ""
    idle_s: float = 0.0
    #: The load of the machine while the starts were measured.
    load: float = 0.0
    #: What is not as expected.
    wrong: list[str] = field(default_factory=list)
    #: Bars that were missed.
    missed: list[str] = field(default_factory=list)

    @property
    def later_ms(self) -> float | None:
        """How much later it is called ok than its loop runs."""
        return None if self.ok_ms is None or self.plain_ms is None else self.ok_ms - self.plain_ms

    @property
    def failed_p50_ms(self) -> float | None:
        """The median of the times to the failure."""
        return statistics.median(self.failed_ms) if self.failed_ms else None


def environment(app: App, folder: Path) -> dict[str, str]:
    """What each app gets, watched or not."""
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(IN_THE_APP), app.path()])),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "KIVY_NO_FILELOG": "1",
        "KIVY_NO_ARGS": "1",
        "SDL_AUDIODRIVER": "dummy",
        # Its libraries for X are not everywhere.
        "QT_QPA_PLATFORM": "offscreen",
        "HOME": str(folder),
        "DISPLAY": display(),
        **app.environment,
    }


def put_scripts(folder: Path) -> None:
    """The apps that no package has as a file."""
    for name, text in SCRIPTS.items():
        (folder / name).write_text(text)


# --- how soon it is ok ---


def start(app: App, home: Path, *, watched: bool) -> tuple[float, float]:
    """Milliseconds from its start until its loop runs, or until it is called ok; and of processor time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = environment(app, home) | {"LIVEGUI_STATE_DIR": name}
        if watched:
            given["PYTHONPATH"] = os.pathsep.join([str(CARRIER), given["PYTHONPATH"]])
            given |= {
                "LIVEGUI_INJECT": "auto",
                "LIVEGUI_INJECT_PATH": str(CARRIER),
                "LIVEGUI_RUN_DIR": name,
            }
        clean = {key: value for key, value in os.environ.items() if not key.startswith("LIVEGUI")}
        output = (folder / "output.txt").open("w+")
        began = time.time()
        process = subprocess.Popen(
            app.words(home),
            cwd=folder,
            env=clean | given,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + START_S
            while (at := ok_at(folder) if watched else first(folder)[0]) is None or not first(folder)[1]:
                if process.poll() is not None or time.monotonic() > deadline:
                    output.seek(0)
                    raise RuntimeError(f"{app.name} did not start: {output.read()[-800:]}")
                time.sleep(0.02)
            return (at - began) * 1e3, first(folder)[1] * 1e3
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            output.close()


def first(folder: Path) -> tuple[float | None, float]:
    """The wall time at which its loop first ran, and the processor time it had used by then."""
    note = folder / "first"
    if not note.exists():
        return None, 0.0
    at, used = note.read_text().split()
    return float(at), float(used)


def ok_at(folder: Path) -> float | None:
    """The wall time at which the agent called it ok."""
    journal = folder / "heartbeat.jsonl"
    if not journal.exists():
        return None
    events = [json.loads(line) for line in journal.read_text().splitlines() if line.endswith("}")]
    ok = next((event for event in events if event.get("status") == "ok"), None)
    if ok is None:
        return None
    began = datetime.datetime.fromisoformat(events[0]["started_at"].replace("Z", "+00:00")).timestamp()
    return began + float(ok["t_ms"]) / 1e3


def try_starts(app: App, row: Row) -> None:
    """Start it with and without livegui, alternating."""
    bar = READY_MS if app.seen else READY_UNSEEN_MS
    plain: list[tuple[float, float]] = []
    watched: list[tuple[float, float]] = []
    loads = []
    with tempfile.TemporaryDirectory() as name:
        put_scripts(Path(name))
        start(app, Path(name), watched=False)  # reads its files from the disk
        while len(plain) < STARTS_AT_MOST:
            loads.append(os.getloadavg()[0])
            plain.append(start(app, Path(name), watched=False))
            watched.append(start(app, Path(name), watched=True))
            row.plain_ms, plain_cpu_ms = map(statistics.median, zip(*plain, strict=True))
            row.ok_ms, cpu_ms = map(statistics.median, zip(*watched, strict=True))
            row.cpu_later_ms = cpu_ms - plain_cpu_ms
            row.starts = len(plain)
            if row.starts >= STARTS and row.ok_ms - row.plain_ms <= bar:
                break
    row.load = round(max(loads), 1)
    if (row.cpu_later_ms or 0.0) > READY_MS:  # a busy machine is no excuse for this
        row.wrong.append(f"{row.cpu_later_ms:.0f} ms more of processor time until its loop runs")
    if row.ok_ms is not None and row.plain_ms is not None and row.ok_ms - row.plain_ms > bar:
        row.missed.append(f"ok {row.ok_ms - row.plain_ms:.0f} ms later than without livegui (bar {bar:g})")


# --- its faults and its end, in a suite ---


def run_suite(app: App, folder: Path, tests: dict[str, str]) -> str:
    """Run a suite on it. Returns what pytest printed; there is a report.xml in the folder if it ran."""
    put_scripts(folder)
    (folder / "close.py").write_text(CLOSE)
    command = " ".join(app.words(folder))
    (folder / "pytest.ini").write_text(
        f"[pytest]\npythonpath = .\nlive_gui_command = {command}\nlive_gui_max_respawns = 9\n"
        f"live_gui_ready_timeout = {START_S:g}\n"
    )
    given = environment(app, folder)
    (folder / "conftest.py").write_text(
        f"import pytest\n@pytest.fixture(scope='session')\ndef live_gui_env():\n    return {given!r}\n"
    )
    for name, text in tests.items():
        (folder / name).write_text(text)
    command_line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--junitxml=report.xml", "-q"]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("LIVEGUI")}
    done = subprocess.run(
        command_line,
        cwd=folder,
        env=clean | {"DISPLAY": display()},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    (folder / "output.txt").write_text(done.stdout + done.stderr)
    return done.stdout + done.stderr


def failures(folder: Path) -> dict[str, str | None]:
    """By ``file::test``, how it failed, or None."""
    found: dict[str, str | None] = {}
    for case in ET.parse(folder / "report.xml").iter("testcase"):
        bad = [child for child in case if child.tag in ("failure", "error")]
        text = f"{bad[0].get('message')}\n{bad[0].text}".strip() if bad else None
        found[f"{case.get('classname')}::{case.get('name')}"] = text
    return found


def try_faults(app: App, folder: Path, row: Row) -> None:
    """Crash it some times, each with a fresh or the same app after it, and close it."""
    tests = {
        f"test_{number}.py": (
            AFTER.format(generation=1 + (number - 1) * app.dies) + CRASH.format(how=app.how, number=number)
        )
        for number in range(1, FAULTS + 1)
    }
    tests[f"test_{FAULTS + 1}.py"] = AFTER.format(generation=1 + FAULTS * app.dies)
    tests[f"test_{FAULTS + 2}.py"] = QUITS.format(quit=QUIT[app.quit])
    output = run_suite(app, folder, tests)
    if not (folder / "report.xml").exists():
        row.wrong.append(f"pytest did not run: {output[-800:]}")
        return
    row.wrong += judge_faults(app, failures(folder))
    wrong = list(judge_end(app, folder, failures(folder)))
    row.wrong += wrong
    row.quit = "" if wrong else f"`{CRASHED}`, as it crashes" if app.quit_fails else "announced"
    row.told = app.told.rstrip(": ")
    for told in sorted(folder.glob(".livegui/*/gen-*/state/told_*")):
        ended = told.with_name(told.name.replace("told", "ended"))
        row.failed_ms.append((float(ended.read_text()) - float(told.read_text())) * 1e3)
    p50 = row.failed_p50_ms
    if len(row.failed_ms) != FAULTS or p50 is None:
        row.wrong.append(f"{len(row.failed_ms)} of {FAULTS} faults could be timed")
    elif p50 > FAILED_MS:
        row.missed.append(f"the culprit failed after {p50:.0f} ms (bar {FAILED_MS:g})")


def judge_faults(app: App, found: dict[str, str | None]) -> Iterator[str]:
    """What is not as expected of the faults, one line each."""
    for number in range(1, FAULTS + 1):
        crash = found.get(f"test_{number}::test_crash", "it did not run") or "it passed"
        if app.told not in crash or "Boom: boom" not in crash:
            yield f"test_crash {number}: {crash.splitlines()[0]}"
    for number in range(1, FAULTS + 2):
        after = found.get(f"test_{number}::test_after", "it did not run")
        if after is not None:
            yield f"test_after {number}: {after.splitlines()[0]}"


def judge_end(app: App, folder: Path, found: dict[str, str | None]) -> Iterator[str]:
    """What is not as expected of its own quit, one line each."""
    ended = found.get(f"test_{FAULTS + 2}::test_quit", "it did not run") or "it passed"
    if app.quit_fails:
        if CRASHED not in ended or app.quit_fails not in ended:
            yield f"test_quit: {ended.splitlines()[0]}"
        return
    # It depends on which is noticed first.
    if "exit status 0" not in ended and "the app began to stop during this test" not in ended:
        yield f"test_quit: {ended.splitlines()[0]}"
    generations = sorted(folder.glob(".livegui/*/gen-*"), key=lambda path: int(path.name.partition("-")[2]))
    journals = [path / "heartbeat.jsonl" for path in generations if (path / "heartbeat.jsonl").exists()]
    if not journals:
        yield "it never had a loop"
        return
    last = journals[-1].read_text()
    if '"status":"stopping"' not in last or "main_loop_exited" in last:
        yield f"its end was not announced: {last.splitlines()[-2:]}"


def try_idling(app: App, folder: Path, row: Row, idle: float) -> None:
    """Let it idle."""
    state = "ok" if app.seen else "not_watched"
    output = run_suite(app, folder, {"test_idle.py": IDLE.format(idle=idle, seen=app.seen, state=state)})
    if not (folder / "report.xml").exists():
        row.wrong.append(f"pytest did not run: {output[-800:]}")
        return
    row.idle_s = idle
    idled = failures(folder).get("test_idle::test_idle", "it did not run")
    if idled is not None:
        row.wrong.append(f"test_idle: {idled.splitlines()[0]}")


# --- the table ---


def shown(value: float | None) -> str:
    """Milliseconds, rounded."""
    return "-" if value is None else f"{value:.0f}"


def markdown(rows: list[Row]) -> str:
    """The table. Pure."""
    lines = [
        "| app | versions | its loop runs after (ms) | `ok` later (ms) | processor time more (ms) | fault to failed, p50 (ms) | fault told as | its own quit | idle (s) | load | as it should be |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        verdict = "; ".join([*row.wrong, *row.missed]).replace("|", "/").replace("\n", " ")[:200] or "yes"
        cells = [row.app, row.versions, shown(row.plain_ms), shown(row.later_ms)]
        cells += [shown(row.cpu_later_ms), shown(row.failed_p50_ms)]
        lines.append(
            "| "
            + " | ".join([*cells, f"`{row.told}`", row.quit, f"{row.idle_s:g}", f"{row.load:g}", verdict])
            + " |"
        )
    return "\n".join(lines)


def write(rows: list[Row], left_out: list[str], busy: bool) -> None:
    """The table as JSON."""
    OUT.mkdir(parents=True, exist_ok=True)
    machine = {
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": os.getloadavg(),
        "busy": busy,
    }
    written = [asdict(row) | {"later_ms": row.later_ms, "failed_p50_ms": row.failed_p50_ms} for row in rows]
    document = {"machine": machine, "left_out": left_out, "apps": written}
    (OUT / "apps.json").write_text(json.dumps(document, indent=1) + "\n")
    (OUT / "apps.md").write_text(markdown(rows) + "\n")


class LeftOutError(RuntimeError):
    """The app does not run here, watched or not."""


def check_by_itself(app: App) -> None:
    """An optional app that does not start by itself is left out."""
    with tempfile.TemporaryDirectory() as name:
        put_scripts(Path(name))
        try:
            start(app, Path(name), watched=False)
        except RuntimeError as error:
            print(f"    left out: {str(error).splitlines()[-1]}", flush=True)
            raise LeftOutError from error


def try_one(app: App, keep: Path | None, arguments: argparse.Namespace) -> Row:
    """All but its idling."""
    row = Row(app.name, app.version())
    print(f"  {app.name}", flush=True)
    try:
        if app.optional:
            check_by_itself(app)
        if "starts" in arguments.phases:
            try_starts(app, row)
            print(
                f"    loop runs after {shown(row.plain_ms)} ms, ok {shown(row.later_ms)} ms later, "
                f"{shown(row.cpu_later_ms)} ms of them of processor time "
                f"({row.starts} starts, load {row.load})",
                flush=True,
            )
        if "faults" in arguments.phases:
            with tempfile.TemporaryDirectory() as name:
                try_faults(app, Path(name), row)
                leave(Path(name), keep, app, "faults")
            print(
                f"    from the fault to the failure: {[round(took) for took in row.failed_ms]} ms", flush=True
            )
    except LeftOutError:
        raise
    except RuntimeError as error:
        row.wrong.append(str(error))
    for line in [*row.wrong, *row.missed]:
        print(f"    WRONG {line}", flush=True)
    return row


def leave(folder: Path, keep: Path | None, app: App, what: str) -> None:
    """Keep what a suite left, if that is wanted."""
    if keep is not None:
        target = keep / app.name.replace("/", " ").replace(":", "") / what
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder, target, symlinks=True)


def idle_all(tried: list[tuple[App, Row]], arguments: argparse.Namespace) -> None:
    """Let them idle, several at once."""

    def one(pair: tuple[App, Row]) -> None:
        app, row = pair
        with tempfile.TemporaryDirectory() as name:
            before = len(row.wrong)
            try_idling(app, Path(name), row, arguments.idle)
            leave(Path(name), arguments.keep, app, "idle")
            for line in row.wrong[before:] or ["idled"]:
                print(f"  {app.name}: {line}", flush=True)

    print(f"  idling {arguments.idle:g} s each, {arguments.at_once} at once", flush=True)
    display()  # by this thread, and so only one
    with ThreadPoolExecutor(arguments.at_once) as pool:
        list(pool.map(one, tried))


def main() -> None:
    """Try all of them, or the named ones."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--idle", type=float, default=60, help="how many seconds each idles")
    parser.add_argument("--at-once", type=int, default=3, help="how many idle at the same time")
    parser.add_argument("--phases", default="starts,faults,idle", help="what to try")
    parser.add_argument("--strict", action="store_true", help="fail for a missed bar on a busy machine too")
    parser.add_argument("--keep", type=Path, help="a folder for what each left")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    compileall.compile_dir(CARRIER.parent, quiet=1)  # as pip does when it installs a wheel
    chosen = [app for app in APPS if not arguments.names or any(name in app.name for name in arguments.names)]
    left_out = [app for app in chosen if not app.is_there()]
    tried = []
    for app in [app for app in chosen if app not in left_out]:
        try:
            tried.append((app, try_one(app, arguments.keep, arguments)))
        except LeftOutError:
            left_out.append(app)
    if "idle" in arguments.phases:
        idle_all(tried, arguments)
    rows = [row for _, row in tried]
    busy = max((row.load for row in rows), default=0.0) > (os.cpu_count() or 1)
    write(rows, [app.name for app in left_out], busy)
    print(f"\n{markdown(rows)}\n\n  load {max((row.load for row in rows), default=0.0)}", flush=True)
    sys.exit(verdict(rows, left_out, fails_for_bars=arguments.strict or not busy))


def verdict(rows: list[Row], left_out: list[App], *, fails_for_bars: bool) -> bool:
    """Say what is wrong. Returns whether it fails."""
    missing = [app for app in left_out if not app.optional]
    for app in left_out:
        print(f"  {app.name}: not tried, it needs {app.optional or app.needs}")
    wrong = [row.app for row in rows if row.wrong]
    missed = [row.app for row in rows if row.missed]
    if wrong:
        print(f"  not as it should be: {', '.join(wrong)}")
    if missed:
        print(
            f"  {'missed a bar' if fails_for_bars else 'noisy, or slower than its bar'}: {', '.join(missed)}"
        )
    return bool(missing or wrong or (missed and fails_for_bars))


if __name__ == "__main__":
    main()
