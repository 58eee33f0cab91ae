"""Every way to freeze, on every toolkit, under every setting: the next file gets an app that turns.

A part of the matrix runs with the other tests; ``python3 dev.py test freezes`` runs the whole of it.
"""

from __future__ import annotations

import json
import os

import pytest
from plain_suites import Suite
from wiring import APPS, WiredApp

WHOLE = "LIVEGUI_WHOLE_MATRIX" in os.environ
FREEZES = ["hang 8", "deadlock", "spin", "hold 8"]
TOOLKITS = ["plain", "imgui_bundle", "pygame", "pyside6", "pyqt6", "tk", "glfw", "asyncio", "dearpygui"]
SETTINGS = {
    "B, a process until it fails": ("", []),
    "A, a process a file": ("live_gui_scope = module", []),
    "D, a border at each test": ("live_gui_respawn = test", []),
    "spares": ("live_gui_spares = 1", []),
    "spares, a process a file": ("live_gui_scope = module\nlive_gui_spares = 1", []),
    "xdist": ("", ["-n1", "--dist=loadfile"]),
}

FREEZES_IT = """
import time

def test_before(app):
    pass

def beats(live_gui):
    return live_gui.health()["checks"]["main_loop"]["beats"]

def test_freezes(app, live_gui):
    before = beats(live_gui)
    while beats(live_gui) == before:  # a freeze begins with the last beat: that is to be one of this test
        time.sleep(0.005)
    app.do({what!r})
    while not (app.live_gui.generation_folder / "state" / "taken").exists():
        time.sleep(0.01)
    time.sleep(0.3)
"""

TURNS = """
import time

def test_next(live_gui):
    beats = live_gui.health()["checks"]["main_loop"]["beats"]
    deadline = time.monotonic() + 3
    while live_gui.health()["checks"]["main_loop"]["beats"] == beats:
        assert time.monotonic() < deadline, "it does not turn"
        time.sleep(0.02)
"""


def set_up(name: str, pytester: pytest.Pytester) -> WiredApp:
    """The app of that name, with what it needs in its environment."""
    app = APPS[name]
    app.skip_unless_it_can_run()
    conftest = pytester.path / "conftest.py"
    environment = f"""
@pytest.fixture(scope="session")
def live_gui_env():
    return {app.all_environment()!r}
"""
    conftest.write_text(conftest.read_text() + environment)
    return app


def cells() -> list[tuple[str, str, str]]:
    if WHOLE:
        return [(app, freeze, setting) for app in TOOLKITS for freeze in FREEZES for setting in SETTINGS]
    first = next(iter(SETTINGS))
    every_toolkit = [(app, FREEZES[0], first) for app in TOOLKITS]
    return [*every_toolkit, ("plain", FREEZES[1], "xdist"), ("pyside6", FREEZES[2], "spares")]


@pytest.mark.parametrize(("name", "freeze", "setting"), cells())
def test_the_next_file_gets_an_app_that_turns_and_the_right_test_is_named(
    suite: Suite, pytester: pytest.Pytester, name: str, freeze: str, setting: str
) -> None:
    app = set_up(name, pytester)
    ini, options = SETTINGS[setting]
    port = " {hook_port}" if "spares" in ini else ""
    files = {"test_a.py": FREEZES_IT.format(what=freeze), "test_b.py": TURNS}
    result = suite(files, *options, ini=f"live_gui_command = {app.command()}{port}\n{ini}")
    result.assert_outcomes(passed=3)
    (record,) = (pytester.path / ".livegui").glob("*/run.json")
    run = json.loads(record.read_text())
    (because,) = [note["because"] for note in run["notes"] if note["file"] == "test_b.py"]
    found = ["left the main loop standing for "]
    if name == "dearpygui":  # its render loop turns, and after a second no beat is held back
        found.append("left open: a callback that still runs: ")
    assert because.startswith(tuple(f"test_a.py::test_freezes {what}" for what in found)), because
    culprits = [generation["culprit"] for generation in run["generations"] if generation["culprit"]]
    assert culprits == [{"test": "test_a.py::test_freezes", "inferred": True}]


@pytest.mark.parametrize("name", TOOLKITS)
def test_an_app_of_each_toolkit_that_is_slow_for_a_moment_is_kept(
    suite: Suite, pytester: pytest.Pytester, name: str
) -> None:
    app = set_up(name, pytester)
    busy = "def test_does(app):\n    app.do('hang 0.3')\n    time.sleep(0.02)\n"
    files = {"test_a.py": "import time\n\n" + busy} | {
        f"test_{letter}.py": "def test_next(live_gui):\n    pass\n" for letter in "bcdef"
    }
    suite(files, ini=f"live_gui_command = {app.command()}").assert_outcomes(passed=6)
    (record,) = (pytester.path / ".livegui").glob("*/run.json")
    assert json.loads(record.read_text())["notes"] == []
