"""The apps of docs/wiring.md, run on their real toolkits."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from plain_suites import Suite
from wiring import APPS, CATCHING, RUNS_ON, WIRING, WiredApp, asks, display, run_on

DOC = Path(__file__).parents[2] / "docs" / "wiring.md"
#: Loops that an exception leaves.
OPEN = ["plain", "imgui_bundle", "glfw", "pygame", "kivy", "pyglet", "sdl"]

Wired = Callable[..., pytest.RunResult]


def notes(pytester: pytest.Pytester) -> list[tuple[str, str]]:
    (run,) = (pytester.path / ".livegui").glob("*/run.json")
    return [(note["file"], note["because"]) for note in json.loads(run.read_text())["notes"]]


@pytest.fixture
def wired(suite: Suite, pytester: pytest.Pytester) -> Wired:
    """As ``suite``, on an app of examples/wiring."""

    def run(app: WiredApp, files: dict[str, str], *options: str, ini: str = "") -> pytest.RunResult:
        return run_on(app, suite, pytester, files, *options, ini=ini)

    return run


@pytest.mark.parametrize("name", CATCHING)
def test_what_a_callback_raises_fails_the_running_test_and_the_app_goes_on(wired: Wired, name: str) -> None:
    files = {"test_a.py": asks("raise bad value"), "test_b.py": RUNS_ON.format(generation=1)}
    result = wired(APPS[name], files)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "*GuiCallbackError: callback_exception: ValueError: bad value",
            "*commands.py:*",
            "*Traceback (most recent call last):",
            "*in _do",
        ]
    )
    result.stdout.no_fnmatch_line("*fresh process*")


@pytest.mark.parametrize("name", OPEN)
def test_what_leaves_the_loop_is_a_crash(wired: Wired, name: str) -> None:
    result = wired(APPS[name], {"test_a.py": asks("crash boom"), "test_b.py": RUNS_ON.format(generation=2)})
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*main_loop_crashed*RuntimeError: boom*"])


@pytest.mark.parametrize("name", ["pyqt6", "pyqt5"])
def test_pyqt_still_aborts_of_an_exception_in_a_slot_and_it_is_told(wired: Wired, name: str) -> None:
    files = {"test_a.py": asks("raise bad value"), "test_b.py": RUNS_ON.format(generation=2)}
    result = wired(APPS[name], files)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*ValueError: bad value*"])
    result.stdout.fnmatch_lines(["test_b.py  fresh process (generation 2): *ValueError: bad value*"])


@pytest.mark.parametrize("name", [name for name in APPS if name != "dearpygui"])
def test_an_app_that_ends_itself_says_where(wired: Wired, name: str) -> None:
    result = wired(APPS[name], {"test_a.py": asks("exit 3"), "test_b.py": RUNS_ON.format(generation=2)})
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.re_match_lines(
        [r".*main_loop_exited.*: the app ended itself: sys\.exit\(3\) at \S*commands\.py:\d+"]
    )


def test_a_sys_exit_in_a_callback_of_dear_pygui_costs_the_process(wired: Wired) -> None:
    then = """
    while not (live_gui.generation_folder / "state" / "taken").exists():
        time.sleep(0.02)
    while live_gui.health()["checks"]["main_loop"]["age_ms"] < 300:  # it has not exited yet
        time.sleep(0.02)"""
    files = {"test_a.py": asks("exit 3", then), "test_b.py": RUNS_ON.format(generation=2)}
    result = wired(APPS["dearpygui"], files)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["test_b.py  fresh process (generation 2): test_a.py::test_asks left *"])


def test_an_app_that_quits_pygame_and_exits_says_where(wired: Wired, pytester: pytest.Pytester) -> None:
    app = APPS["pygame"]
    app.skip_unless_it_can_run()
    script = (WIRING / app.script).read_text()
    quits = "        if Path(os.environ['LIVEGUI_STATE_DIR'], 'taken').exists():\n            pygame.quit()\n            sys.exit()\n"
    changed = script.replace("        draw(screen)\n", f"        draw(screen)\n{quits}")
    assert changed != script
    (pytester.path / "app.py").write_text(
        f"import os, sys\nfrom pathlib import Path\nsys.path.insert(0, {str(WIRING)!r})\n"
        + changed.replace("from __future__ import annotations", "")
    )
    quitting = WiredApp(app.name, app.needs, str(pytester.path / "app.py"), environment=app.environment)
    result = wired(quitting, {"test_a.py": asks("quit"), "test_b.py": RUNS_ON.format(generation=2)})
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.re_match_lines(
        [r".*main_loop_exited.*: the app ended itself: sys\.exit\(\) at \S*app\.py:\d+"]
    )


def test_a_status_that_the_place_does_not_tell_is_told_by_the_process(wired: Wired) -> None:
    files = {"test_a.py": asks("raise_exit 3"), "test_b.py": RUNS_ON.format(generation=2)}
    result = wired(APPS["pyside6"], files)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.re_match_lines(
        [r".*the app ended itself: sys\.exit\(\) inside of the main loop at \S+\.py:\d+.*"]
    )
    result.stdout.fnmatch_lines(["*exit status 3*"])


#: What a test leaves open, and what the note says of it.
LEFT_OPEN = [
    *(
        (name, what, told)
        for name in ("pyside6", "pyqt6")
        for what, told in [
            ("dialog", "modal QMessageBox 'Save?', a nested event loop (level 2)"),
            ("popup", "popup QMenu 'recent'"),
            ("loop", "a nested event loop (level 2)"),
        ]
    ),
    *(
        (name, f"grab_{what}", f"a grab of the {what} by Window 'myapp'")
        for name, what in [("pyside6", "mouse"), ("pyqt6", "keyboard")]
    ),
    ("tk", "dialog", "a grab by Toplevel 'Save?'"),
    ("tk", "message", "a grab by Dialog 'Save?', tk_messageBox 'Save?'"),
    ("tk", "loop", "a nested wait_window() for Toplevel 'Ask?'"),
    ("imgui_bundle", "dialog", "modal 'Save?'"),
    ("glfw", "dialog", "modal 'Save?'"),
    ("dearpygui", "dialog", "modal window 'Save?'"),
    ("kivy", "dialog", "modal Popup 'Save?'"),
    ("gtk", "dialog", "modal MessageDialog 'Save?', a nested loop (depth 2)"),
    ("gtk", "loop", "a nested loop (depth 2)"),
    ("wx", "dialog", "modal Dialog 'Save?', a nested event loop"),
    ("wx", "message", "modal MessageDialog 'Save?'"),
]
#: The app has begun to do what it was asked for. The test ends then, and looks at nothing.
TAKEN = """
    deadline = time.monotonic() + 20
    while not (live_gui.generation_folder / "state" / "taken").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)"""


@pytest.mark.parametrize(("name", "what", "told"), LEFT_OPEN)
def test_what_is_left_open_costs_the_process_and_is_named(
    wired: Wired, pytester: pytest.Pytester, name: str, what: str, told: str
) -> None:
    files = {"test_a.py": asks(what, TAKEN), "test_b.py": RUNS_ON.format(generation=2)}
    wired(APPS[name], files).assert_outcomes(passed=2)
    note = f"test_a.py::test_asks left open: {told} (it had passed; blamed by inference)"
    assert notes(pytester) == [("test_b.py", note)]


def test_a_second_popup_over_one_that_was_open_before_is_seen(wired: Wired) -> None:
    forget = '    (live_gui.generation_folder / "state" / "taken").unlink()\n    app.do('
    files = {"test_a.py": asks("dialog", TAKEN), "test_b.py": asks("inner", TAKEN)}
    files["test_b.py"] = files["test_b.py"].replace("    app.do(", forget)
    result = wired(APPS["imgui_bundle"], files, ini="live_gui_left_open = note")
    result.assert_outcomes(passed=2)
    result.stdout.re_match_lines(
        [
            r"test_a\.py::test_asks left open: modal 'Save\?'$",
            r"test_b\.py::test_asks left open: popup 0x[0-9a-f]{8}$",
        ]
    )


#: The apps that have a window to close, or an event that ends them.
QUITTING = [name for name in APPS if name not in ("asyncio",)]


@pytest.mark.parametrize("name", QUITTING)
def test_an_app_that_is_closed_ends_in_order(name: str, tmp_path: Path) -> None:
    app = APPS[name]
    app.skip_unless_it_can_run()
    (tmp_path / "command").write_text("quit")
    folders = {"LIVEGUI_RUN_DIR": str(tmp_path), "LIVEGUI_STATE_DIR": str(tmp_path)}
    done = subprocess.run(
        [app.python(), str(WIRING / app.script), *app.arguments],
        env=os.environ | app.all_environment() | folders,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    journal = (tmp_path / "heartbeat.jsonl").read_text()
    assert '"status":"stopping"' in journal
    assert '"reason_opened"' not in journal
    assert "main_loop_" not in journal


@pytest.mark.parametrize("name", APPS)
def test_an_idle_app_beats(wired: Wired, name: str) -> None:
    test = """
import time

def test_beats(live_gui):
    before = live_gui.health()["checks"]["main_loop"]["beats"]
    deadline = time.monotonic() + 20
    while live_gui.health()["checks"]["main_loop"]["beats"] < before + 20:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert live_gui.health()["reasons"] == []
"""
    wired(APPS[name], {"test_a.py": test}).assert_outcomes(passed=1)


def test_an_app_that_has_one_frame_a_second_while_it_idles_is_handed_on(
    wired: Wired, pytester: pytest.Pytester
) -> None:
    app = APPS["imgui_bundle"]
    app.skip_unless_it_can_run()
    if not display():
        pytest.skip("GLFW needs a display, and there is neither one nor Xvfb")
    idles = "params.fps_idling.fps_idle = 1\nparams.fps_idling.time_active_after_last_event = 0.1\n"
    script = (WIRING / app.script).read_text()
    changed = script.replace("live_imgui.run(params)", f"{idles}live_imgui.run(params)")
    assert changed != script
    (pytester.path / "commands.py").write_text((WIRING / "commands.py").read_text())
    (pytester.path / "idling.py").write_text(changed)
    environment = {"DISPLAY": display(), "LIBGL_ALWAYS_SOFTWARE": "1"}
    idling = WiredApp(app.name, app.needs, str(pytester.path / "idling.py"), environment=environment)
    test = """
def test_next(live_gui):
    assert live_gui.generation == 1
"""
    idles = """
import time

def test_until_it_idles(live_gui):
    deadline = time.monotonic() + 20
    while live_gui.health()["checks"]["main_loop"]["frame_ms"]["max"] < 900:
        assert time.monotonic() < deadline
        time.sleep(0.02)
"""
    files = {"test_a.py": idles, **{f"test_{letter}.py": test for letter in "bcdefgh"}}
    wired(idling, files).assert_outcomes(passed=8)
    assert notes(pytester) == []


@pytest.mark.parametrize("name", APPS)
def test_the_document_quotes_the_app(name: str) -> None:
    text = (WIRING / APPS[name].script).read_text()
    (recipe,) = re.findall(r"^# \[wiring\]\n(.*?)^# \[/wiring\]$", text, re.MULTILINE | re.DOTALL)
    assert f"```python\n{recipe}```" in DOC.read_text()


@pytest.mark.parametrize("name", ["pyside6", "pyqt6", "tk", "asyncio", "plain"])
def test_an_error_before_the_loop_prints_its_traceback_and_exits_with_1(name: str, tmp_path: Path) -> None:
    app = APPS[name]
    app.skip_unless_it_can_run()
    script = (WIRING / app.script).read_text()
    broken = script.replace("with agent.main_loop():", "raise OSError('no disk')\nwith agent.main_loop():")
    assert broken != script
    (tmp_path / "app.py").write_text(broken)
    path = os.pathsep.join([str(WIRING), app.all_environment()["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, "app.py", *app.arguments],
        cwd=tmp_path,
        env=os.environ | app.all_environment() | {"PYTHONPATH": path, "LIVEGUI_RUN_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("OSError: no disk") == 1
    assert "Traceback" in done.stderr
