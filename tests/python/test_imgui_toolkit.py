"""The Dear ImGui adapter on the real toolkit, headless."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from imgui_bundle import hello_imgui, imgui, immapp

import livegui
from livegui.toolkits import imgui_bundle as live_imgui


def headless(show: Callable[[], None]) -> hello_imgui.RunnerParams:
    """Runner parameters for an app without a display."""
    params = hello_imgui.RunnerParams()
    params.platform_backend_type = hello_imgui.PlatformBackendType.null
    params.renderer_backend_type = hello_imgui.RendererBackendType.null
    params.ini_disable = True
    params.callbacks.show_gui = show

    def allow_textures() -> None:
        imgui.get_io().backend_flags |= imgui.BackendFlags_.renderer_has_textures.value

    params.callbacks.post_init = allow_textures
    return params


def frames_then(count: int, act: Callable[[], None]) -> Callable[[], None]:
    """A GUI that does something in its n-th frame."""
    frames = iter(range(count - 1))

    def show() -> None:
        imgui.text("hello")
        if next(frames, None) is None:
            act()

    return show


def close() -> None:
    hello_imgui.get_runner_params().app_shall_exit = True


@pytest.mark.parametrize("add_ons", [None, immapp.AddOnsParams()], ids=["hello_imgui", "immapp"])
def test_every_frame_is_a_beat_and_a_closed_window_a_normal_end(
    agent: livegui.Agent, add_ons: immapp.AddOnsParams | None
) -> None:
    before = agent.health()["checks"]["main_loop"]["beats"]
    live_imgui.run(headless(frames_then(30, close)), add_ons, agent=agent)
    document = agent.health()
    assert document["checks"]["main_loop"]["beats"] - before >= 30
    assert document["status"] == "stopping"
    assert document["reasons"] == []


def assert_in_frame(run_dir: str) -> None:
    """The child of the test below: runs an app that dies of an assertion and prints what is known."""
    agent = livegui.start("asserts", run_dir=run_dir)
    try:
        live_imgui.run(headless(frames_then(5, imgui.end_child)), agent=agent)
    except RuntimeError as error:
        print(json.dumps([str(error), agent.health()["reasons"]]))


def test_an_im_assert_is_a_crash_with_its_text_and_passes_through(tmp_path: Path) -> None:
    # In a process of its own: ImGui is of no use any more to the one that it happened in.
    code = "import sys, test_imgui_toolkit as t; t.assert_in_frame(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(
        command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=60, check=True
    )
    passed_through, (reason,) = json.loads(done.stdout.splitlines()[-1])
    assert passed_through.startswith("IM_ASSERT(")
    assert reason["code"] == "main_loop_crashed"
    assert reason["message"].startswith("RuntimeError: IM_ASSERT(")
    assert "test_imgui_toolkit.py" in reason["detail"]["traceback"]


def test_a_callback_that_was_set_is_still_called(agent: livegui.Agent) -> None:
    called = []
    params = headless(frames_then(5, close))
    params.callbacks.pre_new_frame = lambda: called.append(1)
    live_imgui.run(params)  # the agent of this process, which `agent` has started
    assert len(called) >= 5
    assert agent.health()["checks"]["main_loop"]["beats"] >= 5


def test_what_is_no_app_is_refused(agent: livegui.Agent) -> None:
    with pytest.raises(TypeError, match="not str"):
        live_imgui.run("app", agent=agent)  # type: ignore[arg-type]
    assert agent.health()["status"] == "ok"
