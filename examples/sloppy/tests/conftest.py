"""The fixture ``live_gui`` comes from livegui; what a test does with the app goes through ``hook``."""

from __future__ import annotations

from typing import Any

import pytest
from hook_client import HookClient


@pytest.fixture
def hook(live_gui: Any) -> HookClient:
    handle, _script = live_gui
    return HookClient(handle.hook_port)
