"""Adds links to other reports: the picture and the logs of the app on which a failed test ran."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

#: Files in a generation's folder, and the names of the links to them.
_FILES = {
    "stderr.log": "app stderr",
    "stdout.log": "app stdout",
    "heartbeat.jsonl": "app heartbeat log",
    "health.json": "app health",
    "stacks.txt": "app stacks",
}
_TEXT_AT_MOST = 1024 * 1024


def attach(item: pytest.Item, report: pytest.TestReport, folder: Path, picture: Path | None) -> None:
    """Add links to JUnit's properties, to pytest-html and to allure, if these are in use.

    Args:
        item: the test.
        report: the report of the phase that failed, or at whose end the picture was taken.
        folder: the folder of the generation on which the test ran.
        picture: the picture of the app.
    """
    files = [folder / name for name in _FILES if (folder / name).exists()]
    properties = [("live_gui_folder", str(folder))]
    properties += [] if picture is None else [("live_gui_screenshot", str(picture))]
    item.user_properties += properties
    plugins = item.config.pluginmanager
    if plugins.hasplugin("html") and item.config.getoption("htmlpath", None):
        _to_pytest_html(item, report, files, picture)
    if plugins.hasplugin("allure_pytest") and item.config.getoption("allure_report_dir", None):
        _to_allure(files, picture)


def _to_pytest_html(
    item: pytest.Item, report: pytest.TestReport, files: list[Path], picture: Path | None
) -> None:
    from pytest_html import extras  # noqa: PLC0415

    added: list[Any] = []
    if picture is not None:
        added.append(extras.png(base64.b64encode(picture.read_bytes()).decode(), name="app"))
    page = Path(str(item.config.getoption("htmlpath"))).absolute().parent
    added += [extras.url(_link(file, page), name=_FILES[file.name]) for file in files]
    shown: list[Any] = getattr(report, "extras", [])
    setattr(report, "extras", [*shown, *added])  # noqa: B010 -- pytest-html's own, which no type has


def _link(file: Path, page: Path) -> str:
    """A relative link if possible, so that both files can be moved together."""
    try:
        return file.relative_to(page).as_posix()
    except ValueError:
        return file.as_uri()


def _to_allure(files: list[Path], picture: Path | None) -> None:
    allure: Any = sys.modules.get("allure")
    if allure is None:
        import allure  # type: ignore[no-redef]  # noqa: PLC0415
    if picture is not None:
        allure.attach.file(str(picture), name="app", attachment_type=allure.attachment_type.PNG)
    for file in files:
        if file.stat().st_size <= _TEXT_AT_MOST:
            allure.attach.file(str(file), name=_FILES[file.name], attachment_type=allure.attachment_type.TEXT)
