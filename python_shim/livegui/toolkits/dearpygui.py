"""Dear PyGui: one call that runs the app instead of ``dpg.start_dearpygui()``.

::

    from livegui.toolkits import dearpygui as live_dpg

    dpg.setup_dearpygui()
    dpg.show_viewport()
    live_dpg.run(agent)
    dpg.destroy_context()
"""

from __future__ import annotations

import _thread
import contextlib
import functools
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import dearpygui.dearpygui as dpg

from livegui.toolkits._common import ExceptHook, Frames, wrap

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, ModuleType

    from livegui import Agent
    from livegui._inject import Injection

__all__ = ["install", "patch", "run"]

#: A callback that runs for longer than this many seconds is reported as open, and no longer as a short wait.
_LONG_S = 1.0
#: How often to check for callbacks and open windows while nothing asks, in seconds.
_LOOK_EVERY_S = 0.05
#: The outermost code of a thread of ``threading``, which that does not list before it runs.
_STARTING = threading.Thread._bootstrap.__code__  # type: ignore[attr-defined]


def install(agent: Agent) -> Frames:
    """Record what callbacks raise; for an app that has its own render loop.

    Dear PyGui runs callbacks on a separate thread, and prints what they raise. It is still printed. A
    ``sys.exit()`` in a callback does not end the app: that thread then stays in the interpreter's shutdown.

    Returns:
        An object whose ``beat()`` you call once a frame. While a callback runs, the app does nothing else
        for its users, so for up to a second this does not beat. It also reports which modal windows and
        popups are open, and which callback runs for longer than that.
    """
    ExceptHook(agent, "gui")
    callbacks = _Callbacks()
    wrap(agent, _thread, "start_new_thread", callbacks.around_start)
    waker = _Waker(agent)
    agent.wake_with(waker.wake)
    agent._lookouts["dearpygui"] = waker
    return _Frames(agent, callbacks)


def run(agent: Agent) -> None:
    """Run the app until its window closes. Every frame is a beat.

    An exception that leaves a frame is reported as ``main_loop_crashed`` and passes through.
    """
    frames = install(agent)
    with agent.main_loop():
        while dpg.is_dearpygui_running():
            frames.beat()
            dpg.render_dearpygui_frame()
        agent.stopping()


def patch(injection: Injection, module: ModuleType) -> None:
    """Install the agent in an unchanged app at its first frame, or when it calls ``start_dearpygui()``."""
    if module.__name__.endswith("._dearpygui"):
        frames = injection.frames("dearpygui's frames", lambda agent: install(agent).beat, own_loop=True)

        def render(original: Callable[..., Any]) -> Callable[..., Any]:
            def render_dearpygui_frame(*arguments: Any, **options: Any) -> Any:
                frames.beat()
                return original(*arguments, **options)

            return render_dearpygui_frame

        injection.wrap(module, "render_dearpygui_frame", render)
    else:
        injection.wrap(module, "start_dearpygui", lambda original: _running(injection, original))


def _running(injection: Injection, original: Callable[..., Any]) -> Callable[..., Any]:
    def start_dearpygui(*arguments: Any, **options: Any) -> Any:
        with injection.loop("dearpygui's loop", lambda agent: None):
            return original(*arguments, **options)

    return start_dearpygui


class _Callbacks:
    """The callbacks on Dear PyGui's own thread, which has a Python frame only while one runs."""

    def __init__(self) -> None:
        #: The outermost frame of the callback that ran at the last check; each call has a different one.
        self._frame: FrameType | None = None
        self._since = 0.0
        #: Threads that run other code, which ``threading`` does not know: those of ``_thread``, and any that
        #: were there before the first frame, and so before the first callback.
        self._others = set(sys._current_frames())

    def around_start(self, start: Callable[..., int]) -> Callable[..., int]:
        """Wraps ``_thread.start_new_thread``, whose threads look like a callback's."""

        @functools.wraps(start)
        def start_new_thread(*arguments: Any, **options: Any) -> int:
            ident = start(*arguments, **options)
            self._others.add(ident)
            return ident

        return start_new_thread

    def look(self) -> None:
        """Checks what runs now."""
        before, self._frame = self._frame, self._outermost()
        if self._frame is not before:
            self._since = time.monotonic()

    def is_busy(self) -> bool:
        """Whether a callback runs, but has not run for long."""
        return self._frame is not None and not self._is_long()

    def told(self) -> list[str]:
        """The callback that has run for long, if there is one."""
        if self._frame is None or not self._is_long():
            return []
        code = self._frame.f_code
        file = os.path.basename(code.co_filename)  # noqa: PTH119 -- no pathlib in the GUI
        return [f"a callback that still runs: {code.co_name} ({file}:{code.co_firstlineno})"]

    def _is_long(self) -> bool:
        return time.monotonic() - self._since >= _LONG_S

    def _outermost(self) -> FrameType | None:
        frames = sys._current_frames()
        self._others.intersection_update(frames)  # a later thread may get the number of one that has ended
        # If a callback asks threading for its thread, it gets a dummy, which stays on the list.
        dummy = threading._DummyThread
        known = {thread.ident for thread in threading.enumerate() if not isinstance(thread, dummy)}
        for ident, frame in frames.items():
            if ident not in known and ident not in self._others:
                while frame.f_back is not None:
                    frame = frame.f_back  # noqa: PLW2901 -- on the way to the outermost
                if frame.f_code is not _STARTING:
                    return frame
        return None


class _Waker:
    """Wakes a loop that waits for input (``wait_for_input``)."""

    def __init__(self, agent: Agent) -> None:
        self._native = agent._native
        self.wake = _post()

    def look(self) -> None:
        """Wakes the loop until it has answered a check, on the canary's thread.

        While a callback runs it does not answer, and the end of the callback does not wake it.
        """
        if self._native.question is not None:
            self.wake()


def _post() -> Callable[[], object]:
    """What wakes the thread that shows the frames, which is this one. The app sees no event."""
    import ctypes  # noqa: PLC0415 -- most apps don't need it

    with contextlib.suppress(AttributeError, OSError):
        if sys.platform == "win32":
            post = ctypes.WinDLL("user32").PostThreadMessageW
            return functools.partial(post, threading.get_native_id(), 0, 0, 0)
        found: Callable[[], object] = ctypes.CDLL(
            sys.modules["dearpygui._dearpygui"].__file__
        ).glfwPostEmptyEvent
        return found
    return _nothing


def _nothing() -> None:
    pass


class _Frames(Frames):
    def __init__(self, agent: Agent, callbacks: _Callbacks) -> None:
        super().__init__(agent, lambda: _left_open() + callbacks.told())
        self._callbacks = callbacks
        self._native = agent._native
        self._next_look = 0.0
        self._is_busy = False

    def beat(self) -> None:
        """Report that the main loop and the callbacks run."""
        now = time.monotonic()
        # An answer to a check must say what is open now. Otherwise, looking at every frame would cost too
        # much. A callback may run at any time; if a check has come with it, the next frame answers.
        question = self._native.question
        if now < self._next_look and not self._is_busy and question is None:
            self._native.beat_unless_asked(question)
            return
        self._next_look = now + _LOOK_EVERY_S
        self._callbacks.look()
        self._is_busy = self._callbacks.is_busy()
        if self._is_busy:
            return
        self.look()
        self._native.beat_unless_asked(question)


def _left_open() -> list[str]:
    things = []
    for window in dpg.get_windows():
        setup = dpg.get_item_configuration(window)
        if setup.get("show") and (setup.get("modal") or setup.get("popup")):
            kind = "modal window" if setup.get("modal") else "popup"
            things.append(f"{kind} {dpg.get_item_label(window) or window!r}")
    return things
