"""What runs at the start of a Python that is to be watched without being wired: it waits for toolkits.

It imports nothing that Python has not imported by then, and patches nothing that was not imported. All else
is for :mod:`livegui._inject`, which is loaded with the first toolkit.
"""

import _thread
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    from livegui._inject import Injection

#: Modules with a seam, and our module that knows it.
SEAMS = {
    "asyncio.base_events": "toolkits.asyncio",
    "concurrent.futures.process": "_pools",
    "concurrent.futures.thread": "_pools",
    "dearpygui._dearpygui": "toolkits.dearpygui",
    "dearpygui.dearpygui": "toolkits.dearpygui",
    "gi.overrides.GLib": "toolkits.gtk",
    "gi.overrides.Gio": "toolkits.gtk",
    "gi.overrides.Gtk": "toolkits.gtk",
    "glfw": "toolkits.glfw",
    "imgui_bundle": "toolkits.imgui_bundle",
    "kivy.base": "toolkits.kivy",
    "pygame": "toolkits.pygame",
    "pyglet.app": "toolkits.pyglet",
    "qasync": "toolkits.qasync",
    "socketserver": "_servers",
    "threading": "",
    "tkinter": "toolkits.tk",
    "uvicorn.server": "_servers",
    "wx.core": "toolkits.wx",
    **{
        f"{binding}.{part}": "toolkits.qt"
        for binding in ("PyQt5", "PyQt6", "PySide2", "PySide6")
        for part in ("QtCore", "QtGui", "QtWidgets")
    },
}
#: These are for no GUI toolkits: that one is imported does not say that there will be a loop of theirs.
NO_GUI = ("", "_pools", "_servers", "toolkits.asyncio", "toolkits.qasync")
#: Command lines of Pythons that ``multiprocessing`` starts: never the app.
_HELPERS = ("--multiprocessing-fork", "from multiprocessing.")
#: An app may start a Python a second before it has a loop.
_LOG_BYTES = 64 * 1024
INJECT = "LIVEGUI_INJECT"
PATH = "LIVEGUI_INJECT_PATH"
NAME = "LIVEGUI_INJECT_NAME"
EXPLAIN = "LIVEGUI_INJECT_EXPLAIN"

_finder: "Finder | None" = None


def arm() -> None:
    """Watch the imports of this process. A second call does nothing."""
    global _finder  # noqa: PLW0603 -- one a process
    if _finder is not None:
        return
    leave_path()
    mode = os.environ.get(INJECT)
    if not mode or os.environ.get("LIVEGUI") == "0":
        return
    if any(word.startswith(_HELPERS) for word in getattr(sys, "orig_argv", ())):
        clean_environment()
        return
    _finder = Finder(mode)
    sys.meta_path.insert(0, _finder)
    note("waits for a main loop")
    for name in tuple(SEAMS):
        if name in sys.modules:
            _finder.imported(name, sys.modules[name])
    if os.environ.get("LIVEGUI_PARENT"):
        _finder.injection().look_for_plain_loop()


def disarm() -> None:
    """Leave the app alone."""
    global _finder
    finder, _finder = _finder, None
    if finder is not None:
        finder.remove()
        clean_environment()


def started_by_hand() -> None:
    """The app calls ``livegui.start()``."""
    if _finder is not None and _finder.mode == "auto":
        _finder.injection().give_way()
        disarm()


def leave_path() -> None:
    """Take the folder of ours off ``sys.path``."""
    folder = os.environ.get(PATH)
    if folder:
        sys.path[:] = [entry for entry in sys.path if entry != folder]
        sys.path_importer_cache.pop(folder, None)


def clean_environment() -> dict[str, str]:
    """Take out of the environment what makes a Python watch. Returns what was there."""
    before = {name: os.environ[name] for name in (INJECT, PATH, NAME, EXPLAIN) if name in os.environ}
    folder = before.get(PATH)
    path = os.environ.get("PYTHONPATH")
    if folder and path is not None:
        before["PYTHONPATH"] = path
        left = [entry for entry in path.split(os.pathsep) if entry != folder]
        if left:
            os.environ["PYTHONPATH"] = os.pathsep.join(left)
        else:
            del os.environ["PYTHONPATH"]
    for name in (INJECT, PATH, NAME, EXPLAIN):
        os.environ.pop(name, None)
    return before


def explain(text: str) -> None:
    """Say something to whoever asked for that."""
    if _finder is not None and _finder.explains and sys.stderr is not None:
        try:  # noqa: SIM105 -- contextlib may be imported by nobody yet
            sys.stderr.write(f"livegui: {text}\n")
        except Exception:  # noqa: BLE001 -- it may be an object of the app's own
            pass


def note(text: str) -> None:
    """Say what becomes of this process: to whoever asked for it, and to the test side."""
    explain(text)
    line = (
        f"pid {os.getpid()}, Python {sys.version_info[0]}.{sys.version_info[1]} ({sys.executable}): {text}\n"
    )
    folder = os.environ.get("LIVEGUI_RUN_DIR")
    if folder:
        try:
            path = os.path.join(folder, "injection.log")  # noqa: PTH118
            with open(path, "a", encoding="utf-8", errors="backslashreplace") as log:  # noqa: PTH123
                if log.tell() < _LOG_BYTES:
                    log.write(line)
        except (OSError, ValueError):
            pass


class Finder:
    """Hears of modules just after they were executed; finds none itself."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.explains = bool(os.environ.get(EXPLAIN))
        self.main_thread = _thread.get_ident()
        self.seen: set[str] = set()
        self._looking: set[str] = set()
        self._injection: Injection | None = None

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Have the others find it, and stand between its loader and us."""
        if name not in SEAMS or name in self._looking:
            return None
        self._looking.add(name)
        try:
            for finder in tuple(sys.meta_path):
                # One of an old kind has none, and is left out as Python leaves it out.
                find_spec: Any = None if finder is self else getattr(finder, "find_spec", None)
                spec: ModuleSpec | None = None if find_spec is None else find_spec(name, path, target)
                if spec is not None:
                    if hasattr(spec.loader, "exec_module"):
                        spec.loader = _Loader(name, spec.loader, self)  # type: ignore[assignment]  # a loader in the place of one
                    return spec
            return None
        finally:
            self._looking.discard(name)

    def imported(self, name: str, module: "ModuleType") -> None:
        """A module with a seam was executed. Never raises.

        Args:
            name: what it was imported as: it may call itself by another name.
            module: the module, or whatever it has put in its place.
        """
        if name in self.seen:
            return
        self.seen.add(name)
        try:
            self.injection().patch(SEAMS[name], module)
            if SEAMS[name] not in NO_GUI:
                note(f"imported {name}")
        except Exception as error:  # noqa: BLE001 -- the app is to run, whatever became of us
            note(f"{name} is not watched: {type(error).__name__}: {error}")

    def injection(self) -> "Injection":
        """What patches, loaded when it is first needed."""
        if self._injection is None:
            from livegui._inject import Injection  # noqa: PLC0415

            self._injection = Injection(self)
        return self._injection

    def remove(self) -> None:
        """Take everything back."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        if self._injection is not None:
            self._injection.remove()


class _Loader:
    """Stands in for a loader while its module is loaded, and then leaves no trace."""

    def __init__(self, name: str, loader: "Any", finder: Finder) -> None:
        self._name = name
        self._loader = loader
        self._finder = finder

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._loader, name)

    def create_module(self, spec: "ModuleSpec") -> "ModuleType | None":
        create: Any = getattr(self._loader, "create_module", None)
        return None if create is None else create(spec)

    def exec_module(self, module: "ModuleType") -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        # A module may put another one in its place.
        self._finder.imported(self._name, sys.modules.get(self._name, module))
