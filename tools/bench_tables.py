"""Run the benchmarks one after the other, and write their results as JSON and one picture per table."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

#: How many times to run a benchmark that misses a bar, because the machine may have been busy.
ATTEMPTS = 3

Row = dict[str, Any]


def run(
    scripts: Mapping[str, Path], python: Path, environment: Mapping[str, str], say: Callable[[str], None]
) -> tuple[dict[str, Any], list[str]]:
    """Every table, and the names of the benchmarks that missed a bar each time."""
    tables: dict[str, Any] = {}
    missed = []
    for name, script in scripts.items():
        for attempt in range(1, ATTEMPTS + 1):
            say(f"bench {name}" + (f" (attempt {attempt})" if attempt > 1 else ""))
            before, began = os.getloadavg() if hasattr(os, "getloadavg") else (0.0,), time.monotonic()
            good, rows = once(script, python, environment)
            tables[name] = {
                "rows": rows,
                "attempts": attempt,
                "seconds": round(time.monotonic() - began, 1),
                "load_before": round(before[0], 2),
            }
            if good:
                break
            if attempt < ATTEMPTS:
                say(f"noisy, or slower than its bar (load {before[0]:.1f}): {name} is run again")
        else:
            missed.append(name)
    machine = {"system": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()}
    return {"machine": machine, "tables": tables}, missed


def once(script: Path, python: Path, environment: Mapping[str, str]) -> tuple[bool, list[Row]]:
    """Run one. Returns whether it met all its bars, and its rows."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "rows"
        given = os.environ | dict(environment) | {"LIVEGUI_BENCH_OUT": str(out)}
        status = subprocess.run([python, script], env=given, check=False).returncode
        lines = out.read_text().splitlines() if out.exists() else []
    return status == 0, [json.loads(line) for line in lines]


ROW_PX, WIDTH_PX, BAR_PX = 34, 980, 300


def picture(title: str, rows: Sequence[Row]) -> str:
    """An SVG that shows each figure, how much of its bar it takes, and what it is compared with. Pure."""
    height = ROW_PX * (len(rows) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH_PX}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="22" font-size="15" font-weight="bold" fill="#1f2328">{escape(title)}</text>',
    ]
    for number, row in enumerate(rows):
        y = ROW_PX * (number + 1)
        parts.append(f'<text x="12" y="{y + 15}" fill="#1f2328">{escape(row["what"])}</text>')
        parts.append(
            f'<text x="12" y="{y + 28}" fill="#57606a" font-size="10">{escape(row["beside"])[:110]}</text>'
        )
        x = WIDTH_PX - BAR_PX - 12
        if row["of_bar"] is not None:
            share = min(max(row["of_bar"], 0.0), 1.0) * BAR_PX
            colour = "#2da44e" if row["good"] else "#cf222e"
            parts.append(f'<rect x="{x}" y="{y + 4}" width="{BAR_PX}" height="14" fill="#eaeef2"/>')
            parts.append(f'<rect x="{x}" y="{y + 4}" width="{share:.0f}" height="14" fill="{colour}"/>')
        figure = row["figure"] + (f" of {row['bar']}" if row["bar"] else "")
        parts.append(f'<text x="{x}" y="{y + 29}" fill="#1f2328" font-size="10">{escape(figure)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def write(results: Mapping[str, Any], folder: Path) -> None:
    """``bench.json``, and ``bench-NAME.svg`` for each table."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(results, indent=1) + "\n")
    machine = results["machine"]
    for name, table in results["tables"].items():
        where = f"{machine['cores']} cores, Python {machine['python']}, load {table['load_before']}"
        title = f"livegui: {name} ({where})"
        (folder / f"bench-{name}.svg").write_text(picture(title, table["rows"]))
