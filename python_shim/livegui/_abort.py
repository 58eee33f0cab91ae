"""Stops the running test: all of it, and nothing else.

The native alarm sends the main thread a signal, over and over, from a thread without the GIL. The handler
finds out what waits, and stops it: the test's own code by raising in it, its tasks by cancelling them in
their loop, its threads by an exception in each. Code that only runs the test (a plugin's frame, a loop, a
greenlet that is not the test's) is left alone, because the tests that follow need it.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from livegui import _children, _frames
from livegui._children import Children
from livegui._ending import Ending
from livegui._livegui import take_interrupt
from livegui._other_loops import OtherLoops
from livegui._owners import Owners
from livegui._span import CURRENT, Span
from livegui._tasks import IN_A_GROUP, Waiting, cancel_callbacks, finish, still_running
from livegui._workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType, TracebackType

    from livegui._livegui import NativeLive
    from livegui.errors import LiveGuiError

    _Outcome = BaseException
else:
    #: The base of what ``pytest.fail()`` and ``pytest.skip()`` raise. pytest records it correctly wherever
    #: it is raised, even in the set-up or tear-down of a fixture, and ``except Exception`` does not catch
    #: it.
    _Outcome = pytest.fail.Exception.__base__

#: On POSIX a signal that is ignored by default, rarely used, and harmless if it comes late. On Windows
#: Ctrl-Break, never Ctrl-C, because a late Ctrl-C would end pytest.
SIGNAL: int
if sys.platform == "win32":
    SIGNAL = signal.SIGBREAK
else:
    SIGNAL = signal.SIGURG

#: If the exception is swallowed it is raised again, after twice the time each time, because an event loop
#: prints what its callbacks raise.
_AGAIN_AFTER_S = 0.02
#: A task is cancelled again only after this time. While it cleans up, what it awaits looks like going on.
_TASK_AGAIN_AFTER_S = 1.0
_AGAIN_AFTER_AT_MOST_S = 5.0
#: How long the next tests wait for the threads of a test that was stopped.
ENDS_WITHIN_S = 5.0
#: How long a thread may take from its start to its own code.
_BEGINS_WITHIN_S = 0.1
#: If the test ends later than this after it was interrupted, the verdict says what delayed it.
_HELD_UP_S = 1.0


class Aborted(_Outcome):
    """Ends the running test. Not an ``Exception``, which a polling loop's ``except Exception`` would swallow.

    The plugin replaces it by its ``verdict``.
    """

    def __init__(self, verdict: LiveGuiError) -> None:
        super().__init__(str(verdict))
        self.verdict = verdict


class Abort:
    """Stops the test that runs on this thread as soon as the app is no longer fit to be tested."""

    def __init__(self) -> None:
        #: The span that is running.
        self.span = Span()
        #: The verdict, if it was raised in this phase.
        self.told: LiveGuiError | None = None
        #: Where a task was ended, if its runner does not report it.
        self.ended_at: TracebackType | None = None
        self._live: NativeLive | None = None
        self._earlier: Any = None
        self._installed = False
        self._greenlet: object = None
        #: The earlier callback for greenlet switches, while the verdict waits for the next switch.
        self._watching: list[Any] = []
        #: Frames that are traced until the Qt loop for which they wait has returned.
        self._traced: list[FrameType] = []
        #: Loops that run our coroutine, each with the function that requests its end.
        self._entered: list[Callable[[], object]] = []
        self._owners = Owners(_children.followed)
        self._workers: Workers | None = None
        #: The child processes of the spans that were stopped. They end after the test's tear-down.
        self._children: list[Children] = []
        self._told_at = 0.0
        self._told_frame: FrameType | None = None
        self._held_at = ""
        self._ending = Ending(Aborted)
        self._not_before = 0.0
        self._pause = 0.0
        #: Whether the signal handler runs, which takes long enough for another signal.
        self._is_deciding = False

    def install(self) -> bool:
        """Install the signal handler. Returns False outside the main thread, where that is impossible."""
        try:
            self._earlier = signal.signal(SIGNAL, self._on_signal)
        except ValueError:
            return False
        self._installed = True
        self._owners.install()
        return True

    def uninstall(self) -> None:
        """Restore the earlier signal handler."""
        if self._installed:
            self._installed = False
            self._owners.uninstall()
            signal.signal(SIGNAL, self._earlier if self._earlier is not None else signal.SIG_DFL)

    @property
    def is_installed(self) -> bool:
        """Whether a running test can be stopped."""
        return self._installed

    def within(self, span: Span) -> Within:
        """A context whose code is stopped as a whole."""
        return Within(self, span)

    @contextlib.contextmanager
    def entered(self, request: Callable[[], object]) -> Iterator[None]:
        """A context in which a loop runs the test; ``request`` requests its end from any thread."""
        self._entered.append(request)
        try:
            yield
        finally:
            self._entered.remove(request)

    def arm(self, live: NativeLive) -> None:
        """Allow stopping the test from now on."""
        if self._installed:
            self._live = live
            self.told = self.ended_at = self._workers = self._told_frame = None
            self._not_before = self._pause = self._told_at = 0.0
            self._held_at = ""
            self._ending.forget()
            self._greenlet = _current_greenlet()
            live.arm()

    def disarm(self, live: NativeLive) -> None:
        """Forbid stopping the test from now on."""
        self._live = self._told_frame = None
        self._ending.forget()
        self._watch_no_more()
        self._trace_no_more()
        live.disarm()

    def aborted(self) -> Aborted:
        """The exception that ends the test, if it has been raised already."""
        assert self.told is not None
        return Aborted(self.told)

    def reraise(self, error: BaseException) -> None:
        """Replace what the verdict has turned into by the verdict, before it reaches a runner."""
        if self.told is not None and not isinstance(
            error, Aborted | KeyboardInterrupt | pytest.exit.Exception
        ):
            raise self.aborted() from error

    def settle(self, live: NativeLive, span: Span) -> None:
        """After the test was stopped, wait until none of its code runs, or report what still does."""
        if self._told_at and time.monotonic() - self._told_at > _HELD_UP_S:
            late = time.monotonic() - self._told_at
            by = self._held_at or "whoever runs it"
            live.remark(f"{span.name}: its verdict was held up for {late:.1f} s by {by}")
        self._settle_tasks(live, span)
        workers = self._workers or Workers(span)
        begun_by = time.monotonic() + ENDS_WITHIN_S
        while workers.has_not_begun() and time.monotonic() < begun_by:
            time.sleep(0.005)
        begun_by = time.monotonic() + _BEGINS_WITHIN_S
        while workers.may_start() and time.monotonic() < begun_by:
            time.sleep(0.005)
        deadline = time.monotonic() + ENDS_WITHIN_S
        children = self._children_of(span, live)
        while running := workers.end():
            workers.wake()
            for stack in workers.stacks():
                children.hurry(stack, patient=False)
            if time.monotonic() > deadline:
                names = {thread.ident: thread.name for thread in threading.enumerate()}
                for ident, frame in running.items():
                    live.remark(
                        f"{span.name} left thread {names.get(ident)} running at {_frames.where(frame)}: it "
                        f"did not end within {ENDS_WITHIN_S:g} s, so the tests that follow run beside it"
                    )
                return
            time.sleep(0.01)
        workers.release()

    def _settle_tasks(self, live: NativeLive, span: Span) -> None:
        """Wait for the tasks that were cancelled, in loops of any thread, and report what is left."""
        others = OtherLoops(span)
        others.cancel()
        finish(span, ENDS_WITHIN_S)
        others.wait(ENDS_WITHIN_S)
        cancel_callbacks(span)
        own = ((task.get_name(), task.get_coro()) for task in still_running(span))
        for name, coroutine in [*own, *others.went_on()]:
            live.remark(
                f"{span.name} left {name} running: {coroutine} went on when it was cancelled, and did not "
                f"end within {ENDS_WITHIN_S:g} s"
            )
        for name, why in [*((name, IN_A_GROUP) for name in span.left), *others.left()]:
            live.remark(f"{span.name} left {name} running: {why}")

    def end_children(self) -> None:
        """After the tear-down of a test that was stopped, end what its own code has started."""
        while self._children:
            self._children.pop().end()

    def _children_of(self, span: Span, live: NativeLive) -> Children:
        for children in self._children:
            if children.span is span:
                return children
        self._children.append(Children(span, live.remark))
        return self._children[-1]

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        __tracebackhide__ = True
        is_ours = take_interrupt()
        live = self._live
        if live is None or not live.is_ringing():
            if not is_ours:
                self._pass_on(number, frame)
            return  # too late
        if self._is_deciding:
            return  # this was interrupted itself; the alarm interrupts again
        self._is_deciding = True
        try:
            self._stop(live, frame)
        finally:
            self._is_deciding = False

    def _stop(self, live: NativeLive, frame: FrameType | None) -> None:
        """Stop what is interrupted here, or tell what runs it to stop it, if that may be done now."""
        __tracebackhide__ = True
        own = _frames.of_test(frame, self.span.runners)
        if self.told is not None and own:
            self._held_at = _frames.where(own[0], frame)
        if self._ending.has_begun(own, told=self.told is not None):
            if self.told is not None:
                self._hurry(frame)
            return
        if time.monotonic() < self._not_before or self._waits_for_qt(frame):
            return  # the alarm interrupts again
        waiting = Waiting(self.span, self._entered, frame)
        if waiting.requests and not (waiting.is_step and own):
            if self.told is None or not self.span.once:
                self._tell_tasks(live, waiting, frame)
        elif self._is_on_another_stack() and not self._is_of_function(own):
            self._tell_at_the_next_switch(live)
        elif not own:
            # What waits here only runs the test, whose code is on other threads.
            if (self._workers is not None or self._find_workers()) and self._tell(live, _AGAIN_AFTER_S):
                self._hurry(frame)
        elif self._may_raise(frame, own[-1], waiting) and (verdict := self._tell(live, _AGAIN_AFTER_S)):
            self._told_frame = own[-1]
            raise Aborted(verdict)

    def _may_raise(self, frame: FrameType | None, outermost: FrameType, waiting: Waiting) -> bool:
        """Whether the verdict may be raised in this frame. If not, the alarm interrupts again."""
        # A loop that is interrupted in its own code would be left half changed, and hang the next test.
        is_in_loop = waiting.is_step and _frames.is_in_code_of_a_loop(frame)
        return not is_in_loop and not self._is_clearing_up(outermost)

    def _tell_tasks(self, live: NativeLive, waiting: Waiting, frame: FrameType | None) -> None:
        """A loop waits. Cancel the test's tasks in it, and stop the threads for which they may wait."""
        if self._tell(live, _TASK_AGAIN_AFTER_S):
            if self._is_on_another_stack():
                self._watch_switches()
            waiting.ask_to_end()
            self._hurry(frame)

    def _waits_for_qt(self, frame: FrameType | None) -> bool:
        """Whether Qt's loop runs, where nothing may be raised. The test is stopped when that returns.

        With a debugger or a tracer of coverage, the alarm does this by interrupting again and again.
        """
        if not _is_in_a_qt_loop():
            return False
        if self._traced or sys.gettrace() is not None:
            return True
        while frame is not None:
            self._traced.append(frame)
            frame.f_trace = self._on_line
            frame = frame.f_back
        sys.settrace(_trace_nothing_new)
        return True

    def _on_line(self, frame: FrameType, event: str, _arg: object) -> Any:
        __tracebackhide__ = True
        if event not in ("line", "return") or _is_in_a_qt_loop():
            return self._on_line
        self._trace_no_more()
        live = self._live
        own = _frames.of_test(frame, self.span.runners)
        if live is None or not live.is_ringing() or not own or self._is_clearing_up(own[-1]):
            return None
        if self._ending.has_begun(own, told=self.told is not None):
            return None
        verdict = self._tell(live, _AGAIN_AFTER_S)
        if verdict is not None:
            self._told_frame = own[-1]
            raise Aborted(verdict)
        return None

    def _trace_no_more(self) -> None:
        if self._traced:
            if sys.gettrace() is _trace_nothing_new:
                sys.settrace(None)
            while self._traced:
                self._traced.pop().f_trace = None

    def _is_of_function(self, own: list[FrameType]) -> bool:
        """Whether code of the test's function is on this stack, so that the greenlet is its own."""
        codes = self.span.codes()
        return any(caller.f_code in codes for caller in own)

    def _is_on_another_stack(self) -> bool:
        current = _current_greenlet()
        if self._greenlet is None:  # it was not in use when this began
            return getattr(current, "parent", None) is not None
        return current is not self._greenlet

    def _tell_at_the_next_switch(self, live: NativeLive) -> None:
        """A loop of greenlets waits, and is still needed. Stop the test's own greenlet when it continues."""
        if not self._watching and self._tell(live, _AGAIN_AFTER_S):
            self._watch_switches()

    def _watch_switches(self) -> None:
        if not self._watching:
            self._watching.append(sys.modules["greenlet"].settrace(self._on_switch))

    def _on_switch(self, event: str, args: tuple[Any, Any]) -> None:
        __tracebackhide__ = True
        (before,) = self._watching
        if before is not None:
            before(event, args)
        _origin, target = args
        if target is self._greenlet or (self._greenlet is None and target.parent is None):
            self._watch_no_more()
            if self._live is not None and not self._ending.has_begun([], told=True):
                raise self.aborted()  # what is raised here reaches that greenlet through its switch

    def _watch_no_more(self) -> None:
        if self._watching:
            sys.modules["greenlet"].settrace(self._watching.pop())

    def _is_clearing_up(self, outermost: FrameType) -> bool:
        """Whether the running code came after what was stopped: a ``tearDown()``, the next finalizer."""
        return self.span.once and self.told is not None and self._told_frame is not outermost

    def _tell(self, live: NativeLive, pause: float) -> LiveGuiError | None:
        verdict = self.told or live.verdict_on_running()
        if self.span.last and live.has_ended_in_order():
            return None
        if verdict is not None:  # otherwise it recovered at this very moment
            now = time.monotonic()
            self._told_at = self._told_at or now
            self.told = verdict
            self._pause = min(max(pause, 2 * self._pause), _AGAIN_AFTER_AT_MOST_S)
            self._not_before = now + self._pause
        return verdict

    def _find_workers(self) -> bool:
        workers = Workers(self.span)
        if workers.running():
            self._workers = workers
        return self._workers is not None

    def _hurry(self, frame: FrameType | None) -> None:
        """The test's own code is ending, but waits for threads that were not told, or for child processes."""
        if self._workers is not None or self._find_workers():
            assert self._workers is not None
            self._workers.end()
        if self._workers is None:
            self._workers = Workers(self.span)
        self._workers.cancel_what_has_not_started(frame)
        if self._live is not None:
            children = self._children_of(self.span, self._live)
            children.hurry(frame)
            for stack in self._workers.stacks():
                children.hurry(stack, patient=False)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        """Call the earlier handler for a signal that something else sent."""
        if callable(self._earlier):
            self._earlier(number, frame)
        elif sys.platform == "win32" and self._earlier == signal.SIG_DFL:
            # It would have ended pytest at once. This ends it too, but properly.
            signal.default_int_handler(number, frame)


class Within:
    """A span, for as long as it runs. This is a class because it is entered several times a test."""

    __slots__ = ("_abort", "_before", "_outer", "_span")

    def __init__(self, abort: Abort, span: Span) -> None:
        self._abort = abort
        self._span = span

    def __enter__(self) -> None:
        self._outer, self._before = self._abort.span, CURRENT.get()
        self._abort.span = self._span
        CURRENT.set(self._span)

    def __exit__(self, *_: object) -> None:
        self._abort.span = self._outer
        CURRENT.set(self._before)


def _current_greenlet() -> object:
    greenlet = sys.modules.get("greenlet")
    return None if greenlet is None else greenlet.getcurrent()


def _trace_nothing_new(_frame: FrameType, _event: str, _arg: object) -> None:
    """Traces no frame that begins from now on."""


def _is_in_a_qt_loop() -> bool:
    """Whether this thread waits in a Qt event loop, where PyQt ends the process if something is raised."""
    for binding in ("PyQt6", "PySide6", "PyQt5", "PySide2"):
        core = sys.modules.get(f"{binding}.QtCore")
        try:
            level = core.QThread.currentThread().loopLevel() if core is not None else 0
        except Exception:  # noqa: BLE001 -- the suite may have replaced it, or may be importing it just now
            continue
        if isinstance(level, int) and level > 0:
            return True
    return False
