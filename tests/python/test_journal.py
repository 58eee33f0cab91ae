"""The heartbeat log, and disks that do not take it."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

import livegui


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def wait_for_lines(path: Path, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 10
    while not path.exists() or len(lines(path)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return lines(path)


def test_it_has_a_header_beats_transitions_and_a_clean_end(agent: livegui.Agent, tmp_path: Path) -> None:
    agent.degrade("no room", code="disk_full", recoverable=True)
    agent.health()
    agent.clear("disk_full")
    agent.health()
    agent.stop()
    header, *middle, end = lines(tmp_path / "heartbeat.jsonl")
    assert header["schema"] == "livegui/journal/1"
    assert header["pid"] == os.getpid()
    assert end["end"] == "clean"
    events = [(line["event"], line["status"]) for line in middle if "event" in line]
    assert events == [
        ("status", "ok"),
        ("opened", "degraded"),
        ("status", "degraded"),
        ("closed", "ok"),
        ("status", "ok"),
        ("status", "stopping"),
    ]
    opened = next(line for line in middle if line.get("event") == "opened")
    assert opened["reason"]["message"] == "no room"


def test_it_has_a_line_a_second_with_the_beats_of_that_second(agent: livegui.Agent, tmp_path: Path) -> None:
    end = time.monotonic() + 2.6
    while time.monotonic() < end:
        agent.beat()
        time.sleep(0.01)
    agent.stop()
    beats = [line for line in lines(tmp_path / "heartbeat.jsonl") if "beats" in line]
    assert len(beats) == 3
    assert [round(line["t_ms"] / 1000) for line in beats] == [0, 1, 2]
    assert all(line["beats"] > 20 for line in beats[1:])
    assert all(10 <= line["frame_ms"]["p50"] < 100 for line in beats[1:])


def test_without_a_run_folder_there_is_none_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    agent = livegui.start("test")
    assert agent.health()["checks"]["journal"] == {"state": "off", "dropped": 0}
    agent.stop()
    agent = livegui.start("test", journal=True)
    agent.stop()
    assert [path.name for path in (tmp_path / "livegui").iterdir()] == [f"{os.getpid()}.heartbeat.jsonl"]
    agent = livegui.start("test", journal=tmp_path / "mine.jsonl", run_dir=tmp_path)
    agent.stop()
    assert lines(tmp_path / "mine.jsonl")[-1]["end"] == "clean"
    agent = livegui.start("test", journal=False, run_dir=tmp_path)
    assert agent.health()["checks"]["journal"]["state"] == "off"
    agent.stop()


def assert_costs_lines_only(agent: livegui.Agent) -> None:
    deadline = time.monotonic() + 10
    agent.beat()
    agent.degrade("something")
    while not (document := agent.health())["checks"]["journal"]["dropped"]:
        assert time.monotonic() < deadline
    assert document["checks"]["journal"]["state"] == "failing"
    assert document["reasons"][0]["message"] == "something", "detection goes on"
    agent.beat()
    assert agent.health()["checks"]["main_loop"]["beats"] == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_disk_costs_lines_and_nothing_else(tmp_path: Path) -> None:
    agent = livegui.start("test", run_dir=tmp_path, journal="/dev/full")
    assert_costs_lines_only(agent)
    agent.stop()


def test_a_folder_that_cannot_be_written_costs_lines_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    agent = livegui.start("test", run_dir=tmp_path, journal=tmp_path / "file" / "heartbeat.jsonl")
    assert_costs_lines_only(agent)
    agent.stop()


def test_a_folder_that_is_taken_away_costs_lines_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    agent = livegui.start("test", run_dir=folder)
    wait_for_lines(folder / "heartbeat.jsonl", 1)
    shutil.rmtree(folder)
    assert_costs_lines_only(agent)
    folder.mkdir()
    header, *_ = wait_for_lines(folder / "heartbeat.jsonl", 2)
    assert header["schema"] == "livegui/journal/1", "a new file has a header of its own"
    assert agent.health()["checks"]["journal"]["state"] == "ok"
    agent.stop()


def test_it_is_rotated_by_size(agent: livegui.Agent, tmp_path: Path) -> None:
    path, old = tmp_path / "heartbeat.jsonl", tmp_path / "heartbeat.jsonl.1"
    deadline = time.monotonic() + 60
    number = 0
    while not old.exists():
        number += 1
        agent.degrade(f"{number} {'x' * 4000}")
        agent.clear()
        agent.health()
        assert time.monotonic() < deadline
    agent.stop()
    assert old.stat().st_size <= 4 * 1024 * 1024
    assert lines(path)[0]["schema"] == lines(old)[0]["schema"] == "livegui/journal/1"
