"""On the path of an app under trial, watched or not: notes when its loop first runs; fails or closes on request.

It writes into the folder that ``LIVEGUI_STATE_DIR`` names, and reads requests from there. Only the first process
whose loop runs does so, because an app may start others.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

#: Without it, the app is not under trial.
FOLDER = os.environ.get("LIVEGUI_STATE_DIR", "")
#: Holds the wall time at which the loop first ran, and the processor time that the process had used by then.
FIRST = "first"
#: Holds what to do.
REQUEST = "request"
#: Holds the wall time at which the exception was raised, as early as anything can know of it.
RAISED = "raised"


class Boom(RuntimeError):
    """The exception that an app under trial fails with."""

    def __init__(self) -> None:
        super().__init__("boom")
        write(RAISED, str(time.time()))


def boom(*_arguments: object) -> None:
    """A callback that fails."""
    raise Boom


def write(name: str, text: str, *, once: bool = False) -> bool:
    """Write a file of the folder whole. Returns False if it may be written only once, and was."""
    path = os.path.join(FOLDER, name)
    if once and os.path.exists(path):
        return False
    with open(f"{path}.draft", "w") as file:
        file.write(text)
    os.replace(f"{path}.draft", path)
    return True


# --- when its loop first runs ---

_noted = False


def note_first() -> None:
    """The loop runs. Only the first call counts, and only on the main thread."""
    global _noted
    if _noted or threading.current_thread() is not threading.main_thread():
        return
    _noted = True
    if write(FIRST, f"{time.time()} {time.process_time()}", once=True):
        threading.Thread(target=wait_for_requests, daemon=True).start()


def before(owner: Any, name: str, act: Callable[..., object], *, static: bool = False) -> None:
    """Call ``act`` with the arguments before each call of ``owner.name``."""
    original = getattr(owner, name, None)
    if original is None:
        return

    def called(*arguments: Any, **options: Any) -> Any:
        arguments = act(*arguments, **options) or arguments  # type: ignore[assignment]  # what to call it with
        return original(*arguments, **options)

    setattr(owner, name, staticmethod(called) if static else called)


def noting(callback: Callable[[], object] | None) -> Callable[[], None]:
    """The same callback of each frame; the first is noted."""

    def called() -> None:
        note_first()
        if callback is not None:
            callback()

    return called


def frames(module: Any, *names: str) -> None:
    """The loop is the app's own, and calls one of these once a frame."""
    for name in names:
        before(module, name, lambda *_, **__: note_first())


def qt(module: Any) -> None:
    """PySide and PyQt."""
    binding = module.__name__.partition(".")[0]

    def act(*_arguments: object) -> None:
        core: Any = sys.modules[f"{binding}.QtCore"]
        core.QTimer.singleShot(0, note_first)
        _askable["qt"] = _qt_receiver(core, module)

    for name in ("exec", "exec_"):
        if hasattr(module.QApplication, name):
            before(module.QApplication, name, act, static=True)


def tk(module: Any) -> None:
    """Tk's loop."""

    def mainloop(*arguments: Any) -> None:
        root = arguments[0] if arguments and hasattr(arguments[0], "after") else module._default_root
        root.after(0, note_first)

    before(module.Misc, "mainloop", mainloop)
    before(module, "mainloop", mainloop)


def glib(module: Any) -> None:
    """GTK, whatever runs GLib's loop."""

    def act(*_arguments: object) -> None:
        sys.modules["gi.repository.GLib"].timeout_add(0, note_first)

    for name, function in (("MainLoop", "run"), ("Application", "run")):
        if hasattr(module, name):
            before(getattr(module, name), function, act)


def imgui_bundle(module: Any) -> None:
    """hello_imgui and immapp, and loops of the app's own."""

    def act(*arguments: Any, **options: Any) -> Any:
        names = ("runner_params", "simple_params", "gui_function")
        given = arguments[0] if arguments else next(options[name] for name in names if name in options)
        if callable(given):
            return (noting(given), *arguments[1:])
        given.callbacks.pre_new_frame = noting(given.callbacks.pre_new_frame)
        return None

    before(module.hello_imgui, "run", act)
    before(module.immapp, "run", act)
    before(module.immapp, "run_with_markdown", act)
    frames(module.imgui, "new_frame")


def kivy(module: Any) -> None:
    """Kivy's clock."""

    def act(*_arguments: object) -> None:
        from kivy.clock import Clock

        Clock.schedule_once(lambda _: note_first(), 0)

    before(module.EventLoopBase, "mainloop", act)


def pyglet(module: Any) -> None:
    """pyglet's clock."""

    def act(*_arguments: object) -> None:
        from pyglet import clock

        clock.schedule_once(lambda _: note_first(), 0)

    before(module.EventLoop, "run", act)


def asyncio(module: Any) -> None:
    """An asyncio loop on the main thread."""

    def act(loop: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            loop.call_soon(note_first)
            _askable["asyncio"] = loop

    before(module.BaseEventLoop, "run_forever", act)


def pygame(module: Any) -> None:
    """What shows a frame, or takes events."""
    frames(module.display, "flip", "update")
    frames(module.event, "get", "poll", "wait", "pump", "peek", "clear")


PROBES: dict[str, Callable[[Any], object]] = {
    **{f"{binding}.QtWidgets": qt for binding in ("PyQt5", "PyQt6", "PySide6")},
    "asyncio.base_events": asyncio,
    "dearpygui._dearpygui": lambda module: frames(module, "render_dearpygui_frame"),
    "gi.overrides.GLib": glib,
    "gi.overrides.Gio": glib,
    "glfw": lambda module: frames(module, "poll_events", "wait_events", "wait_events_timeout"),
    "imgui_bundle": imgui_bundle,
    "kivy.base": kivy,
    "pygame": pygame,
    "pyglet.app": pyglet,
    "socketserver": lambda module: frames(module.BaseServer, "serve_forever"),
    "tkinter": tk,
    "wx.core": lambda module: before(module.App, "MainLoop", lambda _: module.CallAfter(note_first)),
}


class Finder:
    """Notices when one of these modules was executed."""

    def __init__(self) -> None:
        self._looking: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The spec that the other finders find, with a loader that tells."""
        if name not in PROBES or name in self._looking:
            return None
        self._looking.add(name)
        try:
            others = (getattr(finder, "find_spec", None) for finder in sys.meta_path if finder is not self)
            specs = (find(name, path, target) for find in others if find is not None)
            spec = next((spec for spec in specs if spec is not None), None)
            if spec is not None and spec.loader is not None:
                spec.loader = Loader(spec.loader)
            return spec
        finally:
            self._looking.discard(name)


class Loader:
    """Loads as the other does, and then lets the probe look at the module."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        """As the other loader."""
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        """As the other loader, and the probe."""
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        PROBES[module.__spec__.name](module)


# --- what it is asked for ---

#: What reaches the loop from another thread.
_askable: dict[str, Any] = {}


def _qt_receiver(core: Any, widgets: Any) -> Any:
    """A QObject of the GUI's thread, whose slot does what it is asked for."""
    signal = getattr(core, "Signal", None) or core.pyqtSignal

    class Receiver(core.QObject):  # type: ignore[misc]  # known only at run time
        asked = signal(str)

        def __init__(self) -> None:
            super().__init__()
            self.asked.connect(self.do)

        def do(self, what: str) -> None:
            if what == "close":
                widgets.QApplication.closeAllWindows()
            else:
                boom()

    return Receiver()


def fail_in_tk() -> None:
    """An exception in a callback."""
    import gc
    import tkinter

    for root in [thing for thing in gc.get_objects() if isinstance(thing, tkinter.Tk)]:
        try:
            root.after(0, boom)
        except RuntimeError:  # not the one whose loop it is
            pass


def fail_in_dearpygui() -> None:
    """An exception in a callback."""
    dpg: Any = sys.modules["dearpygui.dearpygui"]
    dpg.set_frame_callback(dpg.get_frame_count() + 2, boom)


def fail_anywhere() -> None:
    """An exception wherever the main thread runs Python code."""
    import ctypes

    ident = ctypes.c_ulong(threading.main_thread().ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(Boom))


ACTIONS: dict[str, Callable[[], object]] = {
    "raise": fail_anywhere,
    "tk": fail_in_tk,
    "qt": lambda: _askable["qt"].asked.emit("fail"),
    "qt close": lambda: _askable["qt"].asked.emit("close"),
    "dearpygui": fail_in_dearpygui,
    "gtk": lambda: sys.modules["gi.repository.GLib"].idle_add(boom),
    "wx": lambda: sys.modules["wx"].CallAfter(boom),
    "asyncio": lambda: _askable["asyncio"].call_soon_threadsafe(boom),
}


def wait_for_requests() -> None:
    """Do what the files ask for, one after the other."""
    path = os.path.join(FOLDER, REQUEST)
    while True:
        while not os.path.exists(path):
            time.sleep(0.01)
        with open(path) as file:
            what = file.read()
        os.remove(path)
        ACTIONS[what]()


if FOLDER:
    sys.meta_path.insert(0, Finder())
