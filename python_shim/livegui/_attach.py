"""Starts the agent, and has the ``Agent`` that the app calls."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import contextmanager

from livegui import _executors
from livegui._canary import Canary
from livegui._crash import MainLoop, caller_place, describe, format_traceback, place_of
from livegui._livegui import NativeAgent
from livegui._threads import ThreadHook, ThreadWatch, UnraisableHook

TYPE_CHECKING = False  # typing takes a third of the time that the agent's start does
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor
    from typing import Any

    from livegui._canary import Watch
    from livegui.toolkits._common import ExceptHook
#: The longest name of something watched, in characters.
_NAME = 200

_lock = threading.Lock()
_current: Agent | None = None


def start(
    app: str | None = None,
    *,
    port: int | None = None,
    token: str | None = None,
    stall_after_ms: int | None = None,
    startup_ms: int | None = None,
    executor_stall_ms: int | None = None,
    run_dir: str | os.PathLike[str] | None = None,
    journal: str | os.PathLike[str] | bool | None = None,
) -> Agent:
    """Start the agent of this process, or return the one that already runs.

    Each argument overrides its environment variable (``LIVEGUI_PORT``, ``LIVEGUI_TOKEN``,
    ``LIVEGUI_STALL_AFTER_MS``, ``LIVEGUI_STARTUP_MS``, ``LIVEGUI_EXECUTOR_STALL_MS``, ``LIVEGUI_RUN_DIR``,
    ``LIVEGUI_JOURNAL``). With ``LIVEGUI=0`` the agent is inert: it accepts every call and does nothing.

    Args:
        app: the app's name, 1 to 64 printable characters. Default: the script's name.
        port: the port of the health endpoint on 127.0.0.1; 0 (the default) is any free one.
        token: 8 to 128 characters out of ``A-Z a-z 0-9 - . _ ~``. Default: a random one.
        stall_after_ms: milliseconds without a beat after which the loop counts as stalled (5,000).
        startup_ms: milliseconds within which the first beat must come (60,000).
        executor_stall_ms: milliseconds that an executor with queued work may take without finishing any;
            0 (the default) turns this check off.
        run_dir: the folder for the discovery file ``agent.json``. Default: the user's runtime folder.
        journal: the path of the heartbeat log; True for the default place, False for none. By default it
            is ``heartbeat.jsonl`` in the run folder, and without a run folder there is none.

    Raises:
        ValueError: an argument or a variable has a bad value; the message names it.
        OSError: the port is in use, or ``run_dir`` cannot be written. If the user's runtime folder
            cannot be used, the app gets a private one instead, and ``observer`` in ``/health`` says so.
    """
    bootstrap = sys.modules.get("livegui._bootstrap")
    if bootstrap is not None:
        bootstrap.started_by_hand()
    return start_agent(
        app,
        port=port,
        token=token,
        stall_after_ms=stall_after_ms,
        startup_ms=startup_ms,
        executor_stall_ms=executor_stall_ms,
        run_dir=run_dir,
        journal=_journal(journal),
    )


def start_agent(app: str | None = None, **given: Any) -> Agent:
    """Does what :func:`start` does, for an app that calls it and for one that does not."""
    global _current  # noqa: PLW0603 -- one agent a process is the contract
    with _lock:
        if _current is None or _current.stopped:
            script = os.path.basename(sys.argv[0] if sys.argv else "")  # noqa: PTH119 -- no pathlib in the GUI
            native = NativeAgent.start(
                app,
                script=script,
                **given,
            )
            _current = Agent(native)
        return _current


def _journal(wanted: str | os.PathLike[str] | bool | None) -> str | None:
    """The argument as the native side expects it."""
    if isinstance(wanted, bool):
        return "1" if wanted else "0"
    return None if wanted is None else os.fspath(wanted)


class Agent:
    """The health agent of this process. :func:`start` returns it.

    You may call every method from any thread. After :meth:`stop`, none does anything.
    """

    def __init__(self, native: NativeAgent) -> None:
        self._native = native
        self._executors: dict[str, _executors.ExecutorWatch | _executors.LoopWatch] = {}
        self._threads: dict[str, ThreadWatch] = {}
        #: What else the canary checks a few times a second.
        self._lookouts: dict[str, Watch] = {}
        self._canary: Canary | None = None
        self._loop = MainLoop(native)
        #: The hooks of toolkits in ``sys.excepthook``, which the app may have replaced.
        self._excepthooks: list[ExceptHook] = []
        #: Called when the agent stops; each undoes one hook or patch.
        self._on_stop: list[Callable[[], None]] = []
        self.stopped = False
        #: Call this once a frame. It takes some tens of nanoseconds and never waits.
        self.beat = native.beat
        if native.url is not None:
            self._canary = Canary(native, (self._executors, self._threads, self._lookouts))
            self._on_stop += [
                ThreadHook(self._threads, self.record_exception).remove,
                UnraisableHook(self.record_exception).remove,
            ]
            atexit.register(self._at_exit)

    @property
    def url(self) -> str | None:
        """The health endpoint, ``http://127.0.0.1:PORT``; None if the agent is inert."""
        return self._native.url

    @property
    def token(self) -> str | None:
        """The token for ``/health``, sent as ``Authorization: Bearer``; None if the agent is inert."""
        return self._native.token

    def main_loop(self) -> MainLoop:
        """A context to put around the main loop.

        An exception that leaves it is reported as ``main_loop_crashed``. Leaving it in any other way is
        reported as ``main_loop_exited``, unless the app called :meth:`stopping` before. Exceptions pass
        through.
        """
        return self._loop

    def watch_executor(self, executor: Executor | AbstractEventLoop, name: str) -> None:
        """Report ``executor`` as soon as it accepts no more work. The agent keeps only a weak reference.

        Args:
            executor: a ThreadPoolExecutor, a ProcessPoolExecutor, or an asyncio event loop, whose
                default executor is watched then.
            name: its name in reports, at most 200 characters. A second executor of the same name
                replaces the first.

        Raises:
            TypeError: ``executor`` is none of these.
            ValueError: the name is too long, or more than 256 executors and threads are watched at once,
                not counting those that have ended.
        """
        earlier = self._executors.pop(name, None)
        if earlier is not None:
            earlier.forget()
        self._drop_ended()
        self._executors[name] = _executors.watch(self._native, executor, name)

    def watch_thread(self, thread: threading.Thread, name: str | None = None) -> None:
        """Report ``thread`` when it ends, with the exception that ended it, if there was one.

        Args:
            thread: a thread, started or not. The agent keeps only a weak reference.
            name: its name in reports, at most 200 characters. Default: the thread's own name.

        Raises:
            TypeError: ``thread`` is not a thread.
            ValueError: the name is too long, or more than 256 executors and threads are watched at once,
                not counting those that have ended.
        """
        if not isinstance(thread, threading.Thread):
            raise TypeError(f"watch_thread() takes a threading.Thread, not {type(thread).__name__}")
        name = name or thread.name[:_NAME]
        earlier = self._threads.pop(name, None)
        if earlier is not None:
            earlier.forget()
        self._drop_ended()
        self._native.thread_watched(name)
        self._threads[name] = ThreadWatch(self._native, thread, name)

    def expect_shutdown(self, executor: Executor | AbstractEventLoop) -> None:
        """Declare that ``executor`` is about to be shut down on purpose, so that this is not reported."""
        for name, watch in self._executors.copy().items():
            if watch.target() is executor:
                self._native.executor_end_expected(name)

    @contextmanager
    def paused(self, what: str, *, max_s: float = 300.0, usable: bool = False) -> Iterator[None]:
        """A context in which the main loop waits on purpose, for example for a modal file dialog.

        Args:
            what: what the loop waits for, shown in reports.
            max_s: seconds after which the agent no longer excuses the wait.
            usable: whether users can still use the app, for example because it waits for their events.
                If not, no test file begins on the app during the wait.
        """
        pause = self._native.pause(what, max_s, usable)
        try:
            yield
        finally:
            self._native.resume(pause)

    def wake_with(self, wake: Callable[[], object]) -> None:
        """Set a function that makes the main loop run once, if the loop sleeps until something happens.

        You need this only for a loop that may go longer than ``live_gui_handover_timeout`` (0.5 s) without a
        :meth:`beat` because nothing happens. A toolkit's ``install()`` does it where it is needed.

        Args:
            wake: the agent calls it from another thread, whenever livegui checks whether the loop runs,
                and when no beat came for half of ``stall_after_ms``. It must not wait for the loop. For
                example ``glfw.post_empty_event``.
        """
        if self._canary is not None:
            self._canary.wake = wake

    def tell_open(self, things: Iterable[str]) -> None:
        """Report what is open on top of the main window now: dialogs, grabs, nested loops.

        If something is open that was not open before the last test file began, the next file does not begin
        on this app (``live_gui_left_open``). A toolkit's ``install()`` reports this by itself.

        Args:
            things: a name for each, for people; empty if nothing is open. 16 are kept, and 200
                characters of each.
        """
        self._native.tell_open(list(things))

    def degrade(
        self,
        message: str,
        *,
        code: str = "app_reported",
        recoverable: bool = False,
        error: BaseException | None = None,
    ) -> None:
        """Report a problem that only the app can see. It holds until :meth:`clear`.

        Args:
            message: one line for people; 4 KiB are kept.
            code: a word of your choice out of ``a-z 0-9 _``, at most 64 characters.
            recoverable: whether the problem may be cleared later; reports show it.
            error: the exception that caused it, if there is one; reports show its traceback.

        Raises:
            ValueError: ``code`` is not such a word, or is one of livegui's own.
        """
        self._native.degrade(code, message, _traceback(error), recoverable)

    def report(
        self, error: BaseException, *, code: str = "callback_exception", recoverable: bool = True
    ) -> None:
        """Report an exception that makes the app unfit to be tested, until :meth:`clear` of ``code``.

        Reports show its traceback. If the app can go on after the exception, use :meth:`record_exception`.

        Args:
            error: the exception; the message is ``Type: text``.
            code: ``callback_exception``, or a word of your choice as for :meth:`degrade`.
            recoverable: whether the problem may be cleared later.

        Raises:
            ValueError: ``code`` is not such a word, or is one of livegui's own.
        """
        self._native.degrade(code, describe(error), _traceback(error), recoverable)

    def record_exception(self, error: BaseException, source: str = "gui") -> None:
        """Record an exception that was caught outside of the app's own code, so that the app goes on.

        ``/health`` lists it under ``exceptions``. ``live_gui_callback_errors`` decides what it means for the
        running test: by default, one from ``gui`` or ``asyncio`` fails the test.

        Args:
            error: the exception.
            source: what caught it: ``gui`` or ``asyncio`` for a callback, ``thread`` or ``task`` if it
                ended one, ``unraisable`` if it could not be raised, ``wake`` if a function for
                :meth:`wake_with` raised it, ``toolkit`` for an error that a toolkit reports itself.

        Raises:
            ValueError: ``source`` is none of these.
        """
        self._native.exception_swallowed(source, place_of(error), describe(error), _traceback(error))

    def clear(self, code: str = "app_reported") -> None:
        """Clear what :meth:`degrade` or :meth:`report` reported under ``code``."""
        self._native.clear(code)

    def stopping(self) -> None:
        """Declare that the app is about to exit: nothing that ends from now on is reported."""
        self._native.stopping()

    def health(self) -> dict[str, Any]:
        """The answer of ``/health`` as a dict, for an app's own hook server.

        Its keys are those of the schema ``livegui/health/1``. Durations are in milliseconds.
        """
        import json  # noqa: PLC0415 -- most apps never call this, and importing livegui must be cheap

        document: dict[str, Any] = json.loads(self._native.health_json())
        return document

    def stop(self) -> None:
        """Stop the agent: its threads, its port, its discovery file. A second call does nothing."""
        self.stopped = True
        if self._canary is not None:
            self._canary.stop()
        while self._on_stop:
            self._on_stop.pop()()
        self._native.stop()
        atexit.unregister(self._at_exit)

    def _drop_ended(self) -> None:
        """Drops what has ended, because an app may have a pool for each document."""
        for watches in (self._executors, self._threads):
            for name, watch in tuple(watches.items()):
                if watch.target() is None:
                    watch.look()  # it was collected, and the canary has not noticed yet
                if watch.ended:
                    watches.pop(name, None)

    def _at_exit(self) -> None:
        # A toolkit that ends the process during a callback, as Qt does for sys.exit(), never returns.
        self._loop.exit_from_inside(caller_place())
        self.stop()

    def _after_fork_in_child(self) -> None:
        self.stopped = True
        self._native.after_fork_in_child()


def _traceback(error: BaseException | None) -> str | None:
    return None if error is None else format_traceback(error)


def _after_fork_in_child() -> None:
    """Makes the parent's agent inert here, so that the child can start its own."""
    global _current, _lock  # noqa: PLW0603 -- the lock may be held by a thread that does not exist here
    _lock = threading.Lock()
    if _current is not None:
        _current._after_fork_in_child()
    _current = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
