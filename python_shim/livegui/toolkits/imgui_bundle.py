"""Dear ImGui by `imgui-bundle`: one call that runs the app with beats and crash reporting.

::

    from livegui.toolkits import imgui_bundle as live_imgui

    live_imgui.run(params)  # instead of hello_imgui.run(params) or immapp.run(params, add_ons)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from imgui_bundle import hello_imgui, imgui, immapp

import livegui
from livegui.toolkits._common import Frames

if TYPE_CHECKING:
    from livegui import Agent

__all__ = ["run"]


def run(
    params: hello_imgui.RunnerParams | hello_imgui.SimpleRunnerParams | Callable[[], None],
    add_ons: immapp.AddOnsParams | None = None,
    *,
    agent: Agent | None = None,
) -> None:
    """Run the app until its window closes; every frame is a beat.

    Open popups are told. Callbacks that are set already stay and are called as before. A window that is
    closed, or ``params.app_shall_exit``, is a normal end; an exception out of a frame (an ``IM_ASSERT`` is a
    ``RuntimeError``) is ``main_loop_crashed`` and passes through.

    Args:
        params: what ``hello_imgui.run`` takes: runner parameters, simple ones, or a GUI function.
        add_ons: what ``immapp.run`` takes besides; with them the app is run by ``immapp``.
        agent: the agent to tell; the one of this process, started if need be, if none is given.
    """
    agent = agent or livegui.start()
    full = _full(params)
    _beat_every_frame(full, agent)
    with agent.main_loop():
        if add_ons is None:
            hello_imgui.run(full)
        else:
            immapp.run(full, add_ons)
        if full.app_shall_exit:
            agent.stopping()


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
    return ["a popup of Dear ImGui"] if imgui.is_popup_open("", imgui.PopupFlags_.any_popup.value) else []


def _beat_every_frame(params: hello_imgui.RunnerParams, agent: Agent) -> None:
    # Before the frame: a frame that hangs or raises is then one that was begun and not followed.
    before = params.callbacks.pre_new_frame
    beat = Frames(agent, _popups).beat
    params.callbacks.pre_new_frame = beat if before is None else hello_imgui.sequence_functions(before, beat)
