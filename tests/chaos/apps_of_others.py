"""The apps that ``unchanged_apps.py`` tries: other people's, as they publish them, and how each fails and ends."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

SYSTEM_PYTHON = "/usr/bin/python3"
CRASHED = "main_loop_crashed"
HEARD = "callback_exception: "
#: Where `dev.py apps` has put packages that must not be on every app's path, by the name of the folder.
ELSEWHERE = {
    name.removeprefix("LIVEGUI_APPS_").lower(): folder
    for name, folder in os.environ.items()
    if name.startswith("LIVEGUI_APPS_")
}


@dataclass(frozen=True)
class App:
    """An app, how it fails, and how it ends."""

    name: str
    #: The module that must be installed.
    needs: str
    command: str
    #: What its loop is asked to fail by; see ``in_the_app/sitecustomize.py``.
    how: str = "raise"
    #: What the failure of the culprit begins with.
    told: str = CRASHED
    #: Whether a fresh app follows.
    dies: bool = True
    #: Its own quit: ``windows`` closes them as a window manager does, ``interrupt`` is Ctrl-C, ``qt close`` closes
    #: the windows of Qt.
    quit: str = "windows"
    #: What its own quit fails by, watched or not.
    quit_fails: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    #: The distributions whose versions stand in the table.
    versions: tuple[str, ...] = ()
    #: Put before the app's path: a folder of :data:`ELSEWHERE`.
    elsewhere: str = ""
    #: What must be installed by hand, on a system that has it. Without it, the app is left out.
    optional: str = ""
    #: Whether its loop can be seen. If not, ``ok`` comes a second after its start, as the docs say.
    seen: bool = True

    @property
    def python(self) -> str:
        """The interpreter that runs it."""
        return SYSTEM_PYTHON if self.command.startswith(SYSTEM_PYTHON) else sys.executable

    def path(self) -> str:
        """The PYTHONPATH that it needs."""
        if self.python == SYSTEM_PYTHON:
            return ""
        ours = os.environ.get("PYTHONPATH", "")
        return os.pathsep.join(filter(None, [ELSEWHERE.get(self.elsewhere, ""), ours]))

    def is_there(self) -> bool:
        """Whether what it needs is installed."""
        if not shutil.which(self.python) or (self.elsewhere and self.elsewhere not in ELSEWHERE):
            return False
        find = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({self.needs!r}) is None)"
        program = self.command.split()[0].replace("{python}", sys.executable)
        for word in self.command.split():
            program = word if word.startswith("/usr/bin/") else program
        if not Path(program).exists():
            return False
        done = subprocess.run(
            [self.python, "-c", find], env=os.environ | {"PYTHONPATH": self.path()}, check=False
        )
        return done.returncode == 0

    def words(self, folder: Path) -> list[str]:
        """Its command line. ``folder`` holds the scripts of :data:`SCRIPTS`."""
        values = {
            "{python}": sys.executable,
            "{kivy}": str(_data("share/kivy-examples")),
            "{pyside6}": str(_data("PySide6/examples")),
            "{pyglet}": ELSEWHERE.get("pyglet_sources", ""),
            "{scripts}": str(folder),
        }
        words = self.command
        for name, value in values.items():
            words = words.replace(name, value)
        return words.split()

    def version(self) -> str:
        """The versions of its toolkit."""
        if self.python == SYSTEM_PYTHON:
            code = f"import {self.needs} as module; print(getattr(module, '__version__', ''))"
            done = subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=False)
            return f"{self.needs} {done.stdout.strip()} (Debian)"
        path = [entry for entry in self.path().split(os.pathsep) if entry] + sys.path
        found = []
        for name in self.versions:
            known = next(iter(importlib.metadata.distributions(name=name, path=path)), None)
            found.append(f"{name} {known.version if known else '?'}")
        return ", ".join(found) or f"Python {sys.version.split()[0]}"


def _data(relative: str) -> Path:
    """A data folder beside the packages."""
    entries = (Path(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry)
    return next((entry / relative for entry in entries if (entry / relative).is_dir()), Path(relative))


#: Apps that no package has as a file. Each is short, and does what the documentation of its toolkit says.
SCRIPTS = {
    "dpg_demo.py": """
import dearpygui.dearpygui as dpg
import dearpygui.demo as demo

dpg.create_context()
dpg.create_viewport(title='Custom Title', width=600, height=600)
demo.show_demo()
dpg.setup_dearpygui()
dpg.show_viewport()
dpg.start_dearpygui()
dpg.destroy_context()
""",
    "qasync_app.py": """
import asyncio
import sys
from PySide6.QtWidgets import QApplication, QLabel
from qasync import QEventLoop

app = QApplication(sys.argv)
loop = QEventLoop(app)
asyncio.set_event_loop(loop)
app_close_event = asyncio.Event()
app.aboutToQuit.connect(app_close_event.set)
label = QLabel("0")
label.show()

async def count():
    while not app_close_event.is_set():
        label.setText(str(int(label.text()) + 1))
        await asyncio.sleep(1)

with loop:
    task = loop.create_task(count())
    loop.run_until_complete(app_close_event.wait())
""",
}


def _qt_lib(name: str) -> dict[str, str]:
    return {"PYQTGRAPH_QT_LIB": name}


def _pygame(example: str, elsewhere: str = "") -> App:
    kind = "pygame-ce" if elsewhere else "pygame"
    return App(
        f"{kind}: {example}",
        "pygame",
        f"{{python}} -m pygame.examples.{example}",
        versions=(kind,),
        elsewhere=elsewhere,
    )


#: pyglet 2.1 cannot close its last window under Xvfb.
PYGLET_FAILS = "ctypes.ArgumentError: argument 2"


def _imgui_backend(name: str, *versions: str) -> App:
    return App(
        f"imgui-bundle: {name} backend",
        {"glfw3": "glfw"}.get(name, name),
        f"{{python}} -m imgui_bundle.python_backends.examples.example_python_backend_{name}",
        elsewhere="imgui_backends",
        versions=("imgui-bundle", *versions),
        quit_fails=PYGLET_FAILS if name == "pyglet" else "",
        optional="a display with 8 samples a pixel" if name == "sdl2" else "",
    )


def _pyqtgraph(binding: str, distribution: str) -> App:
    # Its Plotting moves all the time, of which PySide6 6.12 aborts by itself within a minute, before Python 3.12.
    example = "LogPlotTest" if binding == "PySide6" else "Plotting"
    return App(
        f"{binding}: pyqtgraph's {example}",
        binding,
        f"{{python}} -m pyqtgraph.examples.{example}",
        "qt",
        HEARD,
        dies=False,
        quit="qt close",
        environment=_qt_lib(binding),
        versions=(distribution, "pyqtgraph"),
    )


APPS = [
    App(
        "imgui-bundle: its demo",
        "imgui_bundle",
        "{python} -m imgui_bundle.demos_python.demo_imgui_bundle",
        versions=("imgui-bundle",),
    ),
    App(
        "imgui-bundle: butterfly",
        "imgui_bundle",
        "{python} -m imgui_bundle.demos_python.demos_immapp.haiku_butterfly",
        versions=("imgui-bundle",),
    ),
    _imgui_backend("glfw3", "glfw"),
    _imgui_backend("pygame", "pygame"),
    _imgui_backend("pyglet", "pyglet"),
    _imgui_backend("sdl2", "pysdl2-dll"),
    App(
        "PySide6: tetrix",
        "PySide6",
        "{python} {pyside6}/widgets/widgets/tetrix/tetrix.py",
        "qt",
        HEARD,
        dies=False,
        quit="qt close",
        versions=("PySide6-Examples",),
    ),
    _pyqtgraph("PySide6", "PySide6-Essentials"),
    _pyqtgraph("PyQt6", "PyQt6"),
    _pyqtgraph("PyQt5", "PyQt5"),
    App(
        "qasync: a label",
        "qasync",
        "{python} {scripts}/qasync_app.py",
        "qt",
        HEARD,
        dies=False,
        quit="qt close",
        environment={"QT_API": "pyside6"},
        versions=("qasync", "PySide6-Essentials"),
    ),
    App("Tk: IDLE", "idlelib", "{python} -m idlelib -n", "tk", HEARD, dies=False),
    App("Tk: turtle's demo", "turtledemo", "{python} -m turtledemo", "tk", HEARD, dies=False),
    App("Tk: Thonny", "thonny", "{python} -m thonny", "tk", HEARD, dies=False, versions=("thonny",)),
    _pygame("chimp"),
    _pygame("stars"),
    _pygame("eventlist"),
    _pygame("chimp", "pygame_ce"),
    _pygame("stars", "pygame_ce"),
    App(
        "Dear PyGui: its demo",
        "dearpygui",
        "{python} {scripts}/dpg_demo.py",
        "dearpygui",
        HEARD,
        dies=False,
        versions=("dearpygui",),
    ),
    App("Kivy: showcase", "kivy", "{python} {kivy}/demo/showcase/main.py", versions=("Kivy",)),
    App("Kivy: pong", "kivy", "{python} {kivy}/tutorials/pong/main.py", versions=("Kivy",)),
    App(
        "pyglet: hello world",
        "pyglet",
        "{python} {pyglet}/examples/hello_world.py",
        quit_fails=PYGLET_FAILS,
        versions=("pyglet",),
    ),
    App(
        "arcade: starting template",
        "arcade",
        "{python} -m arcade.examples.starting_template",
        versions=("arcade",),
    ),
    App(
        "arcade: bouncing rectangle",
        "arcade",
        "{python} -m arcade.examples.bouncing_rectangle",
        versions=("arcade",),
    ),
    App(
        "asyncio: aiosmtpd",
        "aiosmtpd",
        "{python} -m aiosmtpd --nosetuid --listen 127.0.0.1:0",
        "asyncio",
        HEARD,
        dies=False,
        quit="interrupt",
        versions=("aiosmtpd",),
    ),
    App("plain: http.server", "http", "{python} -m http.server 0", quit="interrupt", seen=False),
    App(
        "wx: PyCrust",
        "wx",
        "/usr/bin/python3 -m wx.py.PyCrust",
        "wx",
        HEARD,
        dies=False,
        optional="Debian's python3-wxgtk4.0",
    ),
    App(
        "GTK: Meld",
        "gi",
        "/usr/bin/python3 /usr/bin/meld",
        "gtk",
        HEARD,
        dies=False,
        optional="Debian's meld",
    ),
]
