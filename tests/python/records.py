"""Records of runs that would take long to run: made up, in the published schemas."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ZERO_MS = 1_770_000_000_000


def wall(at_ms: float) -> str:
    """RFC 3339 in UTC."""
    moment = datetime.fromtimestamp((ZERO_MS + at_ms) / 1000, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class RunFolder:
    """The folder of one run, written line by line as the plugin would."""

    def __init__(
        self, parent: Path, name: str, *, worker: str | None = None, session: str | None = None
    ) -> None:
        self.path = parent / name
        self.path.mkdir(parents=True)
        self.worker = worker
        self.lines: list[dict[str, Any]] = []
        self.record: dict[str, Any] = {
            "schema": "livegui/run/1",
            "run": name,
            "pid": 1,
            "started_at": wall(0),
            "ended_at": None,
            "generations": [],
            "notes": [],
            "remarks": [],
        }
        if worker is not None:
            self.record |= {"worker": worker, "session": session}
        self.event(0, "session_started", schema="livegui/events/1", pid=1, root="/suite")

    def event(self, at_ms: float, event: str, **values: object) -> None:
        self.lines.append({"at_ms": int(ZERO_MS + at_ms), "worker": self.worker, "event": event, **values})

    def test(
        self, at_ms: float, took_ms: float, test: str, outcome: str = "passed", **values: object
    ) -> None:
        self.event(at_ms, "test_started", test=test)
        result = {"message": "", "culprit": None, "generation": 1, "duration_ms": took_ms} | values
        self.event(at_ms + took_ms, "test_finished", test=test, outcome=outcome, **result)

    def process(
        self, generation: int, start_ms: float, end_ms: float, state: str = "ended", **values: object
    ) -> None:
        states = [
            {"at_ms": int(ZERO_MS + start_ms), "state": "starting"},
            {"at_ms": int(ZERO_MS + start_ms + 200), "state": "ok"},
            {"at_ms": int(ZERO_MS + end_ms - 20), "state": state, "why": values.get("why")},
        ]
        self.record["generations"].append(
            {
                "generation": generation,
                "pid": 1000 + generation,
                "command": ["python", "app.py"],
                "folder": "/elsewhere",
                "ready_ms": 200,
                "state": state,
                "why": None,
                "culprit": None,
                "started_at_ms": int(ZERO_MS + start_ms),
                "ended_at_ms": int(ZERO_MS + end_ms),
                "states": states,
                **values,
            }
        )
        folder = self.path / f"gen-{generation}"
        folder.mkdir()
        header = {"schema": "livegui/journal/1", "pid": 1000 + generation, "app": "app", "instance": "i"}
        lines: list[dict[str, Any]] = [header | {"started_at": wall(start_ms)}]
        frame = {"p50": 16.6, "p99": 18.1, "max": 40.2}
        seconds = range(0, int(end_ms - start_ms), 1000)
        lines += [{"t_ms": t, "status": "ok", "beats": 60, "frame_ms": frame, "dropped": 0} for t in seconds]
        (folder / "heartbeat.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def write(self, ended_ms: float | None) -> Path:
        """Write it; ``None``: its pytest was killed."""
        if ended_ms is not None:
            self.record["ended_at"] = wall(ended_ms)
            self.event(ended_ms, "session_finished", exit_status=0)
        else:
            # A process that is known to be gone.
            self.record["process"] = {
                "pid": 2**22 + 1,
                "start": 1,
                "boot": "another",
                "namespace": "",
                "host": "",
            }
        (self.path / "run.json").write_text(json.dumps(self.record))
        (self.path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in self.lines))
        return self.path


def many_tests(parent: Path, tests: int, workers: int = 4) -> Path:
    """A session of pytest-xdist; every 200th test takes its worker's app down, and the next one with it."""
    folders = [
        RunFolder(parent, f"run-gw{number}", worker=f"gw{number}", session="s") for number in range(workers)
    ]
    each = tests // workers
    for number, folder in enumerate(folders):
        at, generation, began = 300.0, 1, 0.0
        for index in range(each):
            name = f"tests/test_{number}_{index // 20:03d}.py::test_step_{index % 20}"
            took = 20.0 + (index * 37) % 160
            if index % 200 == 60:
                why = f"main_loop_crashed: RuntimeError: boom {index}"
                message = f"E   livegui.errors.GuiDegraded: the app degraded\nE     {why}"
                folder.test(at, took, name, "failed", generation=generation, message=message)
                culprit = {"test": name, "inferred": False}
                folder.process(generation, began, at + took + 30, "degraded", why=why, culprit=culprit)
                victim = f"{name}_after"
                folder.test(at + took + 1, 1, victim, "victim", generation=generation, culprit=name)
                began, generation = at + took + 2, generation + 1
                at += 300
            else:
                folder.test(at, took, name, generation=generation)
            at += took + 3
        folder.process(generation, began, at + 50)
        folder.write(at + 60)
    return folders[0].path
