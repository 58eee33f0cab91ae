"""sloppy: a small project tool with a real Dear ImGui window, and with real bugs.

It is livegui's reference app. It does what the app of livegui's first user did: a hook server on a
thread of its own lets tests click and read; input and output run on a thread pool; and one panel has
a bug that raises a genuine IM_ASSERT. What that leaves behind is the point: the main loop is gone and
the pool is shut down, and yet the process lives and its hook server answers as if nothing were wrong.

    python sloppy.py             # headless: null backends, no display needed
    python sloppy.py --window    # a real window
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import faults
from imgui_bundle import hello_imgui, imgui

import livegui
from livegui.toolkits import imgui_bundle as live_imgui

DEFAULT_HOOK_PORT = 8999
FRAMES_PER_SECOND = 60


class AppController:
    """The app's state and what its buttons do."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self._io_pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="io")
        self.values: dict[str, Any] = {
            "project": "(none)",
            "project_switch": "idle",
            "context_files": 0,
            "ai_model": "small",
            "tool_search": False,
            "execution": "idle",
            "frames": 0,
        }
        #: What the hook server wants done between two frames, on the GUI's own thread.
        self.gui_tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.execution_requested = False
        #: What each button does. Called on the hook server's thread, as the user's app has it.
        self.buttons: dict[str, Callable[[], None]] = {
            "btn_project_new_automated": self.new_project,
            "btn_context_refresh": self.refresh_context,
            "btn_ai_model_large": lambda: self.values.update(ai_model="large"),
            "btn_tool_search": lambda: self.values.update(tool_search=not self.values["tool_search"]),
            "btn_execution_run": self.run_execution,
        }

    def submit_io(self, work: Callable[[], None]) -> Future[None]:
        """Run ``work`` on the I/O pool."""
        return self._io_pool.submit(work)

    def new_project(self) -> None:
        """Make a new project and switch to it."""
        self.values["project_switch"] = "switching"
        self.submit_io(self._switch_project)

    def _switch_project(self) -> None:
        name = f"project-{time.time_ns()}"
        (self.state_dir / f"{name}.json").write_text(json.dumps({"name": name}))
        self.gui_tasks.put(lambda: self.values.update(project=name, project_switch="done"))

    def refresh_context(self) -> None:
        """Count the files that are in the context."""

        def count() -> None:
            found = len(list(self.state_dir.parent.iterdir()))
            self.gui_tasks.put(lambda: self.values.update(context_files=found))

        self.submit_io(count)

    def run_execution(self) -> None:
        """Open the execution panel in the next frame."""
        self.execution_requested = True

    def close(self) -> None:
        """Give up the pool."""
        self._io_pool.shutdown(wait=False, cancel_futures=True)


class Gui:
    """What is drawn, once a frame."""

    def __init__(self, controller: AppController) -> None:
        self.controller = controller

    def show(self) -> None:
        """Draw one frame."""
        values = self.controller.values
        values["frames"] += 1
        with contextlib.suppress(queue.Empty):
            while True:
                self.controller.gui_tasks.get_nowait()()
        imgui.text(f"Project: {values['project']}")
        if imgui.button("New project"):
            self.controller.new_project()
        imgui.text(f"Context: {values['context_files']} files")
        imgui.text(f"Model: {values['ai_model']}")
        _, values["tool_search"] = imgui.checkbox("Search", values["tool_search"])
        imgui.separator_text("Execution")
        self.show_execution_panel()

    def show_execution_panel(self) -> None:
        """Draw the execution panel. Here is the bug."""
        if self.controller.execution_requested:
            self.controller.values["execution"] = "running"
            # The log has no lines yet, so somebody thought that its frame could be left out. Its end
            # was not left out: ImGui asserts that end_child() follows begin_child().
            imgui.text("(no output yet)")
            imgui.end_child()


class HookServer:
    """Lets a test click, read and ask. On threads of its own, which keep the process alive."""

    def __init__(self, controller: AppController, port: int) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", port), _handler(controller))
        self.thread = threading.Thread(target=self._serve, name="hook_server", daemon=False)

    def start(self) -> None:
        """Serve until :meth:`stop`."""
        self.thread.start()

    def _serve(self) -> None:
        self.server.serve_forever(poll_interval=0.05)

    def stop(self) -> None:
        """Let the process end."""
        self.server.shutdown()
        self.server.server_close()


def _handler(controller: AppController) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path == "/status":
                self.answer(200, {"hook_server": "ok", "pid": os.getpid()})
            elif url.path == "/value":
                name = parse_qs(url.query).get("name", [""])[0]
                self.answer(200 if name in controller.values else 404, {"value": controller.values.get(name)})
            else:
                self.answer(404, {"error": f"no such path: {url.path}"})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length) or b"{}")
            if self.path == "/click":
                button = controller.buttons.get(body.get("button", ""))
                self.answer(404 if button is None else 200, {"clicked": button is not None})
                if button is not None:
                    # Answered before it is done, whatever comes of it: who asks is none the wiser.
                    try:
                        button()
                    except Exception:  # noqa: BLE001 -- sloppy: logged where nobody looks
                        traceback.print_exc()
            elif self.path == "/fault":
                fault = faults.FAULTS.get(body.pop("fault", ""))
                self.answer(404 if fault is None else 200, {"injected": fault is not None})
                if fault is not None:
                    fault(controller, **body)
            else:
                self.answer(404, {"error": f"no such path: {self.path}"})

        def answer(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            head = (
                f"HTTP/1.0 {status} \r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
            )
            # Written at once: apart, head and body cost a delayed acknowledgement of 44 ms.
            self.wfile.write(head.encode() + data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def runner_params(gui: Gui, *, window: bool) -> hello_imgui.RunnerParams:
    """How ImGui runs the app: in a window, or headless and throttled."""
    params = hello_imgui.RunnerParams()
    params.app_window_params.window_title = "sloppy"
    params.app_window_params.window_geometry.size = (640, 400)
    params.ini_disable = True
    params.callbacks.show_gui = gui.show
    params.fps_idling.enable_idling = False
    params.fps_idling.fps_max = FRAMES_PER_SECOND
    if not window:
        params.platform_backend_type = hello_imgui.PlatformBackendType.null
        params.renderer_backend_type = hello_imgui.RendererBackendType.null

        def allow_textures() -> None:
            imgui.get_io().backend_flags |= imgui.BackendFlags_.renderer_has_textures.value

        params.callbacks.post_init = allow_textures
    return params


def main() -> None:
    """Run the app."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--hook-port",
        type=int,
        default=int(os.environ.get("LIVEGUI_HOOK_PORT", DEFAULT_HOOK_PORT)),
        help=f"port of the hook server (default: LIVEGUI_HOOK_PORT, else {DEFAULT_HOOK_PORT})",
    )
    parser.add_argument("--window", action="store_true", help="open a real window (needs a display)")
    arguments = parser.parse_args()

    state_dir = Path(os.environ.get("LIVEGUI_STATE_DIR") or Path.home() / ".sloppy")
    state_dir.mkdir(parents=True, exist_ok=True)
    agent = livegui.start("sloppy")
    controller = AppController(state_dir)
    try:
        hooks = HookServer(controller, arguments.hook_port)
    except OSError as error:
        sys.exit(f"sloppy: cannot listen on 127.0.0.1:{arguments.hook_port}: {error.strerror}")
    agent.watch_executor(controller._io_pool, "io_pool")
    agent.watch_thread(hooks.thread, "hook_server")
    params = runner_params(Gui(controller), window=arguments.window)
    # What asks an app to end: on Windows that is Ctrl-Break.
    asked = getattr(signal, "SIGBREAK", signal.SIGTERM)
    signal.signal(asked, lambda *_: setattr(params, "app_shall_exit", True))
    hooks.start()
    try:
        live_imgui.run(params, agent=agent)
    finally:
        controller.close()
    # Not reached when the main loop died: the hook server is left running, as the seed tells it.
    hooks.stop()


if __name__ == "__main__":
    main()
