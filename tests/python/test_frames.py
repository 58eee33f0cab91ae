"""Whose code a thread runs."""

from __future__ import annotations

import inspect
import json
import sys
import types
from collections.abc import Generator
from types import FrameType
from typing import Any

import pytest

from livegui import _frames


class Interrupted:
    """What a library serializes. It notes the frame in which that happens."""

    frame: FrameType | None = None

    def __call__(self, _: object) -> str:
        self.frame = inspect.currentframe()
        return ""


def interrupted_in(module: str, file: str) -> FrameType | None:
    """A frame of the standard library, called by a function of this module."""
    namespace = {"__name__": module, "json": json}
    exec(compile("def step(default):\n    json.dumps(object(), default=default)\n", file, "exec"), namespace)
    noted = Interrupted()
    namespace["step"](noted)  # type: ignore[operator]
    assert noted.frame is not None
    return noted.frame.f_back


@pytest.mark.parametrize(
    ("module", "is_a_loop"),
    [
        ("trio._core._run", True),
        ("anyio._backends._trio", True),
        ("asyncio.base_events", True),
        ("outcome._impl", True),
        ("test_a", False),
        ("trio_of_mine", False),
    ],
)
def test_a_loop_is_in_its_own_code_also_where_that_calls_the_standard_library(
    module: str, is_a_loop: bool
) -> None:
    frame = interrupted_in(module, f"/suite/{module}.py")
    assert frame is not None
    assert frame.f_globals["__name__"].startswith("json")
    assert _frames.is_in_code_of_a_loop(frame) == is_a_loop
    assert not _frames.is_in_code_of_a_loop(inspect.currentframe()), "what a loop runs is not its code"


def test_a_stack_that_a_suspending_coroutine_cut_short_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def waits() -> None:
        await anyone()

    @types.coroutine
    def anyone() -> Generator[None, None, None]:
        yield

    coroutine: Any = waits()
    coroutine.send(None)
    here = inspect.currentframe()
    looks = [{7: coroutine.cr_frame}, {7: coroutine.cr_frame}, {7: here}]
    monkeypatch.setattr(sys, "_current_frames", lambda: looks.pop(0))
    assert _frames.stack_of(7)[0] is here
    monkeypatch.setattr(sys, "_current_frames", dict)
    assert _frames.stack_of(7) == []
    coroutine.close()


def test_a_traceback_ends_in_the_code_that_waits_in_the_standard_library() -> None:
    with pytest.raises(json.JSONDecodeError) as raised:
        json.loads("{")
    assert raised.traceback[-1].name == "raw_decode"
    last = _frames.without_runners(raised.tb)
    assert last is not None
    assert (
        last.tb_frame.f_code.co_name == "test_a_traceback_ends_in_the_code_that_waits_in_the_standard_library"
    )
    assert last.tb_next is None
