"""``requires_prior_state``: the marker of tests that build on what earlier tests left in the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from livegui._livegui import NativeLive

MARK = "requires_prior_state"
_TAKES = "test files or node ids, relative to pytest's rootdir; none stands for any earlier file"


def describe(config: pytest.Config) -> None:
    """Declare the marker for ``--strict-markers`` and ``--markers``."""
    what = "builds on what earlier tests left in the app, and is skipped on a process that did not run them"
    config.addinivalue_line("markers", f"{MARK}(*files): {what} (livegui). It takes {_TAKES}.")


def skip_unless_carried(item: pytest.Item, live: NativeLive | None) -> None:
    """Skip a test with the marker if its process does not have the state."""
    __tracebackhide__ = True
    for mark in item.iter_markers(MARK):
        for prior in _named(item, mark):
            if live is None:
                lacks: str | None = (
                    f"requires prior state of {prior or 'an earlier file'}, and no app was used"
                )
            else:
                lacks = live.lacks_prior_state(item.nodeid, item.nodeid.partition("::")[0], prior)
            if lacks is not None:
                pytest.skip(lacks)


def _named(item: pytest.Item, mark: pytest.Mark) -> list[str | None]:
    __tracebackhide__ = True
    for name in mark.args:
        if not isinstance(name, str):
            pytest.fail(f"{MARK}({name!r}): it takes {_TAKES}", pytrace=False)
        path = item.config.rootpath / name.partition("::")[0]
        if not path.exists():
            pytest.fail(f"{MARK}({name!r}): there is no {path}; it takes {_TAKES}", pytrace=False)
    if mark.kwargs:
        pytest.fail(f"{MARK}({', '.join(mark.kwargs)}=…): it takes {_TAKES}", pytrace=False)
    return list(mark.args) or [None]
