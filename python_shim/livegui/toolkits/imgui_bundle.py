"""Dear ImGui with `imgui-bundle`: one call runs the app, with beats and crash reporting.

::

    from livegui.toolkits import imgui_bundle as live_imgui

    live_imgui.run(params)  # instead of hello_imgui.run(params) or immapp.run(params, add_ons)
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from imgui_bundle import hello_imgui, imgui, immapp

import livegui
from livegui.toolkits._common import Frames, wrap
from livegui.toolkits._popups import popups

if TYPE_CHECKING:
    from types import ModuleType

    from livegui import Agent
    from livegui._inject import Injection
    from livegui._loops import FrameLoop

__all__ = ["patch", "run"]

#: The last number that SDL 2 has for the events of apps, because apps count theirs from the first.
_WAKE_EVENT = 0xFFFE
#: The names under which an app can pass what to run, and the name under which livegui passes it on.
_RUN = {"runner_params": "runner_params", "simple_params": "runner_params", "gui_function": "gui_function"}


def run(
    params: hello_imgui.RunnerParams | hello_imgui.SimpleRunnerParams | Callable[[], None],
    add_ons: immapp.AddOnsParams | None = None,
    *,
    agent: Agent | None = None,
) -> None:
    """Run the app until its window closes. Every frame is a beat.

    Open popups are reported, and an app that idles is woken when livegui checks whether it runs. Callbacks
    that are already set stay, and are still called. Closing the window,
    or setting ``params.app_shall_exit``, is a normal end. An exception that leaves a frame (an ``IM_ASSERT``
    is a ``RuntimeError``) is reported as ``main_loop_crashed`` and passes through.

    Args:
        params: what ``hello_imgui.run`` takes: runner parameters, simple ones, or a GUI function.
        add_ons: the add-ons for ``immapp.run``; if they are given, ``immapp`` runs the app.
        agent: the agent to report to. Default: the agent of this process, which is started if necessary.
    """
    agent = agent or livegui.start()
    full = _full(params)
    with agent.main_loop(), _beating(agent, full):
        if add_ons is None:
            hello_imgui.run(full)
        else:
            immapp.run(full, add_ons)
        if full.app_shall_exit:
            agent.stopping()


def patch(injection: Injection, module: ModuleType) -> None:
    """Install the agent in an unchanged app when it runs, whichever function it uses for that."""
    runners: list[tuple[Any, str]] = [(hello_imgui, "run"), (immapp, "run"), (immapp, "run_with_markdown")]
    for owner, name in runners:
        injection.wrap(owner, name, lambda original, name=name: _running(injection, name, original))  # type: ignore[misc]
    framed: list[tuple[Any, str, Callable[[Agent], Callable[[], object]]]] = [
        (hello_imgui.manual_render, "render", _wire),
        (immapp.manual_render, "render", _wire),
        (imgui, "new_frame", lambda agent: _wire_on_python_backend(injection, agent)),
    ]
    for owner, name, wire in framed:
        frames = injection.frames(f"{owner.__name__}.{name}()", wire)
        injection.wrap(owner, name, lambda original, frames=frames: _framed(frames, original))  # type: ignore[misc]


def _wire(agent: Agent) -> Callable[[], object]:
    return Frames(agent, _popups).beat


def _wire_on_python_backend(injection: Injection, agent: Agent) -> Callable[[], object]:
    sdl2: Any = sys.modules.get("sdl2")
    beat = _wire(agent)
    if sdl2 is not None:
        agent.wake_with(lambda: _wake(sdl2))
        turn = injection.of_own_loop(agent, beat)
        for name in ("SDL_PollEvent", "SDL_WaitEvent", "SDL_WaitEventTimeout"):
            wrap(agent, sdl2, name, lambda look: _without_ours(turn, look))
    return beat


def _without_ours(turn: Callable[[], object], look: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a function of SDL that takes an event. The app does not get the one that wakes it."""

    @functools.wraps(look)
    def looking(event: Any, *timeout: Any, **options: Any) -> Any:
        if options:
            return look(event, *timeout, **options)
        began = monotonic()
        found = look(event, *timeout)
        while found and _is_ours(event):
            turn()
            waited_ms = int((monotonic() - began) * 1000)
            left = [max(given - waited_ms, 0) if given > 0 else given for given in timeout]
            found = look(event, *left)
        return found

    return looking


def _is_ours(event: Any) -> bool:
    """Whether the event, its address or a pointer to it is the one that wakes. There may be none."""
    event = getattr(event, "_obj", event)
    event = event.contents if hasattr(event, "contents") and event else event
    return getattr(event, "type", None) == _WAKE_EVENT


def _wake(sdl2: Any) -> None:
    """Wakes a loop that sleeps in ``SDL_WaitEvent()``."""
    event = sdl2.SDL_Event()
    event.type = _WAKE_EVENT
    sdl2.SDL_PushEvent(event)  # any thread may do that


def _running(injection: Injection, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def run(*arguments: Any, **options: Any) -> Any:
        loop = injection.loop(f"imgui_bundle's {name}()", lambda agent: None)
        with loop:
            if loop.agent is None:
                return original(*arguments, **options)
            with _beating_arguments(loop.agent, arguments, options) as (beating, named):
                return original(*beating, **named)

    return run


def _framed(frames: FrameLoop, original: Callable[..., Any]) -> Callable[..., Any]:
    def framed(*arguments: Any, **options: Any) -> Any:
        frames.beat()
        return original(*arguments, **options)

    return framed


@contextmanager
def _beating_arguments(
    agent: Agent, arguments: tuple[Any, ...], options: dict[str, Any]
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """What to run is the first argument, or has one of these names. Each overload takes one."""
    if arguments:
        with _beating(agent, arguments[0]) as first:
            yield (first, *arguments[1:]), options
        return
    name = next((name for name in _RUN if name in options), None)
    if name is None:
        yield arguments, options
        return
    rest = {other: value for other, value in options.items() if other != name}
    with _beating(agent, options[name]) as given:
        yield arguments, {_RUN[name]: given, **rest}


@contextmanager
def _beating(agent: Agent, given: Any) -> Iterator[Any]:
    """Yields what to run instead, which beats once a frame, and restores the given parameters afterwards."""
    agent.wake_with(_refresh())
    try:
        with _beating_frames(agent, given) as beating:
            yield beating
    finally:
        agent.wake_with(_nothing)


def _refresh() -> Callable[[], object]:
    """Ends the wait of an app that idles, which has a frame a second, or fewer."""
    if hasattr(hello_imgui, "request_refresh"):
        return hello_imgui.request_refresh
    # Older versions wait in GLFW, whose library they name in the environment. It ignores a call before its
    # start.
    import ctypes  # noqa: PLC0415 -- newer versions don't need it

    try:
        post: Callable[[], object] = ctypes.CDLL(os.environ["PYGLFW_LIBRARY"]).glfwPostEmptyEvent
    except (KeyError, OSError, AttributeError):
        return _nothing
    return post


@contextmanager
def _beating_frames(agent: Agent, given: Any) -> Iterator[Any]:
    beat = Frames(agent, _popups).beat
    if callable(given):

        def gui_function() -> None:
            beat()
            given()

        yield gui_function
    elif isinstance(given, (hello_imgui.RunnerParams, hello_imgui.SimpleRunnerParams)):
        full = _full(given)
        given_before: Callable[[], None] | None = full.callbacks.pre_new_frame
        before = given_before or _nothing

        # Before the frame, so that a frame that hangs or raises counts as one that began and had no
        # successor.
        def pre_new_frame() -> None:
            before()
            beat()

        full.callbacks.pre_new_frame = pre_new_frame
        try:
            yield full
        finally:
            if full.callbacks.pre_new_frame is pre_new_frame:
                full.callbacks.pre_new_frame = before  # it cannot be set to nothing
    else:  # if it is wrong, the toolkit says so
        yield given


def _full(
    params: hello_imgui.RunnerParams | hello_imgui.SimpleRunnerParams | Callable[[], None],
) -> hello_imgui.RunnerParams:
    if isinstance(params, hello_imgui.RunnerParams):
        return params
    if isinstance(params, hello_imgui.SimpleRunnerParams):
        return params.to_runner_params()
    if not callable(params):
        raise TypeError(f"run() takes runner parameters or a GUI function, not {type(params).__name__}")
    full = hello_imgui.RunnerParams()
    full.callbacks.show_gui = params
    return full


def _popups() -> list[str]:
    return popups(imgui)


def _nothing() -> None:
    pass
