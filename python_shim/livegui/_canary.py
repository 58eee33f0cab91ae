"""A Python thread that proves that the interpreter is free, and looks at what only Python can see."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livegui._executors import ExecutorWatch
    from livegui._livegui import NativeAgent

#: Seconds between two ticks.
INTERVAL = 0.25


class Canary:
    """Ticks a few times a second. The native side judges: a tick means that the GIL was to be had."""

    def __init__(self, native: NativeAgent, executors: dict[str, ExecutorWatch]) -> None:
        self._native = native
        self._executors = executors
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="livegui-canary", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; waits for it for at most a second."""
        self._ended.set()
        if self._thread is not threading.current_thread():
            self._thread.join(1.0)

    def _run(self) -> None:
        while True:
            self._native.tick()
            for watch in self._executors.copy().values():
                watch.look()
            if self._ended.wait(INTERVAL):
                return
