"""Dear PyGui: one call that runs the app in place of ``dpg.start_dearpygui()``.

::

    from livegui.toolkits import dearpygui as live_dpg

    dpg.setup_dearpygui()
    dpg.show_viewport()
    live_dpg.run(agent)
    dpg.destroy_context()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dearpygui.dearpygui as dpg

from livegui.toolkits._common import ExceptHook, Frames

if TYPE_CHECKING:
    from livegui import Agent

__all__ = ["install", "run"]


def install(agent: Agent) -> Frames:
    """Hear of what callbacks raise; for an app with a render loop of its own.

    Dear PyGui runs callbacks on a thread of its own, and prints what they raise. It is printed as before.

    Returns:
        What to call the ``beat()`` of once a frame: it also tells which modal windows and popups are open.
    """
    ExceptHook(agent, "gui")
    return Frames(agent, _left_open)


def run(agent: Agent) -> None:
    """Run the app until its window closes; every frame is a beat.

    An exception that leaves a frame is ``main_loop_crashed`` and passes through.
    """
    frames = install(agent)
    with agent.main_loop():
        while dpg.is_dearpygui_running():
            frames.beat()
            dpg.render_dearpygui_frame()
        agent.stopping()


def _left_open() -> list[str]:
    things = []
    for window in dpg.get_windows():
        setup = dpg.get_item_configuration(window)
        if setup.get("show") and (setup.get("modal") or setup.get("popup")):
            kind = "modal window" if setup.get("modal") else "popup"
            things.append(f"{kind} {dpg.get_item_label(window) or window!r}")
    return things
