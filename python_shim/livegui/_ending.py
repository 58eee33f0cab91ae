"""Tells whether the running code is ending already, so that livegui lets it clean up."""

from __future__ import annotations

import ast
import bdb
import functools
import linecache
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

#: With these the user ends the run.
_ENDS_THE_RUN = (KeyboardInterrupt, pytest.exit.Exception, bdb.BdbQuit)
#: The exceptions with which asyncio and trio end a task.
_CANCELLED = ("CancelledError", "Cancelled")


class Ending:
    """Whether this thread runs a ``finally``, an ``__exit__`` or an ``except`` on its way out."""

    def __init__(self, verdict: type[BaseException]) -> None:
        self._verdict = verdict
        #: The failure of the test itself after which it cleans up.
        self._failure: BaseException | None = None

    def has_begun(self, own: list[FrameType], *, told: bool) -> bool:
        """Whether it is ending.

        Args:
            own: the test's own frames.
            told: whether livegui has stopped it.
        """
        if any(
            isinstance(error, _ENDS_THE_RUN)
            or (told and (isinstance(error, self._verdict) or type(error).__name__ in _CANCELLED))
            for error in _handled()
        ):
            return True
        return not told and self._has_failed(own)

    def _has_failed(self, own: list[FrameType]) -> bool:
        """Whether it failed by itself, and cleans up.

        A poll may have a ``finally`` too, but then there is another error each time.
        """
        error = sys.exc_info()[1]
        if error is None or not any(map(_cleans_up, own)):
            return False
        if self._failure is None:
            self._failure = error
        return self._failure is error

    def forget(self) -> None:
        """Another phase begins."""
        self._failure = None


def _handled() -> Iterator[BaseException]:
    """The error that is being handled, and those that were when it was raised."""
    error = sys.exc_info()[1]
    while error is not None:
        yield error
        error = error.__context__


def _cleans_up(frame: FrameType) -> bool:
    """Whether this is an ``__exit__``, or is in a ``finally``."""
    code = frame.f_code
    if code.co_name in ("__exit__", "__aexit__"):
        return True
    return any(frame.f_lineno in lines for lines in _final_lines(code.co_filename))


@functools.lru_cache(maxsize=16)
def _final_lines(file: str) -> list[range]:
    """The lines of the ``finally`` blocks of a file."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError, RecursionError):
        return []
    blocks = [getattr(node, "finalbody", []) for node in ast.walk(tree)]
    return [range(block[0].lineno, (block[-1].end_lineno or 0) + 1) for block in blocks if block]
