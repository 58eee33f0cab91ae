"""Figures that every benchmark prints, and writes to `LIVEGUI_BENCH_OUT`: one line of JSON per row."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that is at least as large as ``share`` of all values (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


@dataclass(frozen=True)
class Row:
    """One row of a table."""

    what: str
    figure: str
    bar: str
    good: bool
    beside: str
    #: The largest ratio of a figure to its bar, if there is one.
    of_bar: float | None = None


class Table:
    """Rows that are printed as they come: what, figure, bar, comparison."""

    def __init__(self) -> None:
        #: Rows whose bar was missed.
        self.missed = 0
        self._out = os.environ.get("LIVEGUI_BENCH_OUT")
        print(f"  {'what':<50} {'figure':>24}  {'bar':>16}   beside")

    def add(self, what: str, value: float, unit: str, bar: float, beside: str) -> None:
        """Add a figure that must be at most ``bar``."""
        share = value / bar if bar else None
        self._row(Row(what, f"{value:.2f} {unit}", f"{bar:g} {unit}", value <= bar, beside, share))

    def latency(
        self, what: str, taken: Sequence[float], *, p99: float, p50: float | None = None, beside: str = ""
    ) -> None:
        """Add durations in milliseconds whose quantiles must be at most these."""
        mid, high = quantile(taken, 0.5), quantile(taken, 0.99)
        bars = f"{p50:g} / {p99:g} ms" if p50 is not None else f"p99 {p99:g} ms"
        good = high <= p99 and (p50 is None or mid <= p50)
        share = max(high / p99, 0.0 if p50 is None else mid / p50)
        self._row(Row(what, f"p50 {mid:.3f} p99 {high:.3f} ms", bars, good, beside, share))

    def show(self, what: str, figure: str, beside: str) -> None:
        """Add a figure without a bar."""
        self._row(Row(what, figure, "", True, beside))

    def _row(self, row: Row) -> None:
        self.missed += not row.good
        mark = " " if row.good else "MISSED"
        print(f"  {row.what:<50} {row.figure:>24}  {row.bar:>16} {mark} {row.beside}", flush=True)
        if self._out:
            with Path(self._out).open("a") as file:
                file.write(json.dumps(asdict(row)) + "\n")
