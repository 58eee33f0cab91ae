"""The threads in which a test runs its own code: which they are, and how they are ended."""

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

#: A thread that goes on is told again after this, and then twice as long each time: it may be clearing up.
_AGAIN_AFTER_S = 1.0


class Workers:
    """The threads of one span that is being ended."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self._codes = span.codes()
        self._told: dict[int, tuple[float, float]] = {}
        self._pools: set[int] = set()
        self._hook = threading.excepthook

    def running(self) -> dict[int, FrameType]:
        """Where each of them is, by its ident.

        Those that run the function of the span, and those that began meanwhile and run code of its files.
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
        """Whether a thread that began meanwhile has not come to its code yet."""
        return any(
            all(caller.f_code.co_filename == threading.__file__ for caller in _frames.outwards(frame))
            for ident, frame in sys._current_frames().items()
            if ident not in self.span.threads
        )

    def end(self) -> dict[int, FrameType]:
        """Have each of them end as soon as it runs Python code; returns those that still run."""
        now = time.monotonic()
        running = self.running()
        for ident in running:
            due, pause = self._told.get(ident, (now, _AGAIN_AFTER_S))
            if now >= due:
                if not self._told:
                    # pytest's would warn of each of them.
                    self._hook, threading.excepthook = threading.excepthook, self._on_end
                end_thread(ident)
                self._told[ident] = (now + pause, 2 * pause)
        return running

    def release(self) -> None:
        """They have all ended."""
        if threading.excepthook == self._on_end:
            threading.excepthook = self._hook

    def _on_end(self, ended: threading.ExceptHookArgs) -> None:
        if ended.exc_type is not SystemExit or getattr(ended.thread, "ident", None) not in self._told:
            self._hook(ended)

    def cancel_what_has_not_started(self, frame: FrameType | None) -> None:
        """Leave a pool that the test waits for nothing to do but what runs already."""
        futures = sys.modules.get("concurrent.futures.thread")
        if futures is None:
            return
        code = futures.ThreadPoolExecutor.shutdown.__code__
        for caller in _frames.outwards(frame):
            if caller.f_code is code:
                pool = caller.f_locals.get("self")
                if pool is not None and id(pool) not in self._pools:
                    self._pools.add(id(pool))
                    # On a thread of its own: the interrupted code may hold the pool's lock.
                    options = {"wait": False, "cancel_futures": True}
                    threading.Thread(target=pool.shutdown, kwargs=options, daemon=True).start()
