"""Loaded into every pytest that ``livegui audit`` starts: it keeps to the tests of the app."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

#: Names the file that what is known of the suite goes to.
PROBE = "LIVEGUI_AUDIT_PROBE"

_PARENT = os.getppid()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What does not use the app tells nothing, and takes time."""
    others = [item for item in items if "live_gui" not in getattr(item, "fixturenames", ())]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tell what there is, if that is what this pytest is for."""
    path = os.environ.get(PROBE)
    if not path:
        return
    config = session.config
    command = config.getoption("live_gui_command") or config.getini("live_gui_command")
    known = {
        "tests": [item.nodeid for item in session.items],
        "rootdir": str(config.rootpath),
        "command": command,
        "options": [name for name in ("numprocesses", "reruns", "no_cov") if hasattr(config.option, name)],
    }
    Path(path).write_text(json.dumps(known), encoding="utf-8")


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Nobody follows any more: an audit that was killed leaves no pytest behind."""
    if os.getppid() != _PARENT:
        item.session.shouldstop = "the audit that started this is gone"
