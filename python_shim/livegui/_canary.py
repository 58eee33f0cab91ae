"""A Python thread that proves that the interpreter is free, and looks at what only Python can see."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from livegui._threads import look_at_main_thread, who_keeps_alive

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Protocol

    from livegui._livegui import NativeAgent

    class Watch(Protocol):
        """Something that is looked at a few times a second."""

        def look(self) -> None: ...


#: Seconds between two ticks.
INTERVAL = 0.25
#: A debugging session longer than this many seconds is taken for a hang after all.
LONGEST_DEBUGGING = 24 * 60 * 60.0


class Canary:
    """Ticks a few times a second. The native side judges: a tick means that the GIL was to be had."""

    def __init__(self, native: NativeAgent, watches: Iterable[Mapping[str, Watch]]) -> None:
        self._native = native
        self._watches = tuple(watches)
        self._debugging: int | None = None
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
            for watches in self._watches:
                for watch in tuple(watches.values()):
                    watch.look()
            self._look_at_main_thread()
            if self._ended.wait(INTERVAL):
                return

    def _look_at_main_thread(self) -> None:
        debugged, ended = look_at_main_thread()
        if ended and (left := who_keeps_alive()):
            self._native.main_thread_ended(left)
        if debugged and self._debugging is None:
            self._debugging = self._native.pause("a debugger", LONGEST_DEBUGGING)
        elif not debugged and self._debugging is not None:
            self._native.resume(self._debugging)
            self._debugging = None
