"""The hook servers of an unchanged app. If an exception leaves one and ends its thread, that is reported.

Any function ``serve_forever()`` is one. Those of a few known classes are also wrapped, so that they are heard
even if the app sets its own ``threading.excepthook`` later.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from livegui._crash import describe, format_traceback

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from livegui import Agent
    from livegui._inject import Injection

#: What serves until it is told to end, by module: class and functions.
_SERVING = {
    "asyncio.base_events": ("Server", ["serve_forever"]),
    "socketserver": ("BaseServer", ["serve_forever"]),
    "uvicorn.server": ("Server", ["run", "serve"]),
}
#: The function of any module that serves until it is told to end.
_SERVE_FOREVER = "serve_forever"
#: Functions of packages that do so under another name.
_OF_PACKAGES = {
    "cheroot": ("start", "serve"),
    "hypercorn": ("run", "serve"),
    "uvicorn": ("run", "serve"),
    "waitress": ("run", "serve"),
    "werkzeug": ("run_simple",),
}
#: What ends a coroutine from outside.
_CALLED_OFF = ("CancelledError", "GeneratorExit")
#: The flag of a coroutine function's code. What `inspect` imports, the app may not need.
_CO_COROUTINE = 0x80
#: The attribute that marks an exception that has left a server.
_LEFT_SERVER = "_livegui_left_server"
#: The attribute that marks an exception that was reported.
_TOLD = "_livegui_server_told"
#: How many exceptions are looked at that led to the one which ends a thread, and how many frames of each.
_CHAIN = 20
_FRAMES = 1000


def patch(injection: Injection, module: ModuleType) -> None:
    """Report what leaves the servers of this module and ends their thread."""
    class_name, names = _SERVING[module.__name__]
    for name in names:
        injection.wrap(getattr(module, class_name), name, lambda serve: _serving(injection, serve))


def watch_threads(injection: Injection, agent: Agent) -> None:
    """Report an exception that ends a thread, if it has left a server."""
    agent._on_stop.append(_Hook(injection).remove)


def _serving(injection: Injection, serve: Callable[..., Any]) -> Callable[..., Any]:
    def serving(*arguments: Any, **options: Any) -> Any:
        try:
            return serve(*arguments, **options)
        except BaseException as error:
            _left(injection, error)
            raise

    async def serving_in_a_loop(*arguments: Any, **options: Any) -> Any:
        try:
            return await serve(*arguments, **options)
        except BaseException as error:
            _left(injection, error)
            raise

    return serving_in_a_loop if serve.__code__.co_flags & _CO_COROUTINE else serving


def _left(injection: Injection, error: BaseException) -> None:
    """An exception leaves a server. Report it if nothing handles it before it ends the thread."""
    thread = threading.current_thread()
    called_off = type(error).__name__ in _CALLED_OFF or _is_normal_end(error)
    if called_off or thread is threading.main_thread() or sys.is_finalizing():
        return
    if hasattr(error, _LEFT_SERVER):  # one function that serves may call another
        return
    error.__dict__[_LEFT_SERVER] = True
    if isinstance(thread, threading._DummyThread):  # whose end Python does not notice
        _report(injection, thread, error)
    elif _Hook.of(threading.excepthook) is None:
        hook = _Hook(injection, until_told=True)
        injection.when_watched(lambda agent: agent._on_stop.append(hook.remove))


class _Hook:
    """Reports an exception that ends a thread, if it has left a server. An earlier hook is still called.

    One is there as long as the agent. Another is put above the app's own when an exception leaves a wrapped
    server, and is removed when a thread has died.
    """

    def __init__(self, injection: Injection, *, until_told: bool = False) -> None:
        self._injection = injection
        self._until_told = until_told
        self._earlier = threading.excepthook
        threading.excepthook = self._hook

    @staticmethod
    def of(hook: object) -> _Hook | None:
        """The object of this class whose hook that is."""
        owner = getattr(hook, "__self__", None)
        return owner if isinstance(owner, _Hook) else None

    def remove(self) -> None:
        """Restores the earlier hook, unless something else has replaced ours since and may still call it."""
        if _Hook.of(threading.excepthook) is self:
            threading.excepthook = self._earlier

    def _hook(self, args: Any, /) -> None:
        try:
            error = args.exc_value
            if error is not None and not _is_normal_end(error) and _has_left_server(error):
                if self._until_told:
                    self.remove()
                _report(self._injection, args.thread, error)
        finally:
            self._earlier(args)


def _is_normal_end(error: BaseException) -> bool:
    return isinstance(error, SystemExit) and error.code in (None, 0)


def _has_left_server(error: BaseException) -> bool:
    """Whether this exception, or one during whose handling it was raised, has left a server."""
    cause: BaseException | None = error
    for _ in range(_CHAIN):
        if cause is None:
            return False
        if hasattr(cause, _LEFT_SERVER) or _has_frame_of_server(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _has_frame_of_server(error: BaseException) -> bool:
    entry = error.__traceback__
    for _ in range(_FRAMES):
        if entry is None or type(error).__name__ in _CALLED_OFF:
            return False
        function = entry.tb_frame.f_code.co_name
        package = str(entry.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if function == _SERVE_FOREVER or function in _OF_PACKAGES.get(package, ()):
            return True
        entry = entry.tb_next
    return False


def _report(injection: Injection, thread: threading.Thread | None, error: BaseException) -> None:
    if thread is not None and not hasattr(error, _TOLD):
        error.__dict__[_TOLD] = True
        name, why, where = thread.name[:200], describe(error), format_traceback(error)
        injection.report(lambda agent: _died(agent, name, why, where))


def _died(agent: Agent, name: str, why: str, where: str | None) -> None:
    agent._native.thread_watched(name)
    agent._native.thread_ended(name, why, where)
