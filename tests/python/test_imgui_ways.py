"""Unchanged apps with Dear ImGui, in each of the ways in which `imgui_bundle` runs one."""

from __future__ import annotations

from pathlib import Path

import imgui_bundle
import pytest
from executing import health, shown
from plain_suites import under_wine
from test_guest import beats
from test_injection import READS

needs_window = pytest.mark.skipif(under_wine(), reason="it opens a window, and there is no display")

OVERLOADS = """
from imgui_bundle import hello_imgui, imgui, immapp
def gui():
    imgui.text("hello")
    if not reader.is_alive():
        imgui.end_child()
simple = hello_imgui.SimpleRunnerParams()
simple.gui_function = gui
simple.ini_disable = True
WAY
"""
WAYS = [
    "hello_imgui.run(gui, 'title')",
    "hello_imgui.run(window_title='title', gui_function=gui)",
    "hello_imgui.run(simple)",
    "immapp.run(gui_function=gui, ini_disable=True, with_implot=True)",
    "immapp.run(simple, immapp.AddOnsParams())",
    "immapp.run_with_markdown(gui, ini_disable=True)",
]


@needs_window
@pytest.mark.parametrize("way", WAYS)
def test_an_app_that_is_run_by_any_overload_beats_and_its_assert_is_a_crash(way: str, tmp_path: Path) -> None:
    script = READS + OVERLOADS.replace("WAY", way)
    with shown("imgui_bundle", script, "imgui_bundle", tmp_path) as process:
        health(tmp_path, beats)
        _, err = process.communicate("\n", timeout=30)
    assert "end_child" in err
    journal = (tmp_path / "heartbeat.jsonl").read_text()
    assert "main_loop_crashed" in journal
    assert "IM_ASSERT" in journal


BACKENDS = Path(imgui_bundle.__file__).parent / "python_backends" / "examples"
#: SDL's wants eight samples a pixel, and a screen that tells when it is drawn. A software renderer has neither.
RUNS_EXAMPLE = """
import runpy, sys
if SDL2:
    import sdl2
    set_attribute = sdl2.SDL_GL_SetAttribute
    def set_few_samples(name, value):
        samples = (sdl2.SDL_GL_MULTISAMPLEBUFFERS, sdl2.SDL_GL_MULTISAMPLESAMPLES)
        return set_attribute(name, 0 if name in samples else value)
    sdl2.SDL_GL_SetAttribute = set_few_samples
    sdl2.SDL_GL_SetSwapInterval = lambda interval: 0
runpy.run_path(EXAMPLE, run_name="__main__")
"""


@needs_window
@pytest.mark.parametrize(
    ("backend", "needs"),
    [("glfw3", "glfw"), ("pygame", "pygame"), ("pyglet", "pyglet"), ("sdl2", "sdl2")],
)
def test_the_examples_of_the_python_backends_are_watched(backend: str, needs: str, tmp_path: Path) -> None:
    example = str(BACKENDS / f"example_python_backend_{backend}.py")
    script = RUNS_EXAMPLE.replace("EXAMPLE", repr(example)).replace("SDL2", str(backend == "sdl2"))
    with shown(backend, script, f"numpy, OpenGL, {needs}", tmp_path):
        document = health(tmp_path, beats)
        assert (document["status"], document["reasons"]) == ("ok", [])


SLEEPS = """
import ctypes, sdl2
from imgui_bundle import imgui
imgui.create_context()
io = imgui.get_io()
io.display_size = (100, 100)
io.set_ini_filename("")
io.backend_flags |= imgui.BackendFlags_.renderer_has_textures.value
sdl2.SDL_Init(sdl2.SDL_INIT_VIDEO)
window = sdl2.SDL_CreateWindow(b"title", 0, 0, 100, 100, 0)
event = sdl2.SDL_Event()
while True:
    imgui.new_frame()
    imgui.end_frame()
    WAIT
    if event.type == 0xFFFE:
        print("not the app's event", flush=True)
"""


@pytest.mark.parametrize(
    "wait",
    ["sdl2.SDL_WaitEvent(ctypes.byref(event))", "sdl2.SDL_WaitEventTimeout(ctypes.pointer(event), 3600_000)"],
    ids=["byref", "pointer"],
)
def test_a_loop_that_sleeps_until_sdl_has_an_event_is_not_stalled(wait: str, tmp_path: Path) -> None:
    environment = {"SDL_VIDEODRIVER": "dummy", "LIVEGUI_STALL_AFTER_MS": "2000"}
    with shown("sdl2", SLEEPS.replace("WAIT", wait), "sdl2", tmp_path, **environment) as process:
        document = health(tmp_path, lambda document: document["uptime_ms"] > 5000)
        assert document["checks"]["main_loop"]["state"] == "ok"
        assert (document["reasons"], document["history"]) == ([], [])
        process.kill()
        assert process.communicate()[0] == ""
