"""What the adapters share."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from livegui import Agent


class Frames:
    """Beats, and tells what is open on top of the main window whenever that changed.

    Args:
        agent: the agent to tell.
        look: names what is open; called on the GUI's thread with every beat, so it must be cheap.
    """

    def __init__(self, agent: Agent, look: Callable[[], list[str]]) -> None:
        self._agent = agent
        self._look = look
        self._told: list[str] = []

    def beat(self) -> None:
        """The main loop turns."""
        # What is open comes first: whoever asks if the loop turns is answered by the beat, and wants to know.
        try:
            things = self._look()
        except Exception:  # noqa: BLE001 -- whatever the toolkit says, as of a window that has just gone
            things = []
        if things != self._told:
            self._told = things
            self._agent.tell_open(things)
        self._agent.beat()


class ExceptHook:
    """Hears of exceptions that a toolkit hands to ``sys.excepthook`` while the app goes on.

    Whoever had the hook is called as before, so that everything is printed as before. What ends the program
    passes through here as well, and is not recorded: on the main thread nobody has called us then.
    """

    def __init__(
        self, agent: Agent, source_elsewhere: str, instead: Callable[[BaseException], bool] | None = None
    ) -> None:
        self._agent = agent
        #: Who is said to have caught it on a thread that is not the main one.
        self._source_elsewhere = source_elsewhere
        #: What else is done; True if the earlier hook is not to be called.
        self._instead = instead
        self.earlier = sys.excepthook
        sys.excepthook = self._hook
        agent._on_stop.append(self.remove)

    def remove(self) -> None:
        """Give the hook back, unless somebody has taken it since: they call us, and we them."""
        if sys.excepthook == self._hook:
            sys.excepthook = self.earlier

    def _hook(self, kind: Any, error: Any, where: Any, /) -> None:
        done = False
        try:
            in_main_thread = threading.current_thread() is threading.main_thread()
            if not _ends_the_program() and isinstance(error, BaseException):
                self._agent.record_exception(error, "gui" if in_main_thread else self._source_elsewhere)
                done = self._instead is not None and self._instead(error)
        finally:
            if not done:
                self.earlier(kind, error, where)


class CrashHook:
    """Tells of the exception that ends the program on the main thread, where no loop of a toolkit is around.

    Whoever had ``sys.excepthook`` is called as before.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._earlier = sys.excepthook
        sys.excepthook = self._hook
        agent._on_stop.append(self.remove)

    def remove(self) -> None:
        """Give the hook back, unless somebody has taken it since: they call us, and we them."""
        if sys.excepthook == self._hook:
            sys.excepthook = self._earlier

    def _hook(self, kind: Any, error: Any, where: Any, /) -> None:
        try:
            if _ends_the_program() and isinstance(error, BaseException):
                self._agent._loop.end_by(error)
        finally:
            self._earlier(kind, error, where)


def _ends_the_program() -> bool:
    """Whether a hook hears of what ends the program: nobody has called it then, or another hook of ours."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_globals is globals():
        frame = frame.f_back  # type: ignore[assignment]
    return frame is None and threading.current_thread() is threading.main_thread()


class Pictures:
    """Takes a picture of the app when the test side asks for one, by a file in the generation's folder.

    Args:
        agent: the agent, whose canary looks for the file.
        grab: writes a PNG to the path it is given; called on the GUI's thread, between two frames.
    """

    #: Says that there is somebody who takes pictures.
    OFFER = "picture.offer"
    #: Asks for one.
    REQUEST = "picture.request"
    #: The picture, written whole.
    ANSWER = "picture.png"

    def __init__(self, agent: Agent, grab: Callable[[str], object]) -> None:
        self._grab = grab
        #: Somebody has asked. Set by the canary, read once a frame.
        self.asked = False
        self._folder = os.environ.get("LIVEGUI_RUN_DIR", "")
        if not self._folder or agent.url is None:
            return
        with contextlib.suppress(OSError), open(self._path(self.OFFER), "x"):  # noqa: PTH123 -- no pathlib in the GUI
            pass
        agent._lookouts["pictures"] = self
        agent._on_stop.append(self._withdraw)

    def look(self) -> None:
        """On the canary's thread: look whether there is a request."""
        self.asked = self.asked or os.path.exists(self._path(self.REQUEST))  # noqa: PTH110

    def take_if_asked(self) -> None:
        """On the GUI's thread, once a frame: cheap unless somebody has asked."""
        if not self.asked:
            return
        self.asked = False
        draft = self._path("draft." + self.ANSWER)
        # Whatever the toolkit says of it: the test side then takes one from outside.
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
    """Call ``give_back(target)`` when the agent stops, if there is such a target still: it is not kept."""

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
    """Put ``wrapper(function)`` in the place of a module's function until the agent stops."""
    earlier = getattr(module, name)
    ours = wrapper(earlier)
    setattr(module, name, ours)

    def give_back() -> None:
        if getattr(module, name) is ours:
            setattr(module, name, earlier)

    agent._on_stop.append(give_back)
