"""What ``dev.py bench`` makes of the benchmarks: their rows, a second chance on a noisy machine, pictures."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from plain_suites import Suite

from tools import bench_tables

FIGURES = Path(__file__).parents[2] / "benchmarks"

#: A suite of the benchmarks, by the names that it has here.
MEASURED = {"measure_use.py": "measure_use.py", "test_a.py": "suite_no_op.py"}

BENCH = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(FIGURES)!r})
from figures import Table
runs = Path(__file__).with_suffix(".runs")
count = len(runs.read_text()) if runs.exists() else 0
runs.write_text("x" * (count + 1))
table = Table()
table.add("a <figure>", 2.0 if count < int(Path(__file__).with_suffix(".slow").read_text()) else 0.5, "ms", 1.0, "a peer & co")
table.show("without a bar", "3 x", "")
sys.exit(table.missed > 0)
"""


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    script = tmp_path / "bench_it.py"
    script.write_text(BENCH)
    return script


def run(script: Path, slow_runs: int) -> tuple[dict[str, object], list[str], list[str]]:
    script.with_suffix(".slow").write_text(str(slow_runs))
    said: list[str] = []
    results, missed = bench_tables.run({"it": script}, Path(sys.executable), {}, said.append)
    table: dict[str, object] = results["tables"]["it"]
    return table, missed, said


def test_a_bar_that_is_missed_once_is_tried_again_and_that_is_said(bench: Path) -> None:
    table, missed, said = run(bench, 1)
    assert missed == []
    assert table["attempts"] == 2
    assert any(line.startswith("noisy") for line in said)


def test_a_bar_that_is_missed_each_time_is_missed(bench: Path) -> None:
    table, missed, _ = run(bench, 99)
    assert missed == ["it"]
    assert table["attempts"] == bench_tables.ATTEMPTS


def test_rows_are_written_as_json_and_as_a_picture(bench: Path, tmp_path: Path) -> None:
    bench.with_suffix(".slow").write_text("0")
    results, _ = bench_tables.run({"it": bench}, Path(sys.executable), {}, lambda _: None)
    bench_tables.write(results, tmp_path / "out")
    rows = json.loads((tmp_path / "out" / "bench.json").read_text())["tables"]["it"]["rows"]
    assert [row["what"] for row in rows] == ["a <figure>", "without a bar"]
    assert rows[0]["of_bar"] == 0.5
    picture = ET.fromstring((tmp_path / "out" / "bench-it.svg").read_text())
    texts = [element.text for element in picture.iter() if element.text]
    assert "a <figure>" in texts
    assert "a peer & co" in texts


def test_the_plugin_that_measures_pytest_sees_the_check_before_each_test(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suites, out = FIGURES / "harness_suites", tmp_path / "figures.json"
    for name, value in {"BENCH_OUT": str(out), "BENCH_TESTS": "3", "BENCH_APP": "1"}.items():
        monkeypatch.setenv(name, value)
    files = {name: (suites / source).read_text() for name, source in MEASURED.items()}
    suite(files, "-p", "measure_use").assert_outcomes(passed=3)
    figures = json.loads(out.read_text())
    assert [len(figures[what]) for what in ("use", "tests", "around")] == [3, 3, 3]
