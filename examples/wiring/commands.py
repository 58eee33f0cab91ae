"""Does in an app what a test writes into ``$LIVEGUI_STATE_DIR/command``: ways to freeze, to fail and to end.

``crash text``   an exception that leaves the main loop; where none can, the process aborts
``raise text``   an exception in a callback
``hang s``       a callback that sleeps
``deadlock``     a callback that waits for a lock which it holds
``spin``         a callback that never returns from a loop of Python code
``hold s``       native code that holds the interpreter
``exit n``       ``sys.exit(n)``
``raise_exit n`` ``raise SystemExit(n)``
``quit``         the app's own way to end, as when its window is closed
``dialog``       a modal dialog, or a grab
``message``      a message box of the system's
``popup``, ``loop``, ``inner``  what else can be open: a popup, a nested loop, a popup over the dialog
``grab_mouse``, ``grab_keyboard``  Qt: the window alone gets what the mouse or the keyboard does
``critical``, ``fatal``, ``destroyed``  messages of Qt's: of the app, and of Qt when a thread is destroyed
``thread text``  an exception in a thread
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path


def hold(seconds: float) -> None:
    """Native code that keeps the interpreter to itself."""
    if sys.platform == "win32":
        ctypes.PyDLL("kernel32").Sleep(int(seconds * 1e3))
    else:
        ctypes.PyDLL(None).usleep(int(seconds * 1e6))


class Commands:
    """Reads one command at a time. Call it where the app's callbacks run, a few times a second.

    Args:
        dialog: opens a modal dialog.
        crash: makes an exception leave the main loop.
        more: what else the app does, by command.
    """

    def __init__(
        self,
        dialog: Callable[[], object] | None = None,
        crash: Callable[[str], object] | None = None,
        **more: Callable[[], object],
    ) -> None:
        self._more = more if dialog is None else {"dialog": dialog, **more}
        self._crash = crash
        folder = os.environ.get("LIVEGUI_STATE_DIR")
        self._file = Path(folder) / "command" if folder else None

    def __call__(self) -> None:
        """Do what is written, if something is."""
        if self._file is None or not self._file.exists():
            return
        # Taken before it is read: the next one may come meanwhile.
        text = self._file.replace(self._file.with_name("taken")).read_text()
        what, _, argument = text.partition(" ")
        self._do(what, argument)

    def _do(self, what: str, argument: str) -> None:
        if what == "raise":
            raise ValueError(argument)
        if what == "crash":
            if self._crash is None:
                raise RuntimeError(argument)
            self._crash(argument)
        elif what == "hang":
            time.sleep(float(argument))
        elif what == "deadlock":
            lock = threading.Lock()
            with lock, lock:
                pass
        elif what == "spin":
            while True:
                pass
        elif what == "hold":
            hold(float(argument))
        elif what == "exit":
            sys.exit(int(argument))
        elif what == "raise_exit":
            raise SystemExit(int(argument))
        elif what == "thread":
            threading.Thread(target=self._do, args=("raise", argument)).start()
        elif what in self._more:
            self._more[what]()


def abort(text: str) -> None:
    """End the process, where a toolkit's loop lets no exception out."""
    print(text, file=sys.stderr, flush=True)
    os.abort()
