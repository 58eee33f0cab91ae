"""Every way to freeze, on every toolkit, under every setting: the next file gets an app that turns.

A part of the matrix runs with the other tests; ``python3 dev.py test freezes`` runs the whole of it.
"""

from __future__ import annotations

import json
import os
from itertools import product
from typing import NamedTuple

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

BEFORE = """
def test_before(app):
    pass
"""

#: It freezes the app with the first thing that it does: there may be no beat between its beginning and that.
FREEZES_IT = """
import time

def test_freezes(app, live_gui):
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


class Cell(NamedTuple):
    """A cell of the matrix."""

    name: str
    freeze: str
    setting: str
    #: The test before it is of the same file.
    same_file: bool

    def __str__(self) -> str:
        return "-".join(
            [self.name, self.freeze, self.setting, "same file" if self.same_file else "next file"]
        )


def cells() -> list[Cell]:
    if WHOLE:
        return [
            # Each freeze and each setting has both.
            Cell(app, freeze, setting, same_file=(number + number // len(SETTINGS)) % 2 == 0)
            for app in TOOLKITS
            for number, (freeze, setting) in enumerate(product(FREEZES, SETTINGS))
        ]
    first = next(iter(SETTINGS))
    every_toolkit = [Cell(app, FREEZES[0], first, number % 2 == 0) for number, app in enumerate(TOOLKITS)]
    return [
        *every_toolkit,
        Cell("plain", FREEZES[1], "xdist", same_file=False),
        Cell("pyside6", FREEZES[2], "spares", same_file=True),
        Cell("tk", FREEZES[1], first, same_file=True),
    ]


@pytest.mark.parametrize("cell", cells(), ids=str)
def test_the_next_file_gets_an_app_that_turns_and_the_right_test_is_named(
    suite: Suite, pytester: pytest.Pytester, cell: Cell
) -> None:
    name, freeze, setting, same_file = cell
    app = set_up(name, pytester)
    ini, options = SETTINGS[setting]
    port = " {hook_port}" if "spares" in ini else ""
    freezes = FREEZES_IT.format(what=freeze)
    files = {"test_a.py": BEFORE + freezes, "test_b.py": TURNS}
    if not same_file:
        files |= {"test_0.py": BEFORE, "test_a.py": freezes}
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
