"""Dear PyGui: ``python dearpygui_app.py``; needs a display with OpenGL."""

from __future__ import annotations

import dearpygui.dearpygui as dpg
from commands import Commands


def ask() -> None:
    """A modal dialog."""
    dpg.add_window(label="Save?", modal=True, width=100, height=50)


do = Commands(ask, quit=dpg.stop_dearpygui)


def fill() -> None:
    """The app's own: a callback that Dear PyGui calls again and again, on its own thread."""
    with dpg.window(label="myapp"):
        dpg.add_text("hello")
    dpg.set_frame_callback(2, on_frame)


def on_frame() -> None:
    dpg.set_frame_callback(dpg.get_frame_count() + 2, on_frame)
    do()


# [wiring]
import livegui
from livegui.toolkits import dearpygui as live_dpg

agent = livegui.start("myapp")
dpg.create_context()
dpg.create_viewport(title="myapp", width=320, height=200)
fill()
dpg.setup_dearpygui()
dpg.show_viewport()
live_dpg.run(agent)  # in place of dpg.start_dearpygui()
dpg.destroy_context()
# [/wiring]
