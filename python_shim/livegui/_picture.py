"""Takes a picture of an app's windows: ``python -m livegui._picture FILE PID...``. Needs ``mss``.

This is a separate program, so that a problem with the display ends nothing else. If it cannot take a
picture, it writes the reason to standard output, and exits with status 1.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How deep below the root window a window manager may put an app's window.
_DEPTH = 4
_XA_CARDINAL = 6
_IS_VIEWABLE = 2


class Window(NamedTuple):
    """A visible window, in pixels of the whole screen."""

    pid: int
    left: int
    top: int
    width: int
    height: int


class NoPicture(Exception):
    """No picture can be taken; the text says why."""


def main(words: list[str]) -> int:
    """Take the picture."""
    path, *pids = words
    try:
        take(path, {int(pid) for pid in pids})
    except Exception as error:  # noqa: BLE001 -- the program that started this shows it
        sys.stdout.write(str(error) or type(error).__name__)
        return 1
    return 0


def take(path: str, pids: set[int]) -> None:
    """Write a PNG of the windows of these processes, or of the whole screen if no windows are known."""
    import mss  # noqa: PLC0415
    import mss.tools  # noqa: PLC0415

    windows = list_windows()
    ours = [window for window in windows or () if window.pid in pids]
    if windows and not ours:
        raise NoPicture("the app has no window on the screen")
    with mss.mss() as screen:
        whole = screen.monitors[0]
        shot = screen.grab(around(ours, whole) if ours else whole)
        mss.tools.to_png(shot.rgb, shot.size, output=path)


def around(windows: list[Window], screen: dict[str, int]) -> dict[str, int]:
    """The part of the screen that these windows cover."""
    left = max(screen["left"], min(window.left for window in windows))
    top = max(screen["top"], min(window.top for window in windows))
    right = min(screen["left"] + screen["width"], max(window.left + window.width for window in windows))
    bottom = min(screen["top"] + screen["height"], max(window.top + window.height for window in windows))
    if right <= left or bottom <= top:
        raise NoPicture("the app's window is outside of the screen")
    return {"left": left, "top": top, "width": right - left, "height": bottom - top}


def list_windows() -> list[Window] | None:
    """The visible windows whose processes are known; None if the system does not tell."""
    if sys.platform == "win32":
        return _of_windows()
    if os.environ.get("DISPLAY") and sys.platform != "darwin":
        return _of_x11()
    return None


class _Attributes(ctypes.Structure):
    """The beginning of ``XWindowAttributes``, and room for the rest."""

    _fields_ = [
        ("x", ctypes.c_int),
        ("y", ctypes.c_int),
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("border_width", ctypes.c_int),
        ("depth", ctypes.c_int),
        ("visual", ctypes.c_void_p),
        ("root", ctypes.c_ulong),
        ("class_", ctypes.c_int),
        ("bit_gravity", ctypes.c_int),
        ("win_gravity", ctypes.c_int),
        ("backing_store", ctypes.c_int),
        ("backing_planes", ctypes.c_ulong),
        ("backing_pixel", ctypes.c_ulong),
        ("save_under", ctypes.c_int),
        ("colormap", ctypes.c_ulong),
        ("map_installed", ctypes.c_int),
        ("map_state", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    ]


@contextmanager
def _x11() -> Iterator[tuple[Any, ctypes.c_void_p]]:
    name = ctypes.util.find_library("X11")
    if name is None:
        raise NoPicture("libX11 is not installed")
    x11 = ctypes.CDLL(name)
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XDefaultRootWindow.restype = ctypes.c_ulong
    x11.XInternAtom.restype = ctypes.c_ulong
    display = ctypes.c_void_p(x11.XOpenDisplay(None))
    if not display:
        raise NoPicture(f"the display {os.environ.get('DISPLAY')} cannot be opened")
    # A window that vanishes while it is examined is no error.
    handler = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(lambda *_: 0)
    x11.XSetErrorHandler(handler)
    try:
        yield x11, display
    finally:
        x11.XCloseDisplay(display)


def _of_x11() -> list[Window]:
    with _x11() as (x11, display):
        root = x11.XDefaultRootWindow(display)
        of_pid = x11.XInternAtom(display, b"_NET_WM_PID", 0)
        found = []
        left: list[tuple[int, int]] = [(root, 0)]
        while left:
            window, depth = left.pop()
            pid = _cardinal(x11, display, window, of_pid)
            if pid is not None and (shown := _place(x11, display, window, root)) is not None:
                found.append(Window(pid, *shown))
            if depth < _DEPTH:
                left += [(child, depth + 1) for child in _children(x11, display, window)]
        return found


def _children(x11: Any, display: ctypes.c_void_p, window: int) -> list[int]:
    unused, list_of, count = ctypes.c_ulong(), ctypes.POINTER(ctypes.c_ulong)(), ctypes.c_uint()
    done = x11.XQueryTree(
        display,
        ctypes.c_ulong(window),
        ctypes.byref(unused),
        ctypes.byref(unused),
        ctypes.byref(list_of),
        ctypes.byref(count),
    )
    if not done or not list_of:
        return []
    children = list_of[: count.value]
    x11.XFree(list_of)
    return children


def _cardinal(x11: Any, display: ctypes.c_void_p, window: int, name: int) -> int | None:
    kind, width, count, rest = ctypes.c_ulong(), ctypes.c_int(), ctypes.c_ulong(), ctypes.c_ulong()
    data = ctypes.POINTER(ctypes.c_ulong)()
    failed = x11.XGetWindowProperty(
        display,
        ctypes.c_ulong(window),
        ctypes.c_ulong(name),
        ctypes.c_long(0),
        ctypes.c_long(1),
        0,
        ctypes.c_ulong(_XA_CARDINAL),
        ctypes.byref(kind),
        ctypes.byref(width),
        ctypes.byref(count),
        ctypes.byref(rest),
        ctypes.byref(data),
    )
    if failed or not data:
        return None
    value = int(data[0]) if count.value else None
    x11.XFree(data)
    return value


def _place(x11: Any, display: ctypes.c_void_p, window: int, root: int) -> tuple[int, int, int, int] | None:
    seen = _Attributes()
    if not x11.XGetWindowAttributes(display, ctypes.c_ulong(window), ctypes.byref(seen)):
        return None
    if seen.map_state != _IS_VIEWABLE or seen.width < 2 or seen.height < 2:
        return None
    left, top, child = ctypes.c_int(), ctypes.c_int(), ctypes.c_ulong()
    x11.XTranslateCoordinates(
        display,
        ctypes.c_ulong(window),
        ctypes.c_ulong(root),
        0,
        0,
        ctypes.byref(left),
        ctypes.byref(top),
        ctypes.byref(child),
    )
    return left.value, top.value, seen.width, seen.height


def _of_windows() -> list[Window]:
    windll: Any = getattr(ctypes, "windll")  # noqa: B009 -- only there on Windows
    winfunctype: Any = getattr(ctypes, "WINFUNCTYPE")  # noqa: B009
    user32 = windll.user32
    found: list[Window] = []

    def look(window: int, _: int) -> bool:
        pid, corners = ctypes.c_ulong(), (ctypes.c_long * 4)()
        if user32.IsWindowVisible(ctypes.c_void_p(window)):
            user32.GetWindowThreadProcessId(ctypes.c_void_p(window), ctypes.byref(pid))
            user32.GetWindowRect(ctypes.c_void_p(window), ctypes.byref(corners))
            left, top, right, bottom = corners
            if right - left > 1 and bottom - top > 1:
                found.append(Window(pid.value, left, top, right - left, bottom - top))
        return True

    user32.EnumWindows(winfunctype(ctypes.c_bool, ctypes.c_void_p, ctypes.c_void_p)(look), None)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
