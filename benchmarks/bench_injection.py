"""The cost of watching an unchanged app, for a frame, a pool and a start, compared with peers.

Toolkits that need a display get one from Xvfb.

The start is compared for the same app under ``livegui exec``, with the agent called by the app, and under
ddtrace-run and coverage.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from figures import Table, spread, times

import livegui

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "python"))
from wiring import display

CARRIER = Path(livegui.__file__).parent / "_carrier"
INJECTED = {"LIVEGUI_INJECT": "auto", "LIVEGUI_INJECT_PATH": str(CARRIER)}
#: How many nanoseconds a patch may add to a frame, beyond the toolkit's own call.
PATCH_NS = 1000
#: How many blocks of memory may be kept per call.
KEPT = 0.01
#: How many milliseconds longer the start may take than that of the app that calls the agent itself.
START_MS = 20
STARTS = 25
#: What the start is compared with, and the package that it needs.
PEERS = {"under ddtrace-run": "ddtrace", "under coverage run": "coverage"}

#: Prints nanoseconds per call, the best of several rounds, and how many blocks of memory the calls kept. It
#: counts the thread's processor time, which a busy machine changes less. Windows counts it too coarsely.
TIMED = """
import sys, time
clock = time.perf_counter_ns if sys.platform == "win32" else time.thread_time_ns
def timed(call, rounds=30, calls=2000):
    for _ in range(9):  # with the second from one place, it is a loop, and the agent starts
        call()
    blocks = sys.getallocatedblocks()
    best = 1e9
    for _ in range(rounds):
        began = clock()
        for _ in range(calls):
            call()
        best = min(best, (clock() - began) / calls)
    print("figures", best, (sys.getallocatedblocks() - blocks) / (rounds * calls))
"""
CALLS = {
    "pygame.display.flip()": """
import pygame
pygame.init()
pygame.display.set_mode((16, 16))
timed(pygame.display.flip)
""",
    "glfw.poll_events()": """
import glfw
glfw.init_hint(0x00050003, 0x00060005)
glfw.init()
timed(glfw.poll_events)
""",
    "a frame of hello_imgui": """
from imgui_bundle import hello_imgui, imgui
params = hello_imgui.RunnerParams()
params.ini_disable = True
params.platform_backend_type = hello_imgui.PlatformBackendType.null
params.renderer_backend_type = hello_imgui.RendererBackendType.null
params.fps_idling.enable_idling = False
params.fps_idling.fps_max = 0
def allow_textures():
    imgui.get_io().backend_flags |= imgui.BackendFlags_.renderer_has_textures.value
params.callbacks.post_init = allow_textures
state = {"frames": 0, "best": 1e9, "blocks": 0}
def gui():
    now = clock()
    frames = state["frames"]
    state["frames"] = frames + 1
    if frames % 2000 == 100:
        if frames > 2000:
            state["best"] = min(state["best"], (now - state["began"]) / 2000)
        if frames == 4100:
            state["blocks"] = sys.getallocatedblocks()
        if frames == 40100:
            print("figures", state["best"], (sys.getallocatedblocks() - state["blocks"]) / 36000)
            params.app_shall_exit = True
        state["began"] = clock()
params.callbacks.show_gui = gui
hello_imgui.run(params)
""",
    "imgui.new_frame()": """
from imgui_bundle import imgui
imgui.create_context()
io = imgui.get_io()
io.display_size = (64, 64)
io.backend_flags |= imgui.BackendFlags_.renderer_has_textures.value
def frame():
    imgui.new_frame()
    imgui.end_frame()
timed(frame)
""",
    "manual_render.render() of hello_imgui": """
from imgui_bundle import hello_imgui, imgui
params = hello_imgui.RunnerParams()
params.ini_disable = True
params.platform_backend_type = hello_imgui.PlatformBackendType.null
params.renderer_backend_type = hello_imgui.RendererBackendType.null
params.fps_idling.enable_idling = False
params.fps_idling.fps_max = 0
def allow_textures():
    imgui.get_io().backend_flags |= imgui.BackendFlags_.renderer_has_textures.value
params.callbacks.post_init = allow_textures
params.callbacks.show_gui = int
hello_imgui.manual_render.setup_from_runner_params(params)
timed(hello_imgui.manual_render.render, calls=1000)
""",
    # Tcl and the X server take 25 microseconds and more, in which one cannot be seen.
    "tkinter's update() (without Tcl)": """
import tkinter
root = tkinter.Tk()
for _ in range(9):
    root.update()
patched = tkinter.Misc.update
if patched.__closure__:
    cells = dict(zip(patched.__code__.co_freevars, patched.__closure__))
    cells["original"].cell_contents = id
else:
    patched = id
timed(lambda: patched(root))
""",
    # The frame itself takes milliseconds, in which a microsecond cannot be seen.
    "dearpygui's frame (without the frame itself)": """
import dearpygui.dearpygui as dpg
import dearpygui._dearpygui as native
dpg.create_context()
dpg.create_viewport(width=64, height=64, vsync=False)
dpg.setup_dearpygui()
dpg.show_viewport()
for _ in range(3):
    dpg.render_dearpygui_frame()
patched = native.render_dearpygui_frame
if hasattr(patched, "__closure__"):
    cells = dict(zip(patched.__code__.co_freevars, patched.__closure__))
    cells["original"].cell_contents = int
else:
    patched = int
timed(patched)
dpg.destroy_context()
""",
    "ThreadPoolExecutor()": """
from concurrent.futures import ThreadPoolExecutor
timed(ThreadPoolExecutor)
""",
    "pool.submit() and its result": """
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(1)
timed(lambda: pool.submit(int).result(), calls=300)
""",
}
APP = """
import asyncio
async def main():
    await asyncio.sleep(0)
"""
STARTING = {
    "plain": APP + "asyncio.run(main())",
    "wired": "import livegui\nfrom livegui.toolkits import asyncio as live_asyncio\n"
    + APP.replace("    await", "    live_asyncio.install(agent)\n    await")
    + "agent = livegui.start()\nwith agent.main_loop():\n    asyncio.run(main())\n    agent.stopping()",
}


def measure(code: str, folder: str, environment: dict[str, str]) -> tuple[float, float]:
    """Nanoseconds per call, and blocks of memory that a call kept."""
    shown = {"DISPLAY": display(), "LIBGL_ALWAYS_SOFTWARE": "1"}
    given = os.environ | {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"} | shown | environment
    command = [sys.executable, "-c", TIMED + code]
    done = subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=True)
    figures = next(line for line in done.stdout.splitlines() if line.startswith("figures"))
    _, took, kept = figures.split()
    return float(took), float(kept)


def starts(folder: Path) -> dict[str, list[float]]:
    """The milliseconds to start and end the app, alternating; without the peers that are missing.

    The cost of `livegui exec` and ddtrace-run themselves, one more Python each, is excluded here.
    """
    for name, text in STARTING.items():
        (folder / f"{name}.py").write_text(text)
    plain, wired = str(folder / "plain.py"), str(folder / "wired.py")
    peers = os.environ.get("PYTHONPATH", "")
    ours = INJECTED | {"PYTHONPATH": os.pathsep.join(filter(None, [str(CARRIER), peers]))}
    runs: dict[str, tuple[list[str], dict[str, str]]] = {
        "plain": ([plain], {}),
        "wired": ([wired], {}),
        "injected": ([plain], ours),
    }
    ddtrace = find_spec("ddtrace")
    if ddtrace is not None and ddtrace.origin is not None:
        path = os.pathsep.join([str(Path(ddtrace.origin).parent / "bootstrap"), peers])
        quiet = {"DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false", "DD_TRACE_ENABLED": "false"}
        runs["under ddtrace-run"] = ([plain], quiet | {"PYTHONPATH": path})
    if find_spec("coverage") is not None:
        runs["under coverage run"] = (["-m", "coverage", "run", f"--data-file={folder / 'data'}", plain], {})
    took: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(STARTS):
        for name, (words, environment) in runs.items():
            given = os.environ | {"LIVEGUI_RUN_DIR": str(folder)} | environment
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], env=given, capture_output=True, check=True)
            took[name].append((time.perf_counter() - began) * 1e3)
    return took


def exec_itself() -> float:
    """The median of the milliseconds of processor time that `livegui exec` takes before the app starts."""
    import resource  # noqa: PLC0415 -- only POSIX has it

    def used(*words: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(words, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1e3

    script = str(Path(sys.executable).with_name("livegui"))
    took = [used(script, "exec", "--", "true") - used("true") for _ in range(STARTS)]
    return statistics.median(took)


def main() -> None:
    """Print the figures; fail if a bar is missed."""
    table = Table()
    with tempfile.TemporaryDirectory() as name:
        path = os.pathsep.join(filter(None, [str(CARRIER), os.environ.get("PYTHONPATH", "")]))
        injected = INJECTED | {"PYTHONPATH": path, "LIVEGUI_RUN_DIR": name}
        for what, code in CALLS.items():
            try:
                plain, _ = measure(code, name, {})
                took, kept = measure(code, name, injected)
            except subprocess.CalledProcessError as error:
                table.show(what, "not measured", note=error.stderr.strip().splitlines()[-1])
                continue
            note = f"{plain:.0f} ns without, {took:.0f} ns with; {kept:.3f} blocks kept"
            table.add(f"{what}, more than without", took - plain, "ns", PATCH_NS, note=note)
            table.add(f"{what}, blocks kept a call", max(kept, 0.0), "", KEPT)
        took_all = starts(Path(name))
    medians = {name: statistics.median(took) for name, took in took_all.items()}
    more = [a - b for a, b in zip(took_all["injected"], took_all["wired"], strict=True)]
    note = f"asyncio app; {spread(more, 'ms', 1)}"
    table.add("start, more than wired", medians["injected"] - medians["wired"], "ms", START_MS, note=note)
    peers = {who: median for who, median in medians.items() if who != "injected"}
    for who, taken in took_all.items():
        beside = times(medians[who], peers, "ms") if who == "injected" else ""
        note = spread(taken, "ms", 1)
        table.show(f"start and end, {who}", f"{medians[who]:.1f} ms", beside=beside, note=note)
    for who, package in PEERS.items():
        if who not in took_all:
            table.show(f"start and end, {who}", "not measured", note=f"{package} is not installed")
    if os.name == "posix":
        table.show(
            "livegui exec itself, once",
            f"{exec_itself():.1f} ms",
            note="more than /bin/true; one more Python",
        )
    table.end()


if __name__ == "__main__":
    main()
