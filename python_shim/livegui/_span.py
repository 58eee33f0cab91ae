"""What is stopped as a whole: a phase of a test, or the set-up of one fixture."""

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

#: A task inherits the context of what starts it, so this distinguishes tasks of the test from those of
#: fixtures.
CURRENT: ContextVar[Span | None] = ContextVar("livegui_span", default=None)


def running_threads() -> frozenset[int | None]:
    """The threads that run now."""
    return frozenset([thread.ident for thread in threading.enumerate()])


@dataclass(eq=False)
class Span:
    """A part of a test, and how to recognise its code.

    Attributes:
        function: the test's or the fixture's own function, if there is one.
        files: a thread that began during the span and runs code of these files belongs to the test.
        folder: the folder of the suite, where its helper modules are.
        name: its name in reports.
        last: whether nothing needs the app afterwards.
        once: whether what runs after its first part was stopped is there to clean up.
        runners: packages that run the test's code, on other threads or in loops.
        entered: whether the loop that runs it got our coroutine, which marks its own tasks.
        threads: the threads that ran before.
        loops: the asyncio loops that ran it.
        cancelled: its tasks that were cancelled.
        left: the names of its tasks that cannot be cancelled alone, because a fixture's task group runs them.
    """

    function: Callable[..., Any] | None = None
    files: Set[str] = frozenset()
    folder: str = ""
    name: str = ""
    last: bool = False
    once: bool = False
    runners: frozenset[str] = frozenset()
    entered: bool = False
    threads: frozenset[int | None] = frozenset()
    loops: list[Any] = field(default_factory=list)
    cancelled: list[Any] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def codes(self) -> set[CodeType]:
        """The code of its function, and of the functions inside that."""
        code = getattr(inspect.unwrap(self.function), "__code__", None) if self.function else None
        return _frames.codes_in(code) if code is not None else set()
