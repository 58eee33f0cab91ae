"""Shared by the toolkit adapters."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import weakref
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from livegui._crash import caller_place, describe, format_traceback, place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from livegui import Agent
    from livegui._inject import Injection


class Frames:
    """Beats, and reports what is open on top of the main window whenever that changes.

    Args:
        agent: the agent to report to.
        look: returns the names of what is open. It is called on the GUI's thread with every beat, so it
            must be cheap.
    """

    def __init__(self, agent: Agent, look: Callable[[], list[str]]) -> None:
        self._agent = agent
        self._look = look
        #: What was told last, and how often the app had come back to its loop by then.
        self._told: tuple[list[str], int] = ([], 0)

    def beat(self) -> None:
        """Report that the main loop runs."""
        # Report what is open first: a check whether the loop runs is answered by the beat, and needs both.
        self.look()
        self._agent.beat()

    def look(self) -> None:
        """Report what is open, if that has changed."""
        try:
            things = self._look()
        except Exception:  # noqa: BLE001 -- whatever the toolkit raises, for example about a window that is gone
            things = []
        told = (things, self._agent._loop.returns)
        if told != self._told:
            self._told = told
            self._agent.tell_open(things)


class _Layer:
    """A place in the chain of hooks in ``sys.excepthook``, above the hook that was there before."""

    def __init__(self, owner: _Hook, earlier: Callable[..., Any]) -> None:
        #: None if the owner has a higher place by now, or none.
        self.owner: _Hook | None = owner
        self.earlier = earlier

    def excepthook(self, kind: Any, error: Any, where: Any, /) -> None:
        """What Python calls."""
        if self.owner is None or not isinstance(error, BaseException):
            self.earlier(kind, error, where)
            return
        done = False
        try:
            done = self.owner.heard(error)
        finally:
            if not done:
                self.earlier(kind, error, where)


class _Hook(ABC):
    """A hook of livegui's in ``sys.excepthook``. An earlier hook is still called, so it prints as before."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._layer: _Layer | None = None
        self.put_on_top()
        agent._on_stop.append(self.remove)

    @abstractmethod
    def heard(self, error: BaseException) -> bool:
        """Take note of an exception. If this returns True, no earlier hook is called."""

    def put_on_top(self) -> None:
        """Make sure to be called, after the app may have put a hook of its own above.

        The app's may call ours in turn, so ours does nothing in its earlier place.
        """
        layer = _layer(sys.excepthook)
        while layer is not None:
            if layer.owner is self:
                return
            layer = _layer(layer.earlier)
        if self._layer is not None:
            self._layer.owner = None
        self._layer = _Layer(self, sys.excepthook)
        sys.excepthook = self._layer.excepthook

    def remove(self) -> None:
        """Restores the earlier hook, unless something else has replaced ours since and may still call it."""
        layer, self._layer = self._layer, None
        if layer is not None:
            layer.owner = None
            if _layer(sys.excepthook) is layer:
                sys.excepthook = layer.earlier

    def is_all_there_is(self) -> bool:
        """Whether the app has no hook, neither above ours nor below it."""
        layer, earlier = _layer(sys.excepthook), sys.excepthook
        is_there = False
        while layer is not None:
            is_there = is_there or layer is self._layer
            earlier = layer.earlier
            layer = _layer(earlier)
        return is_there and earlier is sys.__excepthook__


def _layer(hook: Any) -> _Layer | None:
    owner = getattr(hook, "__self__", None)
    return owner if isinstance(owner, _Layer) else None


class ExceptHook(_Hook):
    """Records exceptions that a toolkit passes to ``sys.excepthook`` while the app goes on.

    An exception that ends the program passes through here too, but is not recorded: then this hook has no
    caller on the main thread.
    """

    def __init__(
        self, agent: Agent, source_elsewhere: str, instead: Callable[[BaseException], bool] | None = None
    ) -> None:
        #: The source to record for exceptions on other threads than the main one.
        self._source_elsewhere = source_elsewhere
        #: What else to do; if it returns True, the earlier hook is not called.
        self._instead = instead
        super().__init__(agent)
        agent._excepthooks.append(self)

    def heard(self, error: BaseException) -> bool:
        """Record it, unless it ends the program."""
        if _ends_the_program():
            return False
        in_main_thread = threading.current_thread() is threading.main_thread()
        self._agent.record_exception(error, "gui" if in_main_thread else self._source_elsewhere)
        return self._instead is not None and self._instead(error)


class CrashHook(_Hook):
    """Reports an exception that ends the program on the main thread, outside of any toolkit's loop."""

    def heard(self, error: BaseException) -> bool:
        """Report it, if it ends the program."""
        if _ends_the_program():
            self._agent._loop.end_by(error)
        return False


def raised_in_loop(context: dict[str, Any]) -> tuple[BaseException, str] | None:
    """The exception that asyncio passes to a loop's exception handler, and its source for the agent."""
    error = context.get("exception")
    if not isinstance(error, BaseException):
        return None
    never_asked_for = "never retrieved" in str(context.get("message"))
    return error, "task" if never_asked_for else "asyncio"


def record_when_watched(injection: Injection, raised: tuple[BaseException, str] | None) -> None:
    """Record an exception in an unchanged app, now or as soon as there is an agent. It is not kept."""
    if raised is not None:
        error, source = raised
        # None of these raises.
        place, message, text = place_of(error), describe(error), format_traceback(error)
        injection.when_watched(lambda agent: agent._native.exception_swallowed(source, place, message, text))


def _ends_the_program() -> bool:
    """Whether the exception ends the program. Then nothing, or a hook of livegui, called the hook."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_globals is globals():
        frame = frame.f_back  # type: ignore[assignment]
    return frame is None and threading.current_thread() is threading.main_thread()


class Pictures:
    """Takes a picture of the app when the test side requests one with a file in the generation's folder.

    Args:
        agent: the agent, whose canary looks for the file.
        grab: writes a PNG to the given path. It is called on the GUI's thread, between two frames.
    """

    #: Announces that this app can take pictures.
    OFFER = "picture.offer"
    #: Requests a picture.
    REQUEST = "picture.request"
    #: The complete picture.
    ANSWER = "picture.png"

    def __init__(self, agent: Agent, grab: Callable[[str], object]) -> None:
        self._grab = grab
        #: Whether a picture is requested. The canary sets this, and it is read once a frame.
        self.asked = False
        self._folder = os.environ.get("LIVEGUI_RUN_DIR", "")
        if not self._folder or agent.url is None:
            return
        with contextlib.suppress(OSError), open(self._path(self.OFFER), "x"):  # noqa: PTH123 -- no pathlib in the GUI
            pass
        agent._lookouts["pictures"] = self
        agent._on_stop.append(self._withdraw)

    def look(self) -> None:
        """Checks for a request, on the canary's thread."""
        self.asked = self.asked or os.path.exists(self._path(self.REQUEST))  # noqa: PTH110

    def take_if_asked(self) -> None:
        """Takes the picture, on the GUI's thread, once a frame; cheap unless one is requested."""
        if not self.asked:
            return
        self.asked = False
        draft = self._path("draft." + self.ANSWER)
        # If the toolkit raises anything, the test side takes a picture from outside.
        with contextlib.suppress(Exception):
            self._grab(draft)
            os.replace(draft, self._path(self.ANSWER))  # noqa: PTH105
        with contextlib.suppress(OSError):
            os.remove(self._path(self.REQUEST))  # noqa: PTH107

    def _withdraw(self) -> None:
        with contextlib.suppress(OSError):
            os.remove(self._path(self.OFFER))  # noqa: PTH107

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)  # noqa: PTH118


def give_back_on_stop(agent: Agent, target: Any, give_back: Callable[[Any], object]) -> None:
    """Calls ``give_back(target)`` when the agent stops, if the target still exists. Keeps no reference."""

    def stop() -> None:
        left = known()
        if left is not None:
            give_back(left)

    def forget(_gone: object) -> None:
        with contextlib.suppress(ValueError):  # the agent is stopping
            agent._on_stop.remove(stop)

    known = weakref.ref(target, forget)
    agent._on_stop.append(stop)


def wrap(agent: Agent, module: Any, name: str, wrapper: Callable[[Any], Any]) -> None:
    """Replaces a module's function by ``wrapper(function)`` until the agent stops."""
    earlier = getattr(module, name)
    ours = wrapper(earlier)
    setattr(module, name, ours)

    def give_back() -> None:
        if getattr(module, name) is ours:
            setattr(module, name, earlier)

    agent._on_stop.append(give_back)


def hear_exits(agent: Agent) -> None:
    """Records where ``sys.exit()`` is called, for toolkits that end the process for it on the spot."""

    def wrapper(earlier: Callable[[Any], Any]) -> Callable[..., None]:
        def exit(status: Any = None, /) -> None:
            agent._loop.note_exit(status, caller_place())
            earlier(status)

        return exit

    wrap(agent, sys, "exit", wrapper)
