"""What the adapters share."""

from __future__ import annotations

import sys
import threading
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
        self._agent.beat()
        things = self._look()
        if things != self._told:
            self._told = things
            self._agent.tell_open(things)


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
            ends_the_program = in_main_thread and sys._getframe().f_back is None
            if not ends_the_program and isinstance(error, BaseException):
                self._agent.record_exception(error, "gui" if in_main_thread else self._source_elsewhere)
                done = self._instead is not None and self._instead(error)
        finally:
            if not done:
                self.earlier(kind, error, where)


def wrap(agent: Agent, module: Any, name: str, wrapper: Callable[[Any], Any]) -> None:
    """Put ``wrapper(function)`` in the place of a module's function until the agent stops."""
    earlier = getattr(module, name)
    ours = wrapper(earlier)
    setattr(module, name, ours)

    def give_back() -> None:
        if getattr(module, name) is ours:
            setattr(module, name, earlier)

    agent._on_stop.append(give_back)
