"""Which popups of Dear ImGui are open, for the toolkits that draw with ``imgui_bundle``."""

from __future__ import annotations

import functools
from typing import Any


def popups(imgui: Any) -> list[str]:
    """A name for each open popup, the outermost first. Modal windows have their title."""
    if not imgui.is_popup_open("", _any_popup(imgui)):
        return []
    try:
        stack = list(imgui.get_current_context().open_popup_stack)
    except (AttributeError, TypeError):  # a version whose stack is not visible
        return ["a popup of Dear ImGui"]
    return [_name(imgui, popup) for popup in stack]


@functools.cache
def _any_popup(imgui: Any) -> int:
    # The value of an enumeration takes a while to find, and this is asked in every frame.
    value: int = imgui.PopupFlags_.any_popup.value
    return value


def _name(imgui: Any, popup: Any) -> str:
    # A popup that was opened, but is never drawn, has no window.
    window = popup.window
    if window is None or not window.flags & imgui.WindowFlags_.modal.value:
        # Its window is named by a number too.
        return f"popup {popup.popup_id:#010x}"
    title = window.name.partition("##")[0]
    return f"modal {(title or window.name)!r}"
