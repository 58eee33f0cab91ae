"""GLFW and Dear ImGui: ``python glfw_app.py``; with ``GLFW_PLATFORM_NULL=1`` it needs no display."""

from __future__ import annotations

import os

import glfw
from commands import Commands
from imgui_bundle import imgui

do = Commands(lambda: imgui.open_popup("Save?"), quit=lambda: glfw.set_window_should_close(window, True))
window: object
HEADLESS = "GLFW_PLATFORM_NULL" in os.environ


def open_window() -> object:
    """The app's own: no renderer, as this is about the loop."""
    if HEADLESS:
        glfw.init_hint(0x00050003, 0x00060005)  # GLFW_PLATFORM, GLFW_PLATFORM_NULL
    glfw.init()
    glfw.window_hint(glfw.CLIENT_API, glfw.NO_API)
    imgui.create_context()
    imgui.get_io().backend_flags |= imgui.BackendFlags_.renderer_has_textures.value
    imgui.get_io().set_ini_filename("")
    return glfw.create_window(320, 200, "myapp", None, None)


def draw() -> None:
    """The app's own."""
    imgui.get_io().display_size = imgui.ImVec2(320, 200)
    imgui.new_frame()
    do()
    if imgui.begin_popup_modal("Save?")[0]:
        imgui.text("Save?")
        imgui.end_popup()
    imgui.render()


# [wiring]
import livegui
from livegui.toolkits import glfw as live_glfw

agent = livegui.start("myapp")
live_glfw.install(agent)  # every glfw.poll_events() and wait_events() is a beat
window = open_window()
with agent.main_loop():
    while not glfw.window_should_close(window):
        glfw.wait_events_timeout(1 / 60)
        draw()
    agent.stopping()
glfw.terminate()
# [/wiring]
