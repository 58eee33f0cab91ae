"""Loaded into every pytest that ``livegui audit`` starts: it keeps to the tests of the app."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from livegui._text import plain

#: Names the file that what is known of the suite goes to.
PROBE = "LIVEGUI_AUDIT_PROBE"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What does not use the app tells nothing, and takes time."""
    kept: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        (kept if "live_gui" in getattr(item, "fixturenames", ()) else others).append(item)
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = kept


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tell what there is, if that is what this pytest is for."""
    path = os.environ.get(PROBE)
    if not path:
        return
    config = session.config
    command = config.getoption("live_gui_command") or config.getini("live_gui_command")
    known = {
        "tests": [plain(item.nodeid) for item in session.items],
        "rootdir": str(config.rootpath),
        "command": command,
        "options": [name for name in ("numprocesses", "reruns", "no_cov") if hasattr(config.option, name)],
    }
    Path(path).write_text(json.dumps(known), encoding="utf-8")
