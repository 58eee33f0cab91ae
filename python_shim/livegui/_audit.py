"""Loaded into every pytest that ``livegui audit`` starts. It keeps only the tests that use the app."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from livegui._text import plain

#: Names the file for what the audit must know about the suite.
PROBE = "LIVEGUI_AUDIT_PROBE"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests that do not use the app: they would show nothing, and take time."""
    kept: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        (kept if "live_gui" in getattr(item, "fixturenames", ()) else others).append(item)
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = kept


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write what there is, if that is the purpose of this pytest."""
    path = os.environ.get(PROBE)
    if not path:
        return
    config = session.config
    command = config.getoption("live_gui_command") or config.getini("live_gui_command")
    known = {
        "tests": [plain(item.nodeid) for item in session.items],
        "command": command,
        "options": [name for name in ("numprocesses", "reruns", "no_cov") if hasattr(config.option, name)],
    }
    Path(path).write_text(json.dumps(known), encoding="utf-8")
