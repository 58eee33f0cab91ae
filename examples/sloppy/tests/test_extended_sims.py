"""Four simulations of a user; the fourth kills the main loop, and does not notice."""

from __future__ import annotations

import time

from hook_client import HookClient


def test_context_sim_live(hook: HookClient) -> None:
    hook.click("btn_context_refresh")
    hook.wait_until("context refresh", lambda: hook.value("context_files") > 0)


def test_ai_settings_sim_live(hook: HookClient) -> None:
    hook.click("btn_ai_model_large")
    hook.wait_until("model change", lambda: hook.value("ai_model") == "large")


def test_tools_sim_live(hook: HookClient) -> None:
    before = hook.value("tool_search")
    hook.click("btn_tool_search")
    hook.wait_until("tool toggle", lambda: hook.value("tool_search") is not before)


def test_execution_sim_live(hook: HookClient) -> None:
    hook.click("btn_execution_run")
    time.sleep(0.5)  # let it run a little
    # The main loop is dead by now. The hook server does not know.
    assert hook.status()["hook_server"] == "ok"


def test_execution_result_sim_live(hook: HookClient) -> None:
    frames = hook.value("frames")
    hook.wait_until("next frame", lambda: hook.value("frames") > frames)
