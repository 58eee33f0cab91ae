"""The workflow that was blamed for what another file had done."""

from __future__ import annotations

from hook_client import HookClient


def test_full_live_workflow(hook: HookClient) -> None:
    hook.click("btn_project_new_automated")
    hook.wait_until("project switch", lambda: hook.value("project_switch") == "done")
    assert hook.value("project").startswith("project-")
