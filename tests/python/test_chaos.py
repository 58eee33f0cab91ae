"""The scripts beside the tests still run; what they measure is theirs to judge."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHAOS = Path(__file__).parents[1] / "chaos"


@pytest.mark.skipif(os.name != "posix", reason="SIGCHLD and waitpid")
def test_exit_to_verdict_runs(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVEGUI")}
    done = subprocess.run(
        [sys.executable, CHAOS / "exit_to_verdict.py", "2"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    measured = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert measured == ["SIGCHLD default", "SIGCHLD ignored", "SIGCHLD reaped elsewhere"], done.stderr
    assert "Traceback" not in done.stderr
