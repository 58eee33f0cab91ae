"""What is ended as a whole: a phase of a test, or the set-up of one fixture."""

from __future__ import annotations

import inspect
import threading
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from livegui import _frames

if TYPE_CHECKING:
    from collections.abc import Callable, Set
    from types import CodeType

#: Tasks inherit the context of whoever starts them, so this tells the test's from those of other fixtures.
CURRENT: ContextVar[Span | None] = ContextVar("livegui_span", default=None)


def running_threads() -> frozenset[int | None]:
    """Those that run now."""
    return frozenset([thread.ident for thread in threading.enumerate()])


@dataclass(eq=False)
class Span:
    """A stretch of a test, and how its code is known.

    Attributes:
        function: the test's or the fixture's own function, if there is one.
        files: whose code in a thread that began meanwhile makes it one of the test's.
        name: what it is called in a report.
        last: nobody needs the app after it.
        once: what runs after the first part of it was ended is there to clear up.
        runners: packages that run the test's code, on other threads or in loops.
        entered: the loop that runs it was handed our coroutine, which marks its own tasks.
        threads: those that ran before.
        cancelled: tasks of it that were told to end.
    """

    function: Callable[..., Any] | None = None
    files: Set[str] = frozenset()
    name: str = ""
    last: bool = False
    once: bool = False
    runners: frozenset[str] = frozenset()
    entered: bool = False
    threads: frozenset[int | None] = frozenset()
    cancelled: list[Any] = field(default_factory=list)

    def codes(self) -> set[CodeType]:
        """The code of its function, and of the functions in that."""
        code = getattr(inspect.unwrap(self.function), "__code__", None) if self.function else None
        return _frames.codes_in(code) if code is not None else set()
