"""Tk by ``tkinter``: one call after the root window is made.

::

    from livegui.toolkits import tk as live_tk

    root = tkinter.Tk()
    live_tk.install(agent, root)
    with agent.main_loop():
        root.mainloop()
        agent.stopping()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from livegui.toolkits._common import Frames

if TYPE_CHECKING:
    import tkinter

    from livegui import Agent

__all__ = ["install"]


def install(agent: Agent, root: tkinter.Tk, *, interval_ms: int = 20) -> None:
    """Wire a root window; call it on its thread.

    A timer beats. What callbacks raise is recorded, and handed to the ``report_callback_exception`` that was
    set before. Grabs, as a modal dialog has one, are told.

    Args:
        agent: the agent to tell.
        root: the root window.
        interval_ms: milliseconds between two beats.
    """
    frames = Frames(agent, lambda: _grabs(root))

    def beat() -> None:
        if not agent.stopped:
            frames.beat()
            root.after(interval_ms, beat)

    earlier = root.report_callback_exception

    def report(kind: Any, error: Any, where: Any) -> None:
        try:
            agent.record_exception(error)
        finally:
            earlier(kind, error, where)

    def give_back() -> None:
        if root.report_callback_exception is report:
            root.report_callback_exception = earlier

    root.report_callback_exception = report
    agent._on_stop.append(give_back)
    beat()


def _grabs(root: tkinter.Tk) -> list[str]:
    # Asked of Tcl: tkinter's own grab_current() knows no window that Tcl itself has made, as a message box.
    windows = root.tk.splitlist(root.tk.call("grab", "current"))
    return [f"a grab by {_title(root, str(window))}" for window in windows]


def _title(root: tkinter.Tk, window: str) -> str:
    kind = root.tk.call("winfo", "class", window)
    top = root.tk.call("winfo", "toplevel", window)
    return f"{kind} {str(root.tk.call('wm', 'title', top))!r}"
