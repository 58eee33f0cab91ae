"""Figures that every benchmark prints, and writes to `LIVEGUI_BENCH_OUT`: one line of JSON per row."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

#: The exit status of a benchmark that misses a bar. A crash has another.
BAR_MISSED = 3
NO_PEER = "no peer"


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that is at least as large as ``share`` of all values (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def times(ours: float, peers: Mapping[str, float], unit: str, digits: int = 1) -> str:
    """Each peer's figure, and how many times ours that is."""
    return ", ".join(
        f"{name} {value:.{digits}f} {unit}" + (f" ({value / ours:.1f} x)" if ours > 0 else "")
        for name, value in peers.items()
    )


def spread(values: Sequence[float], unit: str, digits: int = 2) -> str:
    """The smallest and the largest of several measurements."""
    return f"{min(values):.{digits}f} to {max(values):.{digits}f} {unit} in {len(values)}"


@dataclass(frozen=True)
class Row:
    """One row of a table."""

    what: str
    figure: str
    bar: str
    good: bool
    #: The figures of peers for the same.
    beside: str
    #: Anything else: the spread, what a figure consists of.
    note: str
    #: The largest ratio of a figure to its bar, if there is one.
    of_bar: float | None = None


class Table:
    """Rows that are printed as they come: what, figure, bar, comparison."""

    def __init__(self) -> None:
        #: Rows whose bar was missed.
        self.missed = 0
        self._out = os.environ.get("LIVEGUI_BENCH_OUT")
        print(f"  {'what':<50} {'figure':>24}  {'bar':>16}   beside; note")

    def add(
        self, what: str, value: float, unit: str, bar: float, *, beside: str = "", note: str = ""
    ) -> None:
        """Add a figure that must be at most ``bar``."""
        share = value / bar if bar else None
        figure = f"{value:.2f} {unit}".strip()
        self._row(Row(what, figure, f"{bar:g} {unit}".strip(), value <= bar, beside or NO_PEER, note, share))

    def within(self, what: str, value: float, low: float, high: float, *, note: str = "") -> None:
        """Add a figure that must lie between two bars."""
        good = low <= value <= high
        self._row(Row(what, f"{value:.2f}", f"{low:g} to {high:g}", good, NO_PEER, note, value / high))

    def latency(
        self,
        what: str,
        taken: Sequence[float],
        *,
        p99: float,
        p50: float | None = None,
        beside: str = "",
        note: str = "",
    ) -> None:
        """Add durations in milliseconds whose quantiles must be at most these."""
        mid, high = quantile(taken, 0.5), quantile(taken, 0.99)
        bars = f"{p50:g} / {p99:g} ms" if p50 is not None else f"p99 {p99:g} ms"
        good = high <= p99 and (p50 is None or mid <= p50)
        share = max(high / p99, 0.0 if p50 is None else mid / p50)
        figure = f"p50 {mid:.3f} p99 {high:.3f} ms"
        self._row(Row(what, figure, bars, good, beside or NO_PEER, note, share))

    def show(self, what: str, figure: str, *, beside: str = "", note: str = "") -> None:
        """Add a figure without a bar."""
        self._row(Row(what, figure, "", True, beside or NO_PEER, note))

    def end(self) -> NoReturn:
        """End this process. Its exit status says whether a bar was missed."""
        sys.exit(BAR_MISSED if self.missed else 0)

    def _row(self, row: Row) -> None:
        self.missed += not row.good
        mark = " " if row.good else "MISSED"
        said = "; ".join(filter(None, (row.beside, row.note)))
        print(f"  {row.what:<50} {row.figure:>24}  {row.bar:>16} {mark} {said}", flush=True)
        if self._out:
            with Path(self._out).open("a") as file:
                file.write(json.dumps(asdict(row)) + "\n")
