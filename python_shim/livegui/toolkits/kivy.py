"""Kivy: one call makes its clock beat.

::

    from livegui.toolkits import kivy as live_kivy

    live_kivy.install(agent)
    with agent.main_loop():
        MyApp().run()
        agent.stopping()
"""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import TYPE_CHECKING, Any

from livegui.toolkits._common import Frames, wrap

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from livegui import Agent
    from livegui._inject import Injection

__all__ = ["install", "patch"]


def install(agent: Agent, *, interval_ms: int = 20) -> None:
    """Make Kivy's clock beat. An exception in a callback leaves ``run()``, unless a handler passes it.

    One that a handler of ``ExceptionManager`` passes is recorded.

    Open popups, and other views of ``ModalView``, are reported.

    Args:
        agent: the agent to report to.
        interval_ms: milliseconds between two beats.
    """
    from kivy.clock import Clock  # noqa: PLC0415 -- kivy.base is imported before it is complete

    frames = Frames(agent, _left_open)
    Clock.schedule_once(lambda _dt: frames.beat(), 0)  # the first frame may take longer than the interval
    event = Clock.schedule_interval(lambda _dt: frames.beat(), interval_ms / 1000)
    agent._on_stop.append(event.cancel)
    managers = sys.modules["kivy.base"].ExceptionManagerBase
    wrap(agent, managers, "handle_exception", lambda handle: _recording(agent, handle))


def _recording(agent: Agent, handle: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(handle)
    def handle_exception(self: Any, inst: Any) -> Any:
        answer = handle(self, inst)
        if answer == self.PASS and isinstance(inst, Exception):
            with contextlib.suppress(Exception):  # nothing of ours may enter the app
                agent.record_exception(inst)
        return answer

    return handle_exception


def _left_open() -> list[str]:
    base, views = sys.modules.get("kivy.base"), sys.modules.get("kivy.uix.modalview")
    window: Any = getattr(getattr(base, "EventLoop", None), "window", None)
    if window is None or views is None:
        return []
    shown = [view for view in window.children if isinstance(view, views.ModalView)]
    return [f"modal {type(view).__name__} {getattr(view, 'title', '')!r}" for view in shown]


def patch(injection: Injection, module: ModuleType) -> None:
    """Install the agent in an unchanged app when its event loop begins."""

    def mainloop(original: Callable[..., Any]) -> Callable[..., Any]:
        def mainloop(self: Any) -> None:
            with injection.loop("kivy's loop", install):
                original(self)

        return mainloop

    injection.wrap(module.EventLoopBase, "mainloop", mainloop)
