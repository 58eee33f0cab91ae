"""Qt with PyQt6, PySide6, PyQt5 or PySide2: one call after the ``QApplication`` is made.

::

    from livegui.toolkits import qt as live_qt

    app = QApplication(sys.argv)
    live_qt.install(agent)
    with agent.main_loop():
        app.exec()
        agent.stopping()
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any

from livegui._crash import describe, format_traceback
from livegui.toolkits._common import ExceptHook, Frames, Pictures, hear_exits, wrap

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from livegui import Agent
    from livegui._inject import Injection
    from livegui._loops import Pump

__all__ = ["install", "patch"]

_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")
#: The functions that show a dialog and wait for it, by class. They call no ``exec()`` that Python sees.
_ASKS = {
    "QColorDialog": ("getColor",),
    "QFileDialog": tuple(
        f"get{what}"
        for what in (
            *("OpenFileName", "OpenFileNames", "SaveFileName", "ExistingDirectory"),
            *("OpenFileUrl", "OpenFileUrls", "SaveFileUrl", "ExistingDirectoryUrl"),
        )
    ),
    "QFontDialog": ("getFont",),
    "QInputDialog": ("getText", "getMultiLineText", "getItem", "getInt", "getDouble"),
    "QMessageBox": ("about", "aboutQt", "critical", "information", "question", "warning"),
}
#: How many seconds the test side has to learn the reason before PyQt ends the process.
_TOLD_WITHIN_S = 0.05


def install(agent: Agent, *, interval_ms: int = 20) -> None:
    """Watch the Qt application of this process; call this on its thread.

    A timer beats. What slots and virtual methods raise is recorded, and printed as before. If PyQt would end
    the process because of an exception (it does so if the app has no ``sys.excepthook`` of its own), it
    still does. A ``sys.exit()`` in a slot, for which Qt ends the process at once, is reported with its place
    in the code. Open dialogs, popups and nested event loops are reported.

    On Linux and macOS, Qt's critical messages are recorded, and a fatal one is the reason of the end that
    follows. They are printed as before, also by a handler of the app's.

    Args:
        agent: the agent to report to.
        interval_ms: milliseconds between two beats.

    Raises:
        RuntimeError: no Qt binding is imported, or there is no application yet.
    """
    _, _, app = _application()
    _beat_in_application(agent, interval_ms)
    app.aboutToQuit.connect(agent.stopping)
    _hear(agent)


def _application() -> tuple[str, Any, Any]:
    """The binding's name, its ``QtCore``, and the application."""
    binding = next((name for name in _BINDINGS if f"{name}.QtCore" in sys.modules), None)
    if binding is None:
        raise RuntimeError(f"import one of {', '.join(_BINDINGS)} before install()")
    core: Any = sys.modules[f"{binding}.QtCore"]
    app = core.QCoreApplication.instance()
    if app is None:
        raise RuntimeError("make the QApplication before install()")
    return binding, core, app


def _beat_in_application(agent: Agent, interval_ms: int = 20) -> None:
    binding, core, app = _application()
    timer = core.QTimer(app)
    frames = Frames(agent, _left_open(agent, binding, core))
    pictures = Pictures(agent, _grab(binding))

    def on_timeout() -> None:  # no bound method, because Qt keeps only weak references to those
        frames.beat()
        pictures.take_if_asked()

    timer.timeout.connect(on_timeout)
    timer.start(interval_ms)
    core.QTimer.singleShot(0, on_timeout)  # what the app paints first may take longer than the interval
    # A QApplication that is deleted deletes its timer too.
    agent._on_stop.append(lambda: _stop(core, timer))


def _hear(agent: Agent) -> None:
    """Record what slots raise, exits, and Qt's messages."""
    binding, core, _ = _application()
    hook = ExceptHook(agent, "thread", lambda error: _abort_as_pyqt(agent, binding, core, hook, error))
    hear_exits(agent)
    if agent._native.hear_qt(core.__file__) and not _is_ours(core.qInstallMessageHandler):
        wrap(agent, core, "qInstallMessageHandler", _below_ours)


class _Wire:
    """Prepares an application, once."""

    def __init__(self, injection: Injection) -> None:
        self._injection = injection

    @property
    def key(self) -> Any:
        """The application."""
        return _application()[2]

    def __call__(self, agent: Agent) -> None:
        # Another exec() may follow the first, so aboutToQuit announces nothing.
        _beat_in_application(agent)
        self._injection.wire_once(agent, _hear)


def patch(injection: Injection, module: ModuleType) -> None:
    """Install the agent in an unchanged app when it runs one of Qt's loops, or keeps processing events."""
    binding = module.__name__.partition(".")[0]
    if binding.startswith("PyQt"):  # it ends the process for an exception in a slot unless there is a hook
        injection.leave_excepthook(for_good=True)
    pump = injection.pump(f"{binding}'s processEvents()")
    if hasattr(module, "qInstallMessageHandler"):
        injection.wrap(module, "qInstallMessageHandler", _below_ours, native=True)
    for class_name in ("QCoreApplication", "QGuiApplication", "QApplication"):
        for cls, name in _own(module, class_name, "exec", "exec_"):
            injection.wrap(cls, name, lambda run: _exec(injection, binding, run), native=True, static=True)
        for cls, name in _own(module, class_name, "processEvents"):
            injection.wrap(cls, name, lambda run: _process(injection, pump, run), native=True, static=True)
    for class_name in ("QDialog", "QEventLoop"):
        what = f"{binding}'s {class_name}.exec()"
        for cls, name in _own(module, class_name, "exec", "exec_"):
            injection.wrap(cls, name, lambda run, what=what: _exec_for_now(injection, what, run), native=True)  # type: ignore[misc]
    for class_name, names in _ASKS.items():
        for cls, name in _own(module, class_name, *names):
            what = f"{binding}'s {class_name}.{name}()"
            injection.wrap(
                cls,
                name,
                lambda run, what=what: _exec_for_now(injection, what, run),  # type: ignore[misc]
                native=True,
                static=True,
            )
    for cls, name in _own(module, "QEventLoop", "processEvents"):
        injection.wrap(cls, name, lambda run: _process(injection, pump, run), native=True)


def _own(module: ModuleType, class_name: str, *names: str) -> list[tuple[Any, str]]:
    """Those of a class's functions that it does not inherit, if the class is of this module."""
    cls: Any = getattr(module, class_name, None)  # PySide6 creates its classes when they are first used
    if cls is None or cls.__module__ != module.__name__:
        return []
    return [(cls, name) for name in names if name in vars(cls)]


def _below_ours(install: Callable[..., Any]) -> Callable[..., Any]:
    """Keeps the agent's handler above the app's. Meanwhile Qt finds the app's earlier one where it was."""

    def qInstallMessageHandler(*arguments: Any, **options: Any) -> Any:  # noqa: N802 -- Qt's name
        native: Any = sys.modules.get("livegui._livegui")  # not there before there is an agent
        if native is None:
            return install(*arguments, **options)
        native.qt_handler_may_change()
        try:
            return install(*arguments, **options)
        finally:
            native.qt_handler_is_changed()

    return qInstallMessageHandler


def _is_ours(function: Any) -> bool:
    return getattr(function, "__module__", None) == __name__


def _exec(injection: Injection, binding: str, run: Callable[..., Any]) -> Callable[..., Any]:
    def exec(*arguments: Any) -> Any:
        with injection.loop(f"{binding}'s exec()", _Wire(injection)):
            return _as_slot(run, arguments)

    return exec


def _exec_for_now(injection: Injection, what: str, run: Callable[..., Any]) -> Callable[..., Any]:
    def exec(*arguments: Any, **options: Any) -> Any:
        with injection.loop(what, _Wire(injection), may_come_back=True):
            return _as_slot(run, arguments, **options)

    return exec


def _process(injection: Injection, pump: Pump, run: Callable[..., Any]) -> Callable[..., Any]:
    def wire(agent: Agent) -> None:
        injection.wire_once(agent, _Wire(injection))

    def processEvents(*arguments: Any, **options: Any) -> Any:  # noqa: N802 -- Qt's name
        pump.turn(wire)
        return _as_slot(run, arguments, **options)

    return processEvents


def _as_slot(run: Callable[..., Any], arguments: tuple[Any, ...], **options: Any) -> Any:
    """Call one of Qt's functions, also as a signal would.

    If PyQt's own function refuses what a signal passes, as ``dialog.exec`` does with a button's ``clicked``,
    PyQt calls it again with fewer arguments. It does not do that for a function in Python, as ours is.
    """
    try:
        return run(*arguments, **options)
    except TypeError as error:
        refused = error
        if not _is_raised_here(error):
            raise
    for count in range(len(arguments) - 1, -1, -1):
        if not isinstance(arguments[count], int):  # neither the state of a button nor a value
            break
        try:
            return run(*arguments[:count], **options)
        except TypeError as error:
            if not _is_raised_here(error):
                raise
    raise refused


def _is_raised_here(error: BaseException) -> bool:
    """Whether it comes out of a function that is not Python."""
    return error.__traceback__ is not None and error.__traceback__.tb_next is None


def _stop(core: Any, timer: Any) -> None:
    with contextlib.suppress(RuntimeError):  # it is deleted
        if timer.thread() == core.QThread.currentThread():  # from any other thread Qt prints a warning
            timer.stop()


def _left_open(agent: Agent, binding: str, core: Any) -> Callable[[], list[str]]:
    # With each beat, call only functions that never return None: in PySide6 6.12 each None that a function
    # returns costs a reference to None, and Python before 3.12 ends the process once none is left.
    grabs = _Grabs(agent, is_costly=binding.startswith("PySide") and sys.version_info < (3, 12))
    is_first = True

    def look() -> list[str]:
        nonlocal is_first
        if is_first:  # PySide6 makes some hundred enumerations when it is asked for one: not before it beats
            is_first = False
            return []
        popup = getattr(core.Qt, "WindowType", core.Qt).Popup
        non_modal = getattr(core.Qt, "WindowModality", core.Qt).NonModal
        things = []
        widgets: Any = sys.modules.get(f"{binding}.QtWidgets")
        gui: Any = sys.modules.get(f"{binding}.QtGui")
        app = core.QCoreApplication.instance()
        # Don't ask Qt about windows in an application without any: it would crash.
        if widgets is not None and isinstance(app, widgets.QApplication):
            for widget in widgets.QApplication.topLevelWidgets():
                if widget.isVisible() and (widget.isModal() or widget.windowType() == popup):
                    what = "modal" if widget.isModal() else "popup"
                    title = widget.windowTitle() or widget.objectName()
                    things.append(f"{what} {type(widget).__name__} {title!r}")
            things += grabs.look(widgets.QWidget)
        if gui is not None and isinstance(app, gui.QGuiApplication):
            for window in gui.QGuiApplication.topLevelWindows():
                # The window of a widget is that widget's, which is named above.
                is_modal = window.isVisible() and window.modality() != non_modal
                if is_modal and not window.inherits("QWidgetWindow"):
                    things.append(f"modal {type(window).__name__} {window.title() or window.objectName()!r}")
        level = core.QThread.currentThread().loopLevel()
        if level > 1:
            things.append(f"a nested event loop (level {level})")
        return things

    return look


class _Grabs:
    """The widgets that alone get what the mouse or the keyboard does."""

    def __init__(self, agent: Agent, *, is_costly: bool) -> None:
        self._native = agent._native
        #: Whether each None costs a reference. Then they are asked for only when the test side asks.
        self._is_costly = is_costly

    def look(self, widget: Any) -> list[str]:
        """A name for each."""
        if self._is_costly and self._native.question is None:
            return []
        things = []
        for what, grabber in (("mouse", widget.mouseGrabber()), ("keyboard", widget.keyboardGrabber())):
            if grabber is not None:
                name = grabber.objectName() or grabber.windowTitle()
                things.append(f"a grab of the {what} by {type(grabber).__name__} {name!r}")
            elif self._is_costly:
                _restore_reference_to_none()
        return things


def _restore_reference_to_none() -> None:
    import ctypes  # noqa: PLC0415 -- most apps don't need it

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))


def _grab(binding: str) -> Callable[[str], object]:
    """Writes what the top window, or the dialog over it, shows, even where the screen cannot be captured."""

    def grab(path: str) -> None:
        app: Any = sys.modules[f"{binding}.QtWidgets"].QApplication
        shown = [widget for widget in app.topLevelWidgets() if widget.isVisible()]
        modal = [widget for widget in shown if widget.isModal()]
        active = [widget for widget in shown if widget.isActiveWindow()]
        window = (modal[::-1] + active + shown)[0]
        if not window.grab().save(path, "PNG"):
            raise OSError(path)

    return grab


def _abort_as_pyqt(agent: Agent, binding: str, core: Any, hook: ExceptHook, error: BaseException) -> bool:
    """PyQt ends the process for an exception in a slot unless there is a hook. Ours must not count."""
    if not binding.startswith("PyQt") or not hook.is_all_there_is():
        return False
    text = format_traceback(error) or describe(error)
    agent._native.main_loop_crashed(describe(error), text)
    agent.health()  # once this returns, everything reported before is known
    time.sleep(_TOLD_WITHIN_S)
    core.qFatal(text.removesuffix("\n").encode())  # PyQt takes ASCII only, if it is given a str
    return True
