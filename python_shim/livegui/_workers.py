"""The threads in which a test runs its own code: which they are, and how they are stopped."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

from livegui import _frames
from livegui._livegui import end_thread

if TYPE_CHECKING:
    from types import FrameType

    from livegui._span import Span

#: A thread that goes on is stopped again after this, then after twice the time: it may be cleaning up.
_AGAIN_AFTER_S = 1.0


class Workers:
    """The threads of a span that is being stopped."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self._codes = span.codes()
        self._told: dict[int, tuple[float, float]] = {}
        self._pools: set[int] = set()
        self._hook = threading.excepthook

    def running(self) -> dict[int, FrameType]:
        """Where each of them is, by its ident.

        These are threads that run the span's function, and threads that began during the span and run code
        of its files.
        """
        main = threading.main_thread().ident
        found = {}
        for ident, frame in sys._current_frames().items():
            new = ident not in self.span.threads
            for caller in _frames.outwards(frame):
                code = caller.f_code
                if ident != main and (code in self._codes or (new and code.co_filename in self.span.files)):
                    found[ident] = caller
                    break
        return found

    def may_start(self) -> bool:
        """Whether a thread that began during the span has not reached its code yet."""
        return any(
            all(caller.f_code.co_filename == threading.__file__ for caller in _frames.outwards(frame))
            for ident, frame in sys._current_frames().items()
            if ident not in self.span.threads
        )

    def end(self) -> dict[int, FrameType]:
        """Make each of them end as soon as it runs Python code. Returns those that still run."""
        now = time.monotonic()
        running = self.running()
        for ident in running:
            due, pause = self._told.get(ident, (now, _AGAIN_AFTER_S))
            if now >= due:
                if not self._told:
                    # pytest's hook would warn about each of them.
                    self._hook, threading.excepthook = threading.excepthook, self._on_end
                end_thread(ident)
                self._told[ident] = (now + pause, 2 * pause)
        return running

    def release(self) -> None:
        """All of them have ended."""
        if threading.excepthook == self._on_end:
            threading.excepthook = self._hook

    def _on_end(self, ended: threading.ExceptHookArgs) -> None:
        if ended.exc_type is not SystemExit or getattr(ended.thread, "ident", None) not in self._told:
            self._hook(ended)

    def cancel_what_has_not_started(self, frame: FrameType | None) -> None:
        """Leave a pool that the test waits for nothing to do except what already runs."""
        futures = sys.modules.get("concurrent.futures.thread")
        if futures is None:
            return
        code = futures.ThreadPoolExecutor.shutdown.__code__
        for caller in _frames.outwards(frame):
            if caller.f_code is code:
                pool = caller.f_locals.get("self")
                if pool is not None and id(pool) not in self._pools:
                    self._pools.add(id(pool))
                    # On a separate thread, because the interrupted code may hold the pool's lock.
                    options = {"wait": False, "cancel_futures": True}
                    threading.Thread(target=pool.shutdown, kwargs=options, daemon=True).start()
