"""What livegui writes is what docs/schemas says that it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from plain_suites import CRASH_IN_SECOND_OF_THREE, PASSES, Suite

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


def check(name: str, document: Any) -> None:
    """Raise if a document is not as the schema says."""
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(document)


def lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def run_folder(suite: Suite, pytester: pytest.Pytester) -> Path:
    """The folder of a run with a culprit, a victim, a swallowed exception and an answer of /health."""
    asks = """
import json, pathlib

def test_asks(app, live_gui):
    pathlib.Path("health.json").write_text(json.dumps(live_gui.health()))
    discovery = (live_gui.generation_folder / "agent.json").read_text()
    pathlib.Path("agent.json").write_text(discovery)
"""
    files = {"test_a.py": CRASH_IN_SECOND_OF_THREE, "test_b.py": asks, "test_c.py": PASSES}
    suite(files).assert_outcomes(passed=3, failed=1, errors=1)
    (record,) = (pytester.path / ".livegui").glob("*/run.json")
    return record.parent


def test_every_record_is_as_its_schema_says(run_folder: Path, pytester: pytest.Pytester) -> None:
    check("run", json.loads((run_folder / "run.json").read_text()))
    events = lines(run_folder / "events.jsonl")
    assert {"session_started", "test_started", "test_finished"} <= {line["event"] for line in events}
    for line in events:
        check("events", line)
    journal = lines(run_folder / "gen-1" / "heartbeat.jsonl")
    assert any("reason" in line for line in journal)
    for line in journal:
        check("journal", line)
    check("health", json.loads((pytester.path / "health.json").read_text()))
    check("agent", json.loads((pytester.path / "agent.json").read_text()))
