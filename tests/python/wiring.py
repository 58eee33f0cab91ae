"""The apps of examples/wiring as apps under test, on the real toolkits."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import pytest
from plain_suites import Suite, not_here, skip_without_tkinter, under_wine

import livegui

WIRING = Path(__file__).parents[2] / "examples" / "wiring"
#: Where `dev.py test` has put the toolkits.
TOOLKITS = os.environ.get("LIVEGUI_TEST_TOOLKITS", "")
#: Where it has put those that fewer tests need.
MORE = os.environ.get("LIVEGUI_TEST_MORE_TOOLKITS", "")
#: Where it has put pygame-ce, which has the same modules as pygame.
PYGAME_CE = os.environ.get("LIVEGUI_TEST_PYGAME_CE", "")
#: Debian's Python, which has the packages that no index has for Linux.
SYSTEM_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True)
class WiredApp:
    """An app of examples/wiring."""

    name: str
    #: What is to be imported.
    needs: str | None
    script: str
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    needs_display: bool = False
    #: The folders that may have its toolkit.
    folders: tuple[str, ...] = (TOOLKITS, MORE)
    #: Whether its toolkit is one of Debian's packages.
    is_of_system: bool = False

    def command(self) -> str:
        """The command line."""
        python = SYSTEM_PYTHON if self.is_of_system else "{python}"
        return " ".join([python, str(WIRING / self.script), *self.arguments])

    def python(self) -> str:
        """The Python that runs it."""
        return SYSTEM_PYTHON if self.is_of_system else sys.executable

    def skip_unless_it_can_run(self) -> None:
        """Skip the test if its toolkit or a display is missing, and say so."""
        if self.needs == "tkinter":
            skip_without_tkinter()
        if self.is_of_system and not _system_has(str(self.needs)):
            not_here(f"{self.needs} is not installed for {SYSTEM_PYTHON}; `python3 dev.py system` does that")
        if self.needs is not None and not self.is_of_system and not _is_there(self.needs, self.folders):
            not_here(f"{self.needs} is not installed; `python3 dev.py test` does that")
        if self.needs_display and not display():
            not_here(f"{self.name} needs a display, and there is neither one nor Xvfb")

    def all_environment(self) -> dict[str, str]:
        """What it needs in its environment."""
        folders = (str(Path(livegui.__file__).parents[1]),) if self.is_of_system else self.folders
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, folders)), **self.environment}
        if self.needs_display:
            environment["DISPLAY"] = display()
        return environment


APPS = {
    app.name: app
    for app in [
        WiredApp("plain", None, "own_loop_app.py"),
        WiredApp("asyncio", None, "asyncio_app.py"),
        WiredApp("imgui_bundle", "imgui_bundle", "imgui_bundle_app.py", environment={"HEADLESS": "1"}),
        WiredApp("glfw", "glfw", "glfw_app.py", environment={"GLFW_PLATFORM_NULL": "1"}),
        WiredApp("pygame", "pygame", "pygame_app.py", environment={"SDL_VIDEODRIVER": "dummy"}),
        WiredApp(
            "pygame_ce",
            "pygame",
            "pygame_app.py",
            environment={"SDL_VIDEODRIVER": "dummy"},
            folders=(PYGAME_CE,),
        ),
        WiredApp("pyside6", "PySide6", "qt_app.py", ("PySide6",), {"QT_QPA_PLATFORM": "offscreen"}),
        WiredApp("pyqt6", "PyQt6", "qt_app.py", ("PyQt6",), {"QT_QPA_PLATFORM": "offscreen"}),
        WiredApp("pyqt5", "PyQt5", "qt_app.py", ("PyQt5",), {"QT_QPA_PLATFORM": "offscreen"}),
        WiredApp("tk", "tkinter", "tk_app.py", needs_display=True),
        WiredApp(
            "kivy",
            "kivy",
            "kivy_app.py",
            environment={"LIBGL_ALWAYS_SOFTWARE": "1", "KIVY_NO_FILELOG": "1"},
            needs_display=True,
        ),
        WiredApp(
            "dearpygui",
            "dearpygui",
            "dearpygui_app.py",
            environment={"LIBGL_ALWAYS_SOFTWARE": "1"},
            needs_display=True,
        ),
        WiredApp("gtk", "gi", "gtk_app.py", needs_display=True, is_of_system=True),
        WiredApp("wx", "wx", "wx_app.py", needs_display=True, is_of_system=True),
        WiredApp(
            "pyglet",
            "pyglet",
            "pyglet_app.py",
            environment={"LIBGL_ALWAYS_SOFTWARE": "1"},
            needs_display=True,
        ),
        WiredApp("sdl", "sdl2", "sdl_app.py", environment={"SDL_VIDEODRIVER": "dummy"}),
    ]
}


#: Those whose loop catches what a callback raises.
CATCHING = ["asyncio", "pyside6", "tk", "dearpygui", "gtk", "wx"]


def run_on(
    app: WiredApp,
    suite: Suite,
    pytester: pytest.Pytester,
    files: dict[str, str],
    *options: str,
    ini: str = "",
) -> pytest.RunResult:
    """As ``suite``, on this app."""
    app.skip_unless_it_can_run()
    conftest = pytester.path / "conftest.py"
    conftest.write_text(
        conftest.read_text()
        + f"""
@pytest.fixture(scope="session")
def live_gui_env():
    return {app.all_environment()!r}
"""
    )
    return suite(files, *options, ini=f"live_gui_command = {app.command()}\n{ini}")


def asks(what: str, then: str = "time.sleep(30)") -> str:
    """A test that has the app do something."""
    return f"""
import time

def test_asks(app, live_gui):
    app.do({what!r})
    {then}
"""


#: A test of the next file.
RUNS_ON = """
def test_next(live_gui):
    assert live_gui.generation == {generation}
    assert live_gui.health()["status"] == "ok"
"""


@lru_cache
def _system_has(module: str) -> bool:
    if sys.platform != "linux" or not Path(SYSTEM_PYTHON).exists():
        return False
    command = [SYSTEM_PYTHON, "-c", f"import sys, {module}; sys.exit(sys.version_info < (3, 10))"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@lru_cache
def _is_there(module: str, folders: tuple[str, ...]) -> bool:
    if any(folder and (Path(folder) / module).exists() for folder in folders):
        return True
    return importlib.util.find_spec(module) is not None


@lru_cache
def display() -> str:
    """A display for the apps: the one there is, or one of our own, which ends with this process."""
    if sys.platform in ("win32", "darwin") and not under_wine():
        return ":0"
    if os.environ.get("DISPLAY"):
        return os.environ["DISPLAY"]
    server = shutil.which("Xvfb")
    return _start_server(server) if server else ""


def _start_server(server: str) -> str:
    import atexit  # noqa: PLC0415 -- only where one is started

    reader, writer = os.pipe()
    process = subprocess.Popen(
        [server, "-displayfd", str(writer), "-screen", "0", "640x480x24", "-nolisten", "tcp", "-noreset"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    atexit.register(process.terminate)
    with os.fdopen(reader) as line:  # the whole of it: it dies of a pipe that is closed too early
        number = line.readline().strip()
    return f":{number}" if number else ""
