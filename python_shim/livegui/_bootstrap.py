"""Runs at the start of a Python in which livegui may watch an unchanged app. It waits for toolkits.

It imports only what Python has already imported by then, and patches only what is imported later.
:mod:`livegui._inject` does the rest. It is loaded with the first toolkit.
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

#: Modules that can be patched, and our module that does so.
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
    "pyglet.clock": "toolkits.pyglet",
    "qasync": "toolkits.qasync",
    "socketserver": "_servers",
    "threading": "",
    "tkinter": "toolkits.tk",
    "tkinter.commondialog": "toolkits.tk",
    "uvicorn.server": "_servers",
    "wx.core": "toolkits.wx",
    **{
        f"{binding}.{part}": "toolkits.qt"
        for binding in ("PyQt5", "PyQt6", "PySide2", "PySide6")
        for part in ("QtCore", "QtGui", "QtWidgets")
    },
}
#: These belong to no GUI toolkit. That one is imported does not mean that its loop will run.
NO_GUI = ("", "_pools", "_servers", "toolkits.asyncio", "toolkits.qasync")
#: Command lines of the Pythons that ``multiprocessing`` starts. They are never the app.
_HELPERS = ("--multiprocessing-fork", "from multiprocessing.")
#: What a Python notes that waits for a main loop.
WAITS = "waits for a main loop"
#: The size limit of the log, because an app without a loop may start a Python every second.
_LOG_BYTES = 64 * 1024
INJECT = "LIVEGUI_INJECT"
PATH = "LIVEGUI_INJECT_PATH"
NAME = "LIVEGUI_INJECT_NAME"
EXPLAIN = "LIVEGUI_INJECT_EXPLAIN"
LIBRARY_POOLS = "LIVEGUI_INJECT_LIBRARY_POOLS"
PID = "LIVEGUI_INJECT_PID"
#: Marks :data:`PID`, for the children of a Python that ``livegui exec`` has started. They are not its app.
_IS_PYTHON = ",python"
#: The variables that make a Python watch.
_OURS = (INJECT, PATH, NAME, EXPLAIN, LIBRARY_POOLS, PID)

_finder: "Finder | None" = None


def arm() -> None:
    """Watch the imports of this process. A second call does nothing."""
    global _finder  # noqa: PLW0603 -- one in a process
    if _finder is not None:
        return
    leave_path()
    mode = os.environ.get(INJECT)
    if not mode:
        return
    if os.environ.get("LIVEGUI") == "0":
        clean_environment()
        _forget()
        return
    if any(word.startswith(_HELPERS) for word in getattr(sys, "orig_argv", ())):
        clean_environment()
        return
    _finder = Finder(mode)
    sys.meta_path.insert(0, _finder)
    note(WAITS)
    for name in tuple(SEAMS):
        if name in sys.modules:
            _finder.imported(name, sys.modules[name])
    if os.environ.get("LIVEGUI_PARENT") or _is_what_exec_runs():
        _finder.injection().look_for_plain_loop()


def _is_what_exec_runs() -> bool:
    """Whether ``livegui exec`` has turned into this process, or on Windows has started it."""
    own_pid = os.getpid() if os.name == "posix" else os.getppid()
    return os.environ.get(PID, "").partition(",")[0] == str(own_pid)


def _is_first_python() -> bool:
    """Whether this is the app of a ``livegui exec``, as far as can be told, and not a child of that app.

    A launcher that is no Python may come before it. Its own children find a mark.
    """
    pid = os.environ.get(PID)
    if not pid:
        return False
    is_first = _is_what_exec_runs() or not pid.endswith(_IS_PYTHON)
    os.environ[PID] = pid.partition(",")[0] + _IS_PYTHON
    return is_first


def _forget() -> None:
    """Remove livegui's modules, unless somebody else needs them."""
    ours = (__name__, "livegui", "livegui_startup")
    if not any(name.startswith("livegui.") and name not in ours for name in sys.modules):
        for name in ours:
            sys.modules.pop(name, None)


def disarm() -> None:
    """Leave the app alone."""
    global _finder
    finder, _finder = _finder, None
    if finder is not None:
        finder.remove()
        clean_environment()


def started_by_hand() -> None:
    """The app calls ``livegui.start()`` itself."""
    if _finder is not None and _finder.mode == "auto" and _finder.injection().give_way():
        disarm()


def leave_path() -> None:
    """Remove livegui's folder from ``sys.path``."""
    folder = os.environ.get(PATH)
    if folder:
        sys.path[:] = [entry for entry in sys.path if entry != folder]
        sys.path_importer_cache.pop(folder, None)


def clean_environment() -> dict[str, str]:
    """Remove from the environment what makes a Python watch. Returns the removed variables."""
    before = {name: os.environ[name] for name in _OURS if name in os.environ}
    folder = before.get(PATH)
    path = os.environ.get("PYTHONPATH")
    if folder and path is not None:
        before["PYTHONPATH"] = path
        left = [entry for entry in path.split(os.pathsep) if entry != folder]
        if left:
            os.environ["PYTHONPATH"] = os.pathsep.join(left)
        else:
            del os.environ["PYTHONPATH"]
    for name in _OURS:
        os.environ.pop(name, None)
    return before


def explain(text: str) -> None:
    """Print something, if the user asked for explanations."""
    if _finder is not None and _finder.explains:
        _say(text)


def _say(text: str) -> None:
    try:
        if sys.stderr is not None:
            sys.stderr.write(f"livegui: {text}\n")
    except Exception:  # noqa: BLE001 -- the app may have replaced it by its own object
        pass


def not_watched(why: str) -> None:
    """Record that the app is not watched, and say so to whoever has started it with ``livegui exec``."""
    note(f"not watched: {why}")
    if _finder is not None and _finder.is_app_of_exec and not _finder.explains:
        _finder.is_app_of_exec = False
        _say(f"not watched: {why}")


def note(text: str) -> None:
    """Record what happens to this process: for the user who asked for it, and for the test side."""
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
    """Notices modules just after they were executed. It finds no modules itself."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.explains = bool(os.environ.get(EXPLAIN))
        #: Whether this process must say on standard error that it is not watched.
        self.is_app_of_exec = _is_first_python()
        self.main_thread = _thread.get_ident()
        self.seen: set[str] = set()
        self._looking: set[str] = set()
        self._injection: Injection | None = None

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Let the other finders find the module, and wrap its loader."""
        if name not in SEAMS or name in self._looking:
            return None
        self._looking.add(name)
        try:
            for finder in tuple(sys.meta_path):
                # An old kind of finder has no find_spec(), and is skipped, as Python skips it.
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
        """A patchable module was executed. Never raises.

        Args:
            name: the name under which it was imported, which may differ from its own.
            module: the module, or what it has replaced itself by.
        """
        is_again = name in self.seen  # it was removed from sys.modules, or is reloaded
        self.seen.add(name)
        try:
            self.injection().patch(SEAMS[name], module, is_again=is_again)
            if SEAMS[name] not in NO_GUI:
                note(f"imported {name}")
        except Exception as error:  # noqa: BLE001 -- the app must run, whatever happens to livegui
            note(f"{name} is not watched: {type(error).__name__}: {error}")

    def injection(self) -> "Injection":
        """The object that patches. It is loaded when it is first needed."""
        if self._injection is None:
            from livegui._inject import Injection  # noqa: PLC0415

            self._injection = Injection(self)
        return self._injection

    def remove(self) -> None:
        """Undo everything."""
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
        # A module may replace itself by another.
        self._finder.imported(self._name, sys.modules.get(self._name, module))
