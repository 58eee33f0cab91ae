"""Figures that every benchmark prints."""

from __future__ import annotations

import math
from collections.abc import Sequence


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of all are not above (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


class Table:
    """Rows that are printed as they come: what, figure, bar, what stands beside it."""

    def __init__(self) -> None:
        #: Rows whose bar was missed.
        self.missed = 0
        print(f"  {'what':<50} {'figure':>24}  {'bar':>16}   beside")

    def add(self, what: str, value: float, unit: str, bar: float, beside: str) -> None:
        """A figure that is to be at most ``bar``."""
        self._row(what, f"{value:.2f} {unit}", f"{bar:g} {unit}", value <= bar, beside)

    def latency(
        self, what: str, taken: Sequence[float], *, p99: float, p50: float | None = None, beside: str = ""
    ) -> None:
        """Milliseconds, of which the quantiles are to be at most these."""
        mid, high = quantile(taken, 0.5), quantile(taken, 0.99)
        bars = f"{p50:g} / {p99:g} ms" if p50 is not None else f"p99 {p99:g} ms"
        good = high <= p99 and (p50 is None or mid <= p50)
        self._row(what, f"p50 {mid:.3f} p99 {high:.3f} ms", bars, good, beside)

    def show(self, what: str, figure: str, beside: str) -> None:
        """A figure that has no bar."""
        self._row(what, figure, "", True, beside)

    def _row(self, what: str, figure: str, bar: str, good: bool, beside: str) -> None:
        self.missed += not good
        mark = " " if good else "MISSED"
        print(f"  {what:<50} {figure:>24}  {bar:>16} {mark} {beside}", flush=True)
