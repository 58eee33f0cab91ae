"""What ``dev.py bench`` makes of the benchmarks: their rows, a second chance on a noisy machine, pictures."""

from __future__ import annotations

import json
import os
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

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
from figures import Table, times
runs = Path(__file__).with_suffix(".runs")
count = len(runs.read_text()) if runs.exists() else 0
runs.write_text("x" * (count + 1))
table = Table()
slow = count < int(Path(__file__).with_suffix(".slow").read_text())
table.add("a <figure>", 2.0 if slow else 0.5, "ms", 1.0, beside=times(0.5, {{"a peer & co": 2.0}}, "ms"))
table.show("without a bar", "3 x")
if Path(__file__).with_suffix(".dies").exists():
    sys.exit("it broke")
table.end()
"""


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    script = tmp_path / "bench_it.py"
    script.write_text(BENCH)
    script.with_suffix(".slow").write_text("0")
    return script


def run(script: Path, slow_runs: int = 0) -> tuple[dict[str, Any], list[str], list[str]]:
    script.with_suffix(".slow").write_text(str(slow_runs))
    said: list[str] = []
    tables = bench_tables.run({"it": script}, Path(sys.executable), {}, said.append)
    return tables["it"], bench_tables.failures(tables), said


def test_a_bar_that_is_missed_once_is_tried_again_and_that_is_said(bench: Path) -> None:
    table, failures, said = run(bench, 1)
    assert failures == []
    assert (table["outcome"], table["attempts"]) == ("met", 2)
    assert any(line.startswith("noisy") for line in said)


def test_a_bar_that_is_missed_each_time_is_missed(bench: Path) -> None:
    table, failures, _ = run(bench, 99)
    assert failures == ["a bar was missed 3 times: it"]
    assert (table["outcome"], table["attempts"]) == ("missed", bench_tables.ATTEMPTS)


def test_a_benchmark_that_crashes_died_and_is_not_run_again(bench: Path) -> None:
    bench.with_suffix(".dies").touch()
    table, failures, said = run(bench, 99)
    assert failures == ["died before the table was complete: it"]
    assert (table["outcome"], table["attempts"]) == ("died", 1)
    assert [row["what"] for row in table["rows"]] == ["a <figure>", "without a bar"]
    assert any(line.startswith("died: it") for line in said)
    assert not any("noisy" in line for line in said)


def test_packages_for_one_benchmark_are_not_there_for_another(tmp_path: Path) -> None:
    scripts = {name: tmp_path / f"bench_{name}.py" for name in ("compared", "alone")}
    for script in scripts.values():
        script.write_text("import os, sys; sys.exit(3 if os.environ.get('PEERS') == 'there' else 0)")
    said: list[str] = []
    tables = bench_tables.run(scripts, Path(sys.executable), {"compared": {"PEERS": "there"}}, said.append)
    assert {name: table["outcome"] for name, table in tables.items()} == {
        "compared": "missed",
        "alone": "met",
    }


def test_the_machine_and_its_load_are_said_first(bench: Path) -> None:
    _, _, said = run(bench)
    assert said[0].startswith(f"{os.cpu_count()} cores, ")
    assert " load " in said[0]


def texts(picture: Path) -> list[str]:
    return [element.text for element in ET.fromstring(picture.read_text()).iter() if element.text]


def test_rows_are_written_as_json_and_as_a_picture(bench: Path, tmp_path: Path) -> None:
    table, _, _ = run(bench)
    bench_tables.write({"it": table}, tmp_path / "out")
    rows = json.loads((tmp_path / "out" / "bench.json").read_text())["tables"]["it"]["rows"]
    assert [row["what"] for row in rows] == ["a <figure>", "without a bar"]
    assert [row["beside"] for row in rows] == ["a peer & co 2.0 ms (4.0 x)", "no peer"]
    assert rows[0]["of_bar"] == 0.5
    drawn = texts(tmp_path / "out" / "bench-it.svg")
    assert "a <figure>" in drawn
    assert "a peer & co 2.0 ms (4.0 x)" in drawn


def test_a_run_of_one_benchmark_keeps_the_tables_of_the_others(bench: Path, tmp_path: Path) -> None:
    table, _, _ = run(bench)
    bench_tables.write({"one": table, "two": table}, tmp_path)
    bench_tables.write({"two": table | {"seconds": 77.0}}, tmp_path)
    tables = json.loads((tmp_path / "bench.json").read_text())["tables"]
    assert list(tables) == ["one", "two"]
    assert tables["one"] == table
    assert tables["two"]["seconds"] == 77.0


@pytest.mark.parametrize("text", ["", "[]", '{"tables": {"one": {"rows": []}}}'])
def test_a_file_that_another_version_wrote_is_replaced(bench: Path, tmp_path: Path, text: str) -> None:
    table, _, _ = run(bench)
    (tmp_path / "bench.json").write_text(text)
    bench_tables.write({"it": table}, tmp_path)
    assert list(json.loads((tmp_path / "bench.json").read_text())["tables"]) == ["it"]


def test_a_long_comparison_is_wrapped_in_the_picture_and_nothing_of_it_is_lost(
    bench: Path, tmp_path: Path
) -> None:
    table, _, _ = run(bench)
    words = [f"the peer's no. {number}: it doesn't answer" for number in range(12)]
    long = table["rows"][0] | {"beside": ", ".join(words)}
    bench_tables.write({"it": table | {"rows": [long, table["rows"][1]]}}, tmp_path)
    drawn = texts(tmp_path / "bench-it.svg")
    lines = drawn[drawn.index("a <figure>") + 1 : drawn.index("0.50 ms of 1 ms")]
    assert " ".join(lines) == long["beside"]
    assert len(lines) > 3
    # No text is drawn over another.
    root = ET.fromstring((tmp_path / "bench-it.svg").read_text())
    places = [
        (element.get("x"), element.get("y")) for element in root.iter() if element.text and element.get("y")
    ]
    assert len(places) == len(set(places))


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


def test_the_benchmarks_are_listed_where_contributors_look() -> None:
    text = (FIGURES.parent / "CONTRIBUTING.md").read_text()
    names = {path.stem.removeprefix("bench_") for path in FIGURES.glob("bench_*.py")}
    listed = text.partition("`bench` takes names:")[2].partition(".")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == names
