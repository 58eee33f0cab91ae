"""Starting the agent, and the handle that the app holds."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from livegui import _executors
from livegui._canary import Canary
from livegui._crash import MainLoop, caller_place, describe, format_traceback, place_of
from livegui._livegui import NativeAgent
from livegui._threads import ThreadHook, ThreadWatch, UnraisableHook

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor

    from livegui._canary import Watch
#: Characters of the name of what is watched.
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
    """Start the agent of this process, or return the one that runs already.

    Each argument beats its environment variable (``LIVEGUI_PORT``, ``LIVEGUI_TOKEN``,
    ``LIVEGUI_STALL_AFTER_MS``, ``LIVEGUI_STARTUP_MS``, ``LIVEGUI_EXECUTOR_STALL_MS``,
    ``LIVEGUI_RUN_DIR``, ``LIVEGUI_JOURNAL``). With ``LIVEGUI=0`` the
    agent is inert: every call is accepted and does nothing.

    Args:
        app: the app's name, 1 to 64 printable characters; the script's name if none is given.
        port: port of the health endpoint on 127.0.0.1; 0 (the default) is any free one.
        token: 8 to 128 characters out of ``A-Z a-z 0-9 - . _ ~``; random if none is given.
        stall_after_ms: milliseconds without a beat after which the loop counts as stalled (5,000).
        startup_ms: milliseconds within which the first beat must come (60,000).
        executor_stall_ms: milliseconds for which an executor with queued work may finish none; 0 (the
            default) for not to be looked at.
        run_dir: folder for the discovery file ``agent.json``; else the user's runtime folder.
        journal: path of the heartbeat log; True for the default place, False for none. By default it is
            ``heartbeat.jsonl`` in the run folder, and without a run folder there is none.

    Raises:
        ValueError: an argument or a variable has a bad value; the message names it.
        OSError: the port is held, or ``run_dir`` cannot be written. Where the user's runtime folder is not
            to be used, the app has a private one instead, and ``observer`` in ``/health`` says so.
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
    """As :func:`start`, whoever asks for it."""
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
    """The words that the native side takes."""
    if isinstance(wanted, bool):
        return "1" if wanted else "0"
    return None if wanted is None else os.fspath(wanted)


class Agent:
    """The health agent of this process. Made by :func:`start`.

    Every method may be called from any thread; after :meth:`stop` none does anything.
    """

    def __init__(self, native: NativeAgent) -> None:
        self._native = native
        self._executors: dict[str, _executors.ExecutorWatch | _executors.LoopWatch] = {}
        self._threads: dict[str, ThreadWatch] = {}
        #: What else is looked at a few times a second.
        self._lookouts: dict[str, Watch] = {}
        self._canary: Canary | None = None
        self._loop = MainLoop(native)
        #: Called when the agent stops: each gives back what was taken.
        self._on_stop: list[Callable[[], None]] = []
        self.stopped = False
        #: Call once a frame. Takes some tens of nanoseconds, never waits.
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
        """``http://127.0.0.1:PORT`` of the health endpoint; None if the agent is inert."""
        return self._native.url

    @property
    def token(self) -> str | None:
        """What opens ``/health``, as ``Authorization: Bearer``; None if the agent is inert."""
        return self._native.token

    def main_loop(self) -> MainLoop:
        """A context around the main loop.

        An exception that leaves it is ``main_loop_crashed``, leaving it otherwise is
        ``main_loop_exited`` unless :meth:`stopping` was called before. Exceptions pass through.
        """
        return self._loop

    def watch_executor(self, executor: Executor | AbstractEventLoop, name: str) -> None:
        """Report ``executor`` as soon as it takes no more work; only a weak reference is kept.

        Args:
            executor: a ThreadPoolExecutor, a ProcessPoolExecutor, or an asyncio event loop, of which
                the default executor is meant.
            name: what reports call it, at most 200 characters; a second executor of that name takes the first
                one's place.

        Raises:
            TypeError: it is none of these.
            ValueError: the name is too long, or more than 256 executors and threads are watched at once, the
                ended left out.
        """
        earlier = self._executors.pop(name, None)
        if earlier is not None:
            earlier.forget()
        self._drop_ended()
        self._executors[name] = _executors.watch(self._native, executor, name)

    def watch_thread(self, thread: threading.Thread, name: str | None = None) -> None:
        """Report ``thread`` when it ends, with the exception that ended it, if one did.

        Args:
            thread: started or not; only a weak reference is kept.
            name: what reports call it, at most 200 characters; the thread's own name if none is given.

        Raises:
            TypeError: it is no thread.
            ValueError: the name is too long, or more than 256 executors and threads are watched at once, the
                ended left out.
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
        """Say that ``executor`` is about to be shut down on purpose: that is no reason then."""
        for name, watch in self._executors.copy().items():
            if watch.target() is executor:
                self._native.executor_end_expected(name)

    @contextmanager
    def paused(self, what: str, *, max_s: float = 300.0, usable: bool = False) -> Iterator[None]:
        """A span in which the main loop waits on purpose, such as a modal file dialog.

        Args:
            what: what it waits for; reports name it.
            max_s: seconds after which the wait is no longer believed.
            usable: whether the app serves its users meanwhile, say because it waits for their events. If
                not, a test file does not begin on an app that is still in here.
        """
        pause = self._native.pause(what, max_s, usable)
        try:
            yield
        finally:
            self._native.resume(pause)

    def wake_with(self, wake: Callable[[], object]) -> None:
        """Name what makes the main loop turn once if it sleeps until something happens.

        Needed only by a loop that may go for longer than ``live_gui_handover_timeout`` (0.5 s) without a
        :meth:`beat` because nothing happens. A toolkit's ``install()`` does this where it is needed.

        Args:
            wake: called from another thread, each time that somebody asks whether the loop turns, and when no
                beat has come for half of ``stall_after_ms``; it must not wait for the loop. For example
                ``glfw.post_empty_event``.
        """
        if self._canary is not None:
            self._canary.wake = wake

    def tell_open(self, things: Iterable[str]) -> None:
        """Say what is open on top of the main window now: dialogs, grabs, nested loops.

        The next test file does not begin on an app that has something open which was not open when the
        file before began (``live_gui_left_open``). A toolkit's ``install()`` tells this by itself.

        Args:
            things: a name for each, for a person; none if nothing is open. 16 are kept, of each 200
                characters.
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
        """Report trouble that only the app can see; it holds until :meth:`clear`.

        Args:
            message: one line for a person; 4 KiB are kept.
            code: a word of your own out of ``a-z 0-9 _``, at most 64 characters.
            recoverable: whether it may yet be cleared; reports show it.
            error: the exception it came from, if there is one: reports show its traceback.

        Raises:
            ValueError: ``code`` is no such word, or is one of livegui's own.
        """
        self._native.degrade(code, message, _traceback(error), recoverable)

    def report(
        self, error: BaseException, *, code: str = "callback_exception", recoverable: bool = True
    ) -> None:
        """Report an exception that makes the app unfit; it holds until :meth:`clear` of ``code``.

        Reports show its traceback. An exception after which the app is fit to go on is for
        :meth:`record_exception`.

        Args:
            error: the exception; the message is ``Type: text``.
            code: ``callback_exception``, or a word of your own as for :meth:`degrade`.
            recoverable: whether it may yet be cleared.

        Raises:
            ValueError: ``code`` is no such word, or is one of livegui's own.
        """
        self._native.degrade(code, describe(error), _traceback(error), recoverable)

    def record_exception(self, error: BaseException, source: str = "gui") -> None:
        """Tell of an exception that was caught outside of the app's own code, so that the app goes on.

        It is listed under ``exceptions`` in ``/health``. What it means for the running test is
        ``live_gui_callback_errors``: by default it fails of one from ``gui`` or ``asyncio``.

        Args:
            error: the exception.
            source: who caught it: ``gui`` or ``asyncio`` in a callback, ``thread`` or ``task`` at its end,
                ``unraisable`` where nothing can be raised.

        Raises:
            ValueError: ``source`` is none of these.
        """
        self._native.exception_swallowed(source, place_of(error), describe(error), _traceback(error))

    def clear(self, code: str = "app_reported") -> None:
        """Take back what :meth:`degrade` or :meth:`report` reported under ``code``."""
        self._native.clear(code)

    def stopping(self) -> None:
        """Say that the app is about to end: what ends from now on is no reason."""
        self._native.stopping()

    def health(self) -> dict[str, Any]:
        """What ``/health`` answers, as a dict, for an app's own hook server.

        Its keys are those of the schema ``livegui/health/1``; spans are in milliseconds.
        """
        import json  # noqa: PLC0415 -- most apps never ask, and importing livegui is to be cheap

        document: dict[str, Any] = json.loads(self._native.health_json())
        return document

    def stop(self) -> None:
        """End the agent: its threads, its port, its discovery file. A second call does nothing."""
        self.stopped = True
        if self._canary is not None:
            self._canary.stop()
        while self._on_stop:
            self._on_stop.pop()()
        self._native.stop()
        atexit.unregister(self._at_exit)

    def _drop_ended(self) -> None:
        """Leave out what has ended: an app may have a pool per document."""
        for watches in (self._executors, self._threads):
            for name, watch in tuple(watches.items()):
                if watch.target() is None:
                    watch.look()  # collected; the canary is yet to notice
                if watch.ended:
                    watches.pop(name, None)

    def _at_exit(self) -> None:
        # A toolkit that ends the process for a callback of its, as Qt does for sys.exit(), never returns.
        self._loop.exit_from_inside(caller_place())
        self.stop()

    def _after_fork_in_child(self) -> None:
        self.stopped = True
        self._native.after_fork_in_child()


def _traceback(error: BaseException | None) -> str | None:
    return None if error is None else format_traceback(error)


def _after_fork_in_child() -> None:
    """Make the parent's agent inert here, and let the child start one of its own."""
    global _current, _lock  # noqa: PLW0603 -- the lock may be held by a thread that does not exist here
    _lock = threading.Lock()
    if _current is not None:
        _current._after_fork_in_child()
    _current = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
