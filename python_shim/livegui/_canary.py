"""A Python thread that proves that the interpreter is free, and checks what only Python can see."""

from __future__ import annotations

import threading

from livegui._crash import describe, format_traceback, place_of
from livegui._threads import look_at_main_thread, main_thread_place, who_keeps_alive

TYPE_CHECKING = False  # typing takes a third of the time that the agent's start does
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Protocol

    from livegui._livegui import NativeAgent

    class Watch(Protocol):
        """Something that is checked a few times a second."""

        def look(self) -> None: ...


#: A longer debugging session, in seconds, counts as a hang after all.
LONGEST_DEBUGGING = 24 * 60 * 60.0


class Canary:
    """Ticks a few times a second. A tick proves to the native side that the GIL was available."""

    def __init__(self, native: NativeAgent, watches: Iterable[Mapping[str, Watch]]) -> None:
        self._native = native
        #: Makes a loop run that sleeps until something happens; called once for each check.
        self.wake: Callable[[], object] | None = None
        self._question: int | None = None
        self._silence: tuple[int, int] | None = None
        #: Whether a beat was due at the last tick, and where the main thread was last reported to be.
        self._is_silent = False
        self._at: str | None = None
        self._watches = tuple(watches)
        self._debugging: int | None = None
        #: Checks that failed. Each is reported once.
        self._failed: list[Callable[[], object]] = []
        self._ended = threading.Event()
        self._made_by = threading.get_native_id()
        self._thread = threading.Thread(target=self._run, name="livegui-canary", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Waits for it for at most a second."""
        self._ended.set()
        self._native.end_wait()
        if self._thread is not threading.current_thread():
            self._thread.join(1.0)

    def _run(self) -> None:
        try:
            while True:
                wait_s = self._native.tick()
                self._wake_if_asked()
                self._look(self._report_place)
                for watches in self._watches:
                    for watch in tuple(watches.values()):
                        self._look(watch.look)
                self._look(self._look_at_main_thread)
                self._native.looked()
                self._wait(wait_s)
                if self._ended.is_set():
                    return
        except BaseException as error:
            # Without the canary, a hang looks like a held interpreter. So report its death.
            self._native.agent_thread_died("livegui-canary", describe(error))
            raise

    def _wait(self, at_most_s: float) -> None:
        """Waits until the next tick is due, or a question makes it due."""
        if threading.get_native_id() == self._made_by:
            # Not a thread: gevent runs this on the app's own. Only what gevent has patched lets others run.
            self._ended.wait(at_most_s)
        else:
            self._native.wait_for_question(at_most_s)

    def _wake_if_asked(self) -> None:
        if self.wake is None:
            return
        question, before = self._native.question, self._question
        # A loop that sleeps because nothing happens is woken before it counts as hung.
        silence, earlier = self._native.silence, self._silence
        self._question, self._silence = question, silence
        if question not in (None, before) or silence not in (None, earlier):
            self._wake(self.wake)

    def _wake(self, wake: Callable[[], object]) -> None:
        """Wakes the loop. If that fails, the loop is not woken, and the agent is as good as before."""
        try:
            wake()
        except Exception as error:  # noqa: BLE001 -- it is the app's function
            if wake not in self._failed:
                self._failed.append(wake)
                self._native.exception_swallowed(
                    "wake", place_of(error), describe(error), format_traceback(error)
                )

    def _report_place(self) -> None:
        """Reports where the main thread is, while a beat is awaited or none has come for long."""
        was_silent = self._is_silent
        self._is_silent = self._native.question is not None or self._native.silence is not None
        # Whoever waits asks again and again, so the end of one question is not the end of the silence.
        kept = self._at if was_silent else None
        at = main_thread_place() if self._is_silent else kept
        if at != self._at:
            self._at = at
            self._native.main_thread_seen(at)

    def _look(self, look: Callable[[], object]) -> None:
        """Checks something of the app's, which may raise anything. The other checks still run."""
        try:
            look()
        except Exception as error:  # noqa: BLE001 -- the app may have its own kind of executor
            if look not in self._failed:
                self._failed.append(look)
                what = getattr(look, "__qualname__", "look")
                self._native.agent_thread_died("livegui-canary", f"{what}: {describe(error)}")

    def _look_at_main_thread(self) -> None:
        debugged, ended = look_at_main_thread()
        if ended and (left := who_keeps_alive()):
            self._native.main_thread_ended(left)
        if debugged and self._debugging is None:
            self._debugging = self._native.pause("a debugger", LONGEST_DEBUGGING, True)
        elif not debugged and self._debugging is not None:
            self._native.resume(self._debugging)
            self._debugging = None
