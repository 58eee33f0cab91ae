"""Dear ImGui by imgui-bundle: ``python imgui_bundle_app.py``; with ``HEADLESS=1`` it needs no display."""

from __future__ import annotations

import os

from commands import Commands
from imgui_bundle import hello_imgui, imgui


def close() -> None:
    """Close the window."""
    hello_imgui.get_runner_params().app_shall_exit = True


inner: list[str] = []
do = Commands(lambda: imgui.open_popup("Save?"), inner=lambda: inner.append("inner"), quit=close)


def draw() -> None:
    """The app's own."""
    imgui.text("hello")
    do()
    if imgui.begin_popup_modal("Save?")[0]:
        imgui.text("Save?")
        if inner:
            imgui.open_popup(inner.pop())
        if imgui.begin_popup("inner"):
            imgui.text("inner")
            imgui.end_popup()
        imgui.end_popup()


def use_no_display(params: hello_imgui.RunnerParams) -> None:
    """Real frames without a display; nothing waits for a monitor then, so they are throttled."""
    params.platform_backend_type = hello_imgui.PlatformBackendType.null
    params.renderer_backend_type = hello_imgui.RendererBackendType.null
    params.fps_idling.fps_max = 60

    def allow_textures() -> None:
        imgui.get_io().backend_flags |= imgui.BackendFlags_.renderer_has_textures.value

    params.callbacks.post_init = allow_textures


# [wiring]
import livegui
from livegui.toolkits import imgui_bundle as live_imgui

agent = livegui.start("myapp")
params = hello_imgui.RunnerParams()
params.callbacks.show_gui = draw
if os.environ.get("HEADLESS"):
    use_no_display(params)
live_imgui.run(params)  # or run(params, immapp.AddOnsParams(with_implot=True))
# [/wiring]
