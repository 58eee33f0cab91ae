"""Each test crashes the app and then polls, as suites do."""

import os

import pytest
from hook_client import HookClient


@pytest.mark.parametrize("number", range(int(os.environ["BENCH_CRASHES"])))
def test_crash(live_gui, number, request):
    handle, _script = live_gui
    hook = request.node.hook = HookClient(handle.hook_port)
    hook.fault("im_assert")
    hook.wait_until("project switch", lambda: hook.value("project_switch") == "done")
