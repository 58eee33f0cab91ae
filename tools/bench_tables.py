"""Run the benchmarks one after the other, and write their results as JSON and one picture per table."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tempfile
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

#: How many times to run a benchmark that misses a bar, because the machine may have been busy.
ATTEMPTS = 3
#: The exit status of a benchmark that misses a bar, as in `benchmarks/figures.py`. Another one is a crash's.
BAR_MISSED = 3

Row = dict[str, Any]
Tables = dict[str, dict[str, Any]]


def machine() -> dict[str, Any]:
    """What the figures of a table depend on."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def load() -> float | None:
    """How many processes ran in the last minute, where the system says so."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def where(here: Mapping[str, Any], load: float | None) -> str:
    """One line on a machine and its load."""
    known = "unknown" if load is None else f"{load:.1f}"
    return f"{here['cores']} cores, {here['system']}, Python {here['python']}, load {known}"


def run(
    scripts: Mapping[str, Path],
    python: Path,
    environments: Mapping[str, Mapping[str, str]],
    say: Callable[[str], None],
) -> Tables:
    """Every table, and whether its bars were ``met`` or ``missed`` each time, or its benchmark ``died``.

    ``environments`` has what is added to the environment of some of them.
    """
    here = machine()
    say(where(here, load()))
    tables: Tables = {}
    for name, script in scripts.items():
        for attempt in range(1, ATTEMPTS + 1):
            say(f"bench {name}" + (f" (attempt {attempt})" if attempt > 1 else ""))
            before, began = load(), time.monotonic()
            outcome, rows = once(script, python, environments.get(name, {}))
            tables[name] = {
                "outcome": outcome,
                "rows": rows,
                "attempts": attempt,
                "seconds": round(time.monotonic() - began, 1),
                "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "load_before": before,
                "load_after": load(),
                "machine": here,
            }
            if outcome == "died":
                say(f"died: {name} ended before its table was complete; its error is above")
            if outcome != "missed":
                break
            if attempt < ATTEMPTS:
                say(f"noisy, or slower than its bar (load {before}): {name} is run again")
    return tables


def once(script: Path, python: Path, environment: Mapping[str, str]) -> tuple[str, list[Row]]:
    """Run one. Returns what became of its bars, and its rows."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "rows"
        given = os.environ | dict(environment) | {"LIVEGUI_BENCH_OUT": str(out)}
        status = subprocess.run([python, script], env=given, check=False).returncode
        lines = out.read_text().splitlines() if out.exists() else []
    return {0: "met", BAR_MISSED: "missed"}.get(status, "died"), [json.loads(line) for line in lines]


def failures(tables: Tables) -> list[str]:
    """What is to be said of tables that are not as they should be. Pure."""
    said = {"missed": f"a bar was missed {ATTEMPTS} times", "died": "died before the table was complete"}
    names = {
        outcome: [name for name, table in tables.items() if table["outcome"] == outcome] for outcome in said
    }
    return [f"{text}: {', '.join(names[outcome])}" for outcome, text in said.items() if names[outcome]]


WIDTH_PX, BAR_PX, MARGIN_PX, LINE_PX = 980, 300, 12, 13
#: How many characters of a row's small text fit beside its bar.
WRAP = 104


def picture(title: str, subtitle: str, rows: Sequence[Row]) -> str:
    """An SVG that shows each figure, how much of its bar it takes, and what it is compared with. Pure."""
    parts = [text(MARGIN_PX, 22, title, 15, "#1f2328", bold=True), text(MARGIN_PX, 38, subtitle, 10)]
    y = 50
    for row in rows:
        small = textwrap.wrap(said_of(row), WRAP)
        parts.append(text(MARGIN_PX, y + 15, row["what"], 12, "#1f2328"))
        parts += [text(MARGIN_PX, y + 28 + LINE_PX * n, line, 10) for n, line in enumerate(small)]
        parts += bar(y, row)
        y += 30 + max(LINE_PX * len(small), 8)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {y + 8}" '
            'font-family="sans-serif">',
            f'<rect width="{WIDTH_PX}" height="{y + 8}" fill="#ffffff"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def said_of(row: Row) -> str:
    """What is compared, and what else there is to say of a row."""
    return "; ".join(filter(None, (row["beside"], row["note"])))


def bar(y: int, row: Row) -> list[str]:
    """A row's figure, and above it how much of its bar it takes."""
    x, parts = WIDTH_PX - BAR_PX - MARGIN_PX, []
    if row["of_bar"] is not None:
        share = min(max(row["of_bar"], 0.0), 1.0) * BAR_PX
        colour = "#2da44e" if row["good"] else "#cf222e"
        for width, fill in ((BAR_PX, "#eaeef2"), (round(share), colour)):
            parts.append(f'<rect x="{x}" y="{y + 4}" width="{width}" height="14" fill="{fill}"/>')
    figure = row["figure"] + (f" of {row['bar']}" if row["bar"] else "")
    return [*parts, text(x, y + 29, figure, 10, "#1f2328")]


def text(x: int, y: int, words: str, size: int, fill: str = "#57606a", *, bold: bool = False) -> str:
    """One line of text."""
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}" font-size="{size}"{weight} fill="{fill}">{escape(words)}</text>'


def write(tables: Tables, folder: Path) -> None:
    """``bench.json``, and ``bench-NAME.svg`` for each table. Tables of earlier runs are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "bench.json"
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps({"tables": earlier(file) | tables}, indent=1) + "\n")
    draft.replace(file)
    for name, table in tables.items():
        title = (
            f"livegui: {name}"
            + {"met": "", "missed": " (a bar was missed)", "died": " (incomplete)"}[table["outcome"]]
        )
        subtitle = f"{where(table['machine'], table['load_before'])}. A full bar is the most that is allowed."
        drawn = picture(title, subtitle, table["rows"])
        (folder / f"bench-{name}.svg").write_text(drawn)


def earlier(file: Path) -> Tables:
    """The tables that earlier runs wrote into the file. Those that another version wrote are dropped."""
    try:
        tables: Tables = json.loads(file.read_text())["tables"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {name: table for name, table in tables.items() if "outcome" in table}
