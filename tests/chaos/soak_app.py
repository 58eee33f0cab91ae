"""The sloppy app with trouble that a real app has every day, and that does not make it unfit.

python soak_app.py FILE    (the hook server's port is written into FILE)
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import faults
import sloppy
from faults import _fault

import livegui


def _in_frame(controller: sloppy.AppController, act: Callable[[], None]) -> None:
    """Act in the next frame. The caller sees when it is done, so that no frame gets two of these."""

    def task() -> None:
        act()
        controller.values["frames_troubled"] = controller.values.get("frames_troubled", 0) + 1

    controller.values.setdefault("frames_troubled", 0)
    controller.gui_tasks.put(task)


@_fault
def slow_frame(controller: sloppy.AppController, amount: float) -> None:
    _in_frame(controller, lambda: time.sleep(amount))


@_fault
def pause(controller: sloppy.AppController, amount: float) -> None:
    """A dialog that blocks the loop for three thresholds, as the app declares."""

    def act() -> None:
        with livegui.start("sloppy").paused("file dialog", max_s=60):
            time.sleep(4 * amount)

    _in_frame(controller, act)


@_fault
def burst(controller: sloppy.AppController, amount: float) -> None:

    def work() -> None:
        sum(range(2000))

    for _ in range(200):
        controller.submit_io(work)


@_fault
def busy(controller: sloppy.AppController, amount: float) -> None:
    """Four threads that compute for a while."""
    until = time.monotonic() + 2 * amount

    def work() -> None:
        while time.monotonic() < until:
            pass

    for _ in range(4):
        threading.Thread(target=work, daemon=True).start()


#: What an app of some size has on its heap. A collection of it takes about a tenth of a second.
HEAP: list[list[object]] = []
HEAP_OBJECTS = 1_000_000


@_fault
def collect(controller: sloppy.AppController, amount: float) -> None:
    """Garbage collections on the GUI's thread, one after the other. Each holds the interpreter."""

    def act() -> None:
        until = time.monotonic() + amount
        while time.monotonic() < until:
            gc.collect()

    _in_frame(controller, act)


@_fault
def fork(controller: sloppy.AppController, amount: float) -> None:
    """A child that ends at once."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def main() -> None:
    port_file = Path(sys.argv[1])
    HEAP.extend([] for _ in range(HEAP_OBJECTS))
    started = sloppy.HookServer.start

    def start(self: sloppy.HookServer) -> None:
        started(self)
        draft = port_file.with_name("draft")
        draft.write_text(str(self.server.server_address[1]))
        draft.rename(port_file)

    sloppy.HookServer.start = start  # type: ignore[method-assign]
    sys.argv[1:] = ["--hook-port", "0"]
    sloppy.main()


if __name__ == "__main__":
    assert faults.FAULTS
    main()
