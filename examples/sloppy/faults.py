"""One function, one fault: what a test can make go wrong in the app.

Reached by the hook server: ``POST /fault {"fault": NAME, ...}``; the other keys are its arguments.
A fault of the main loop is put into the next frame, any other happens on the hook server's thread.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from imgui_bundle import hello_imgui, imgui

if TYPE_CHECKING:
    from sloppy import AppController

FAULTS: dict[str, Callable[..., None]] = {}


def _fault(function: Callable[..., None]) -> Callable[..., None]:
    FAULTS[function.__name__] = function
    return function


def _in_frame(controller: AppController, act: Callable[[], Any]) -> None:
    def task() -> None:
        act()

    controller.gui_tasks.put(task)


@_fault
def im_assert(controller: AppController) -> None:
    """ImGui's own assertion, in the next frame. ``asserted_at_ns`` tells when, on the monotonic clock."""

    def act() -> None:
        controller.values["asserted_at_ns"] = time.monotonic_ns()
        imgui.end_child()

    _in_frame(controller, act)


@_fault
def raise_in_frame(controller: AppController, text: str = "out of cheese") -> None:
    """An exception of the app's own out of a frame."""

    def act() -> None:
        raise ValueError(text)

    _in_frame(controller, act)


@_fault
def hang(controller: AppController, seconds: float = 10.0) -> None:
    """The main loop does not come back for a while; the interpreter is free."""
    _in_frame(controller, lambda: time.sleep(seconds))


@_fault
def hold_gil(controller: AppController, seconds: float = 10.0) -> None:
    """Native code keeps the interpreter lock: no Python thread runs."""
    milliseconds = int(seconds * 1000)
    if sys.platform == "win32":
        _in_frame(controller, lambda: ctypes.PyDLL("kernel32").Sleep(milliseconds))
    else:
        _in_frame(controller, lambda: ctypes.PyDLL(None).usleep(milliseconds * 1000))


@_fault
def leave_loop(controller: AppController) -> None:
    """The loop returns as if somebody had closed the window, unannounced: the agent is not told."""
    _in_frame(controller, lambda: setattr(hello_imgui.get_runner_params(), "app_shall_exit", True))


@_fault
def shut_pool(controller: AppController) -> None:
    """Somebody gives up the I/O pool too early."""
    controller.close()


@_fault
def exit_process(controller: AppController, status: int = 3) -> None:
    """The process is gone at once, without any clean-up."""
    os._exit(status)


@_fault
def crash_process(controller: AppController) -> None:
    """The process is gone by a segmentation fault, on Windows an access violation."""
    if sys.platform == "win32":
        faulthandler._read_null()
    os.kill(os.getpid(), signal.SIGSEGV)


@_fault
def talk(controller: AppController, lines: int = 100_000) -> None:
    """A flood on standard error: whoever starts the app must read it or send it to a file."""
    for number in range(lines):
        sys.stderr.write(f"line {number}: so much to say\n")
