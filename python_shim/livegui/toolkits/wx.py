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


def install(agent: Agent, *, interval_ms: int = 20) -> None:
    """Watch the wx application of this process; call this on its thread.

    A timer beats. What handlers raise is recorded, and printed as before. Modal dialogs and nested loops are
    reported.

    Args:
        agent: the agent to report to.
        interval_ms: milliseconds between two beats.
    """
    core: Any = sys.modules["wx"]
    frames = Frames(agent, lambda: _left_open(core))
    timer = core.PyTimer(frames.beat)
    timer.Start(interval_ms)
    core.CallAfter(frames.beat)  # what the app paints first may take longer than the interval

    def stop() -> None:
        with contextlib.suppress(RuntimeError):  # it is deleted
            timer.Stop()

    agent._on_stop.append(stop)
    ExceptHook(agent, "thread")
    hear_exits(agent)


def _left_open(core: Any) -> list[str]:
    shown = [window for window in core.GetTopLevelWindows() if isinstance(window, core.Dialog)]
    things = [f"modal {type(window).__name__} {window.GetTitle()!r}" for window in shown if window.IsModal()]
    loop = core.EventLoopBase.GetActive()
    if loop is not None and not loop.IsMain():
        things.append("a nested event loop")
    return things


def patch(injection: Injection, module: ModuleType) -> None:
    """Install the agent in an unchanged app when it calls ``MainLoop()``."""

    def main_loop(original: Callable[..., Any]) -> Callable[..., Any]:
        def MainLoop(self: Any) -> Any:  # noqa: N802 -- wx's name
            with injection.loop("wx's MainLoop()", install):
                return original(self)

        return MainLoop

    injection.wrap(module.App, "MainLoop", main_loop)
