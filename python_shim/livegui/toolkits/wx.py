"""wxPython: one call after the ``wx.App`` is made.

::

    from livegui.toolkits import wx as live_wx

    app = wx.App()
    live_wx.install(agent)
    with agent.main_loop():
        app.MainLoop()
        agent.stopping()
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from livegui.toolkits._common import ExceptHook, Frames, hear_exits

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from livegui import Agent
    from livegui._inject import Injection

__all__ = ["install", "patch"]

#: The functions that show a dialog and wait for it. They call no ``ShowModal()`` that Python sees.
_ASKS = (
    *("DirSelector", "FileSelector", "LoadFileSelector", "SaveFileSelector"),
    *("GetColourFromUser", "GetFontFromUser", "GetNumberFromUser", "GetPasswordFromUser"),
    *("GetSingleChoice", "GetTextFromUser", "InfoMessageBox", "MessageBox"),
)


def install(agent: Agent, *, interval_ms: int = 20) -> None:
    """Watch the wx application of this process; call this on its thread.

    A timer beats. What handlers raise is recorded, and printed as before. Modal dialogs and nested loops are
    reported.

    Args:
        agent: the agent to report to.
        interval_ms: milliseconds between two beats.
    """
    core: Any = sys.modules["wx"]
    dialogs = _modal_dialogs(core)
    frames = Frames(agent, lambda: _left_open(core, dialogs.shown))
    timer = core.PyTimer(frames.beat)
    timer.Start(interval_ms)
    core.CallAfter(frames.beat)  # what the app paints first may take longer than the interval

    def stop() -> None:
        with contextlib.suppress(RuntimeError):  # it is deleted
            timer.Stop()

    agent._on_stop.append(stop)
    agent._on_stop.append(dialogs.Unregister)
    ExceptHook(agent, "thread")
    hear_exits(agent)


def _modal_dialogs(core: Any) -> Any:
    """Knows the modal dialogs, also those that the system draws, which are no windows of wx."""

    class Dialogs(core.ModalDialogHook):  # type: ignore[misc] # wx has no types
        def __init__(self) -> None:
            super().__init__()
            self.shown: list[Any] = []

        def Enter(self, dialog: Any) -> Any:  # noqa: N802 -- wx's name
            self.shown.append(dialog)
            return core.ID_NONE  # show it

        def Exit(self, dialog: Any) -> None:  # noqa: N802 -- wx's name
            self.shown = [other for other in self.shown if other is not dialog]

    dialogs = Dialogs()
    dialogs.Register()
    return dialogs


def _left_open(core: Any, dialogs: list[Any]) -> list[str]:
    windows = [window for window in core.GetTopLevelWindows() if isinstance(window, core.Dialog)]
    # One that was shown before there was an agent, too.
    modal = dialogs + [window for window in windows if window.IsModal() and window not in dialogs]
    things = [f"modal {type(dialog).__name__} {dialog.GetTitle()!r}" for dialog in modal]
    loop = core.EventLoopBase.GetActive()
    if loop is not None and not loop.IsMain():
        things.append("a nested event loop")
    return things


def patch(injection: Injection, module: ModuleType) -> None:
    """Install the agent in an unchanged app when it calls ``MainLoop()``, or shows a dialog before that."""

    def main_loop(original: Callable[..., Any]) -> Callable[..., Any]:
        def MainLoop(self: Any) -> Any:  # noqa: N802 -- wx's name
            with injection.loop("wx's MainLoop()", install):
                return original(self)

        return MainLoop

    def shows_for_now(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def show(*arguments: Any, **options: Any) -> Any:
            with injection.loop(f"wx's {name}()", install, may_come_back=True):
                return original(*arguments, **options)

        return show

    injection.wrap(module.App, "MainLoop", main_loop)
    for cls in tuple(vars(module).values()):
        if isinstance(cls, type) and "ShowModal" in vars(cls):
            injection.wrap(cls, "ShowModal", lambda original: shows_for_now("ShowModal", original))
    for name in _ASKS:
        if hasattr(module, name):
            injection.wrap(module, name, lambda original, name=name: shows_for_now(name, original))  # type: ignore[misc]
