"""GLFW, for example under Dear ImGui: one call makes every look at the event queue a beat.

::

    from livegui.toolkits import glfw as live_glfw

    live_glfw.install(agent)
    with agent.main_loop():
        while not glfw.window_should_close(window):
            glfw.poll_events()
            draw()
        agent.stopping()
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

import glfw

from livegui.toolkits._common import Frames, wrap
from livegui.toolkits._popups import popups

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from livegui import Agent
    from livegui._inject import Injection
    from livegui._loops import FrameLoop

__all__ = ["install", "patch"]

#: The functions with which a loop takes its events, once a frame.
_LOOKS = ("poll_events", "wait_events", "wait_events_timeout")
#: Those that sleep until there is an event.
_WAITS = ("wait_events", "wait_events_timeout")


def install(agent: Agent) -> None:
    """Make ``glfw.poll_events()``, ``wait_events()`` and ``wait_events_timeout()`` beat.

    A loop that sleeps in ``glfw.wait_events()`` is woken when livegui checks whether it runs. Open popups of
    Dear ImGui are reported if it is the one of ``imgui_bundle``. Exceptions in GLFW's callbacks leave the
    app's loop.
    """
    frames = _wire(agent)
    for name in _LOOKS:
        wrap(agent, glfw, name, lambda look: _beating(frames, look))


def patch(injection: Injection, module: ModuleType) -> None:
    """Install the agent in an unchanged app when it looks at the event queue again and again."""
    frames = injection.frames("glfw's events", lambda agent: _wire(agent).beat)
    for name in _LOOKS:
        wrapper = _waiting if name in _WAITS else _beating
        injection.wrap(module, name, lambda look, wrapper=wrapper: wrapper(frames, look))  # type: ignore[misc]


def _wire(agent: Agent) -> Frames:
    wake = _Wake(glfw.post_empty_event)
    agent.wake_with(wake)
    for name, around in (("init", wake.around_init), ("terminate", wake.around_terminate)):
        if hasattr(glfw, name):
            wrap(agent, glfw, name, around)
    return Frames(agent, _popups)


class _Wake:
    """Wakes a loop that waits for events, unless GLFW was terminated: it would print a warning then."""

    def __init__(self, post: Callable[[], object]) -> None:
        self._post = post
        self._can_wake = True

    def __call__(self) -> None:
        if self._can_wake:
            self._post()

    def around_init(self, init: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(init)
        def wrapped(*arguments: Any, **options: Any) -> Any:
            done = init(*arguments, **options)
            self._can_wake = True
            return done

        return wrapped

    def around_terminate(self, terminate: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(terminate)
        def wrapped(*arguments: Any, **options: Any) -> Any:
            self._can_wake = False
            return terminate(*arguments, **options)

        return wrapped


def _beating(frames: Frames | FrameLoop, look: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(look)
    def beating(*arguments: Any, **options: Any) -> Any:
        frames.beat()
        return look(*arguments, **options)

    return beating


def _waiting(frames: FrameLoop, look: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(look)
    def waiting(*arguments: Any, **options: Any) -> Any:
        frames.beat_of_wait()
        return look(*arguments, **options)

    return waiting


def _popups() -> list[str]:
    imgui: Any = sys.modules.get("imgui_bundle.imgui") or getattr(
        sys.modules.get("imgui_bundle"), "imgui", None
    )
    return [] if imgui is None or imgui.get_current_context() is None else popups(imgui)
