"""Tk with ``tkinter``: one call after the root window is made.

::

    from livegui.toolkits import tk as live_tk

    root = tkinter.Tk()
    live_tk.install(agent, root)
    with agent.main_loop():
        root.mainloop()
        agent.stopping()
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from livegui.toolkits._common import Frames, give_back_on_stop, record_when_watched

if TYPE_CHECKING:
    import tkinter
    from collections.abc import Callable
    from types import CodeType, FrameType, ModuleType

    from livegui import Agent
    from livegui._inject import Injection

__all__ = ["install", "patch"]

#: The functions of a widget that process events until something happens.
_WAITS = ("wait_variable", "waitvar", "wait_visibility", "wait_window")


def install(agent: Agent, root: tkinter.Tk, *, interval_ms: int = 20) -> None:
    """Watch a root window; call this on its thread.

    A timer beats. What callbacks raise is recorded, and passed to the ``report_callback_exception`` that was
    set before. Grabs, such as the one of a modal dialog, and waits inside of a callback are reported.

    Args:
        agent: the agent to report to.
        root: the root window.
        interval_ms: milliseconds between two beats.
    """
    root.report_callback_exception = _Report(agent, root.report_callback_exception)
    give_back_on_stop(agent, root, _give_back)
    _start_beating(agent, root, interval_ms)


def _start_beating(agent: Agent, root: tkinter.Tk, interval_ms: int = 20) -> None:
    frames = Frames(agent, lambda: _grabs(root) + _waits(root))

    def beat() -> None:
        if not agent.stopped:
            frames.beat()
            root.tk.call("after", interval_ms, again)

    # A window that is destroyed deletes the command, but not the timer.
    again = f"catch {root.register(beat)}"
    root.tk.call("after", 1, again)


class _Report:
    """Records what callbacks raise, and then calls what was set before."""

    def __init__(self, agent: Agent, earlier: Callable[[Any, Any, Any], object]) -> None:
        self._agent = agent
        self.earlier = earlier

    def __call__(self, kind: Any, error: Any, where: Any) -> None:
        try:
            self._agent.record_exception(error)
        finally:
            self.earlier(kind, error, where)


def _give_back(root: tkinter.Tk) -> None:
    report = root.report_callback_exception
    if isinstance(report, _Report):
        root.report_callback_exception = report.earlier


def patch(injection: Injection, module: ModuleType) -> None:
    """Install the agent in an unchanged app when it enters ``mainloop()``, or keeps calling ``update()``."""
    if module.__name__ == "tkinter.commondialog":
        injection.wrap(module.Dialog, "show", lambda show: _asking(injection, show))
        return

    def mainloop(original: Callable[..., Any]) -> Callable[..., Any]:
        def mainloop(widget: tkinter.Misc, n: int = 0) -> None:
            with injection.loop("tkinter's mainloop()", _Wire(_root(widget))):
                original(widget, n)

        return mainloop

    def default_mainloop(original: Callable[..., Any]) -> Callable[..., Any]:
        def mainloop(n: int = 0) -> None:
            with injection.loop("tkinter's mainloop()", _Wire(module._default_root)):
                original(n)

        return mainloop

    updates = injection.pump("tkinter's update()")

    def update(original: Callable[..., Any]) -> Callable[..., Any]:
        def update(widget: tkinter.Misc) -> None:
            updates.turn(lambda agent: injection.wire_once(agent, _Wire(_root(widget))))
            original(widget)

        return update

    def report_exception(original: Callable[..., Any]) -> Callable[..., Any]:
        # Callbacks of every window come here, and the app may replace what it calls at any time.
        def _report_exception(widget: tkinter.Misc) -> None:
            error, root = sys.exc_info()[1], _root(widget)
            if error is not None and not isinstance(
                getattr(root, "report_callback_exception", None), _Report
            ):
                record_when_watched(injection, (error, "gui"))
            original(widget)

        return _report_exception

    injection.wrap(module.Misc, "mainloop", mainloop)
    injection.wrap(module, "mainloop", default_mainloop)
    injection.wrap(module.Misc, "update", update)
    injection.wrap(module.Misc, "_report_exception", report_exception)
    for name in _WAITS:
        injection.wrap(module.Misc, name, lambda wait, name=name: _waiting(injection, name, wait))  # type: ignore[misc]


def _waiting(injection: Injection, name: str, wait: Callable[..., Any]) -> Callable[..., Any]:
    """A loop that waits, for example in a login dialog before ``mainloop()``."""

    def waiting(widget: tkinter.Misc, *arguments: Any, **options: Any) -> Any:
        with injection.loop(f"tkinter's {name}()", _Wire(_root(widget)), may_come_back=True):
            return wait(widget, *arguments, **options)

    return waiting


def _asking(injection: Injection, show: Callable[..., Any]) -> Callable[..., Any]:
    """A message box, or a dialog for a file or a color, for example before ``mainloop()``."""

    def asking(dialog: Any, **options: Any) -> Any:
        shown_over = dialog.master or sys.modules["tkinter"]._default_root
        if shown_over is None:  # it makes a window for itself, and removes it
            return show(dialog, **options)
        with injection.loop("tkinter's dialog", _Wire(_root(shown_over)), may_come_back=True):
            return show(dialog, **options)

    return asking


class _Wire:
    """Prepares a root window, once."""

    def __init__(self, root: tkinter.Tk | None) -> None:
        self._root = root
        self.key = self if root is None else root

    def __call__(self, agent: Agent) -> None:
        if self._root is not None:
            _start_beating(agent, self._root)


def _root(widget: Any) -> tkinter.Tk | None:
    root: tkinter.Tk | None = widget._root()
    return root


def _grabs(root: tkinter.Tk) -> list[str]:
    # Ask Tcl: tkinter's own grab_current() knows no window that Tcl itself has made, such as a message box.
    windows = root.tk.splitlist(root.tk.call("grab", "current"))
    return [f"a grab by {_title(root, str(window))}" for window in windows]


def _waits(root: tkinter.Tk) -> list[str]:
    """The loops around this call, outermost first, without the one that has the callbacks."""
    kinds = _loops(sys.modules["tkinter"], sys.modules.get("tkinter.commondialog"))
    found = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code in kinds:
            found.append(frame)
        frame = frame.f_back
    return [_wait(root, kinds[frame.f_code], frame) for frame in found[-2::-1]]


@cache
def _loops(tkinter: Any, commondialog: Any) -> dict[CodeType, str]:
    """The functions that run a loop. ``update()`` returns by itself, so it is none."""
    loops = {
        "mainloop": (tkinter.Misc.mainloop, tkinter.mainloop),
        "wait_window": (tkinter.Misc.wait_window,),
        "wait_variable": (tkinter.Misc.wait_variable,),
    }
    if commondialog is not None:  # Windows and macOS draw these themselves, without a grab
        loops["dialog"] = (commondialog.Dialog.show,)
    # An unchanged app has wrapped ones.
    return {
        getattr(function, "__wrapped__", function).__code__: name
        for name, functions in loops.items()
        for function in functions
    }


def _wait(root: tkinter.Tk, kind: str, frame: FrameType) -> str:
    if kind == "dialog":
        dialog = frame.f_locals["self"]
        return f"{dialog.command} {str(dialog.options.get('title', ''))!r}"
    if kind != "wait_window":
        return f"a nested {kind}()"
    window = frame.f_locals.get("window") or frame.f_locals.get("self")
    return f"a nested wait_window() for {_title(root, str(window))}"


def _title(root: tkinter.Tk, window: str) -> str:
    kind = root.tk.call("winfo", "class", window)
    top = root.tk.call("winfo", "toplevel", window)
    return f"{kind} {str(root.tk.call('wm', 'title', top))!r}"
