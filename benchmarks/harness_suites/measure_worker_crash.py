"""Writes the nanoseconds from each end of a worker to the controller's report of the failed test."""

import json
import os
import time
from pathlib import Path

TAKEN = []


def pytest_runtest_logreport(report):
    if report.failed:
        TAKEN.append(time.monotonic_ns() - int(Path(os.environ["BENCH_OUT"] + ".died").read_text()))


def pytest_sessionfinish(session):
    if not hasattr(session.config, "workerinput"):
        Path(os.environ["BENCH_OUT"]).write_text(json.dumps(TAKEN))
