"""The child processes that a test has started: which they are, and how they end if the test is stopped."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from livegui import _frames, _owners
from livegui._owners import SPAN
from livegui._span import CURRENT, Span
from livegui._text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from types import FrameType

#: How long a child has to end after it was asked to, and after it was killed.
_ENDS_WITHIN_S = 5.0
#: A test that is stopped waits this long for a child before that is asked to end: where Python waits, and
#: where the test itself does, because it may have asked already.
_PATIENCE_S = 0.25
_PATIENCE_OF_TEST_S = 5.0
#: What waits for a child, or for all of a pool.
_WAITS = {
    "__exit__": _PATIENCE_S,
    "shutdown": _PATIENCE_S,
    "wait": _PATIENCE_OF_TEST_S,
    "communicate": _PATIENCE_OF_TEST_S,
    "join": _PATIENCE_OF_TEST_S,
}
#: How many processes a remark names, and how much of a command.
_NAMED = 5
_COMMAND_LENGTH = 100
#: On a ``Popen``: its start. A ``Process`` must have no mark, because it is pickled to be started.
_START = "_livegui_start"
#: Modules whose functions take the place of those that start something.
_FOLLOW = (__name__, "livegui._owners")


@dataclass(frozen=True)
class _Start:
    """A process, or a pool of processes, that was started.

    Attributes:
        started: a weak reference to it.
        carrier: the span for which it was started, or what gets the mark of that.
        file: the file of the code that started it, not counting Python's library.
        direct: whether that is only Python's library, to which the suite's own code gave the work.
        pool: a weak reference to the pool of which it is a worker.
        by_loop: whether a loop of asyncio waits for its end, and nobody else may read its status.
    """

    started: weakref.ref[Any]
    carrier: Any
    file: str
    direct: bool
    pool: weakref.ref[Any] | None
    by_loop: bool

    def is_for(self, span: Span) -> bool:
        """Whether it was started for this span."""
        return self.carrier is span or getattr(self.carrier, SPAN, None) is span

    def is_own(self, span: Span) -> bool:
        """The same, and whether the suite's own code started it. A package may need what it started later."""
        return self.is_for(span) and (self.direct or _frames.is_in_suite(self.file, span.folder))


#: What was started and still has an object, by the object's id.
_STARTS: dict[int, _Start] = {}


def followed() -> Iterator[tuple[Any, str, Callable[[Any], Any]]]:
    """What starts processes: the class, the name of its function, and what makes another of that."""
    yield subprocess.Popen, "__init__", _following
    try:
        from concurrent.futures import process as executors  # noqa: PLC0415 -- only runs with an app pay for it
        from multiprocessing import pool, process  # noqa: PLC0415
    except (ImportError, RuntimeError):
        return  # this Python has no such processes, or is about to end
    yield process.BaseProcess, "start", _following
    yield pool.Pool, "__init__", _following
    yield executors.ProcessPoolExecutor, "__init__", _following


def _following(start: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(start)
    def followed_start(started: Any, *args: Any, **kwargs: Any) -> Any:
        with contextlib.suppress(Exception):
            _note(started, sys._getframe(1))
        return start(started, *args, **kwargs)

    return followed_start


def _note(started: Any, frame: FrameType) -> None:
    """Record for whom this is started. Before it starts, because a test may be stopped while it does."""
    if isinstance(started, _kinds(("multiprocessing.pool", "ThreadPool"))):
        return
    thread, stack = threading.current_thread(), list(_frames.outwards(frame))
    carrier = CURRENT.get() or _span_of_parents() or _owners.carrier(thread, stack)
    file = _starter(stack)
    direct = not file and _owners.is_direct(thread, stack)
    pool = _pool_that_starts(stack)
    if pool is started:
        pool = None
    elif pool is not None:  # a worker belongs to whom its pool does, not its work
        of_pool = _start_of(pool)
        if of_pool is None:
            return
        carrier, file, direct = of_pool.carrier, of_pool.file, of_pool.direct
    if file is None or (isinstance(carrier, threading.Thread) and not hasattr(carrier, SPAN)):
        return
    key = id(started)
    reference = weakref.ref(started, functools.partial(_forget, _STARTS, key))
    by_loop = str(frame.f_globals.get("__name__", "")).startswith("asyncio.")
    of_pool_too = None if pool is None else weakref.ref(pool)
    _STARTS[key] = start = _Start(reference, carrier, file, direct, of_pool_too, by_loop)
    if isinstance(started, subprocess.Popen):
        setattr(started, _START, start)


def _span_of_parents() -> Span | None:
    """The span of the greenlets that wait for this one, which has a context of its own."""
    greenlet = getattr(sys.modules.get("greenlet"), "getcurrent", lambda: None)()
    while (greenlet := getattr(greenlet, "parent", None)) is not None:
        context = getattr(greenlet, "gr_context", None)
        span: Span | None = None if context is None else context.get(CURRENT)
        if span is not None:
            return span
    return None


def _forget(starts: dict[int, _Start], key: int, _: object) -> None:
    starts.pop(key, None)


def _starter(stack: list[FrameType]) -> str | None:
    """The file of the code that starts it, perhaps by Python's library; None if livegui does."""
    for caller in stack:
        module = str(caller.f_globals.get("__name__", ""))
        if module not in _FOLLOW and not _frames.is_of_the_standard_library(caller.f_code):
            return None if module.partition(".")[0] == "livegui" else caller.f_code.co_filename
    return ""


def _pool_that_starts(stack: list[FrameType]) -> Any:
    """The pool of processes in whose code this is."""
    kinds = _pools()
    for caller in stack if kinds else ():
        if _frames.is_of_the_standard_library(caller.f_code) and isinstance(
            pool := caller.f_locals.get("self"), kinds
        ):
            return pool
    return None


def _pools() -> tuple[type, ...]:
    return _kinds(("multiprocessing.pool", "Pool"), ("concurrent.futures.process", "ProcessPoolExecutor"))


def _kinds(*names: tuple[str, str]) -> tuple[type, ...]:
    """Those of these classes that are in use: the module, and the name."""
    found = (getattr(sys.modules.get(module), name, None) for module, name in names)
    return tuple(kind for kind in found if isinstance(kind, type))


def _start_of(started: Any) -> _Start | None:
    start = _STARTS.get(id(started))
    return start if start is not None and start.started() is started else None


class Children:
    """The child processes of a span that is being stopped.

    Args:
        span: the span.
        remark: takes a sentence for the report.
    """

    def __init__(self, span: Span, remark: Callable[[str], object]) -> None:
        self.span = span
        self._remark = remark
        #: Those that the test waited for: the process, since when, and how often it was told to end.
        self._waits: dict[int, tuple[Any, float, int]] = {}

    def hurry(self, frame: FrameType | None, *, patient: bool = True) -> None:
        """End the children for which this code waits without a limit, while it cleans up.

        For a signal handler too, so it takes no lock.
        """
        now = time.monotonic()
        for process, patience in self._waited_for(frame):
            _, since, told = self._waits.setdefault(id(process), (process, now, 0))
            due = (patience if patient else _PATIENCE_S) + told * _ENDS_WITHIN_S
            if now - since >= due and told < 2 and _is_known_to_run(process):
                self._waits[id(process)] = (process, since, told + 1)
                _signal(process, kill=told > 0)

    def _waited_for(self, frame: FrameType | None) -> Iterator[tuple[Any, float]]:
        """These children, the outermost wait for each last, which decides how long it may take."""
        found: dict[int, tuple[Any, float]] = {}
        for caller in _frames.outwards(frame):
            patience = _WAITS.get(caller.f_code.co_name)
            if patience is None or caller.f_locals.get("timeout") is not None:
                continue
            start = _start_of(caller.f_locals.get("self"))
            if start is not None and start.is_own(self.span):
                for process in _processes_of(start.started()):
                    found[id(process)] = (process, patience)
        yield from found.values()

    def end(self) -> None:
        """End those that still run, and report what was done with them."""
        for told, what in ((1, "ended"), (2, "killed")):
            waited_for = [process for process, _, times in self._waits.values() if times == told]
            self._report("waited for", waited_for, f"when it was stopped, so livegui {what} {{it}}")
        self._waits.clear()
        own, others = self._running()
        for pool in self._pools():
            # It would replace its workers. On a separate thread, because this can wait for ever.
            threading.Thread(target=_terminate, args=(pool,), daemon=True).start()
        for process in own:
            _signal(process, kill=False)
        stubborn = _wait_for(own)
        for process in stubborn:
            _signal(process, kill=True)
        left = _wait_for(stubborn)
        asked = [process for process in own if process not in stubborn]
        killed = [process for process in stubborn if process not in left]
        self._report("left", asked, "running, so livegui ended {it} after the test's tear-down")
        asked_first = f"running, so livegui asked {{it}} to end and killed {{it}} {_ENDS_WITHIN_S:g} s later"
        self._report("left", killed, asked_first)
        beside = "so the tests that follow run beside {it}"
        self._report("left", left, f"running: livegui cannot end {{it}}, {beside}")
        self._report("left", others, f"running: a package started {{it}} and may need {{it}}, {beside}")

    def _pools(self) -> list[Any]:
        """The pools of the span that have workers, which they would replace."""
        started = [start.started() for start in list(_STARTS.values()) if start.is_own(self.span)]
        return [pool for pool in started if isinstance(pool, _pools()) and hasattr(pool, "terminate")]

    def _running(self) -> tuple[list[Any], list[Any]]:
        """Those that the suite's own code started, and those that a package did."""
        own: dict[int, Any] = {}
        others: dict[int, Any] = {}
        started = [(start, start.started()) for start in list(_STARTS.values())]
        # Nobody holds these any more, and Python only waits for their end.
        unheld = list(getattr(subprocess, "_active", None) or ())
        started += [(getattr(popen, _START), popen) for popen in unheld if hasattr(popen, _START)]
        for start, what in started:
            if start.is_for(self.span):
                found = own if start.is_own(self.span) else others
                found.update((id(process), process) for process in _processes_of(what))
        of_package = [process for key, process in others.items() if key not in own and _runs(process)]
        return [process for process in own.values() if _runs(process)], of_package

    def _report(self, what: str, processes: Collection[Any], then: str) -> None:
        if not processes:
            return
        names = [_name(process) for process in list(processes)[:_NAMED]]
        more = len(processes) - len(names)
        text = ", ".join(names) + (f" and {more} more" if more else "")
        kind, it = ("process", "it") if len(processes) == 1 else ("processes", "them")
        self._remark(plain(f"{self.span.name} {what} {kind} {text} {then.format(it=it)}"))


def _processes_of(started: Any) -> list[Any]:
    """The processes that this is, or has."""
    if not isinstance(started, _pools()):
        return [] if started is None else [started]
    starts = [start for start in list(_STARTS.values()) if start.pool is not None and start.pool() is started]
    # A pool that was shut down knows its workers no more. One that replaces them does so on its own thread.
    workers = [start.started() for start in starts] + list(getattr(started, "_pool", ()))
    return [worker for worker in workers if worker is not None]


def _is_known_to_run(process: Any) -> bool:
    """Whether it runs as far as its object knows, which reads no status that others wait for."""
    handle = process if isinstance(process, subprocess.Popen) else getattr(process, "_popen", None)
    return getattr(handle, "pid", None) is not None and getattr(handle, "returncode", 0) is None


def _runs(process: Any) -> bool:
    """Whether it runs. If not, its status is read, so that nothing of it is left in the system."""
    if not _is_known_to_run(process):
        return False
    try:
        if not isinstance(process, subprocess.Popen):
            return bool(process.is_alive())
        start = _start_of(process)
        if start is not None and start.by_loop and sys.platform == "linux":
            return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        return process.poll() is None
    except (OSError, ValueError, AssertionError):  # something else has read its status, or closed it
        return False


def _wait_for(processes: Iterable[Any]) -> list[Any]:
    """Wait until they have ended. Returns those that have not within the limit."""
    deadline = time.monotonic() + _ENDS_WITHIN_S
    running = [process for process in processes if _runs(process)]
    while running and time.monotonic() < deadline:
        time.sleep(0.005)
        running = [process for process in running if _runs(process)]
    return running


def _signal(process: Any, *, kill: bool) -> None:
    """Ask it to end, or kill it. If it leads a group of its own, this is for the whole group."""
    with contextlib.suppress(Exception):  # it has just ended, or belongs to another user
        if sys.platform != "win32" and os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL if kill else signal.SIGTERM)
        elif kill:
            process.kill()
        else:
            process.terminate()


def _terminate(pool: Any) -> None:
    with contextlib.suppress(Exception):  # it is half built, or was half taken down
        pool.terminate()


def _name(process: Any) -> str:
    """Its number, with its command or name."""
    text = getattr(process, "name", None)
    if isinstance(process, subprocess.Popen):
        words = process.args
        words = [words] if isinstance(words, str | bytes | os.PathLike) else list(words)
        text = " ".join(map(_as_text, words))
    text = " ".join(str(text).split())
    return f"{process.pid} ({text if len(text) <= _COMMAND_LENGTH else text[:_COMMAND_LENGTH] + '…'})"


def _as_text(word: Any) -> str:
    return os.fsdecode(word) if isinstance(word, str | bytes | os.PathLike) else str(word)
