"""What suites have without livegui: one process for the whole run, started once, ended at the end.

A pytest plugin, for comparison: ``pytest -p no:livegui -p naive_live_gui``.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPT = Path(__file__).with_name("sloppy.py")


@pytest.fixture(scope="session")
def live_gui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SimpleNamespace, str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("sloppy") / "stderr.log"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, str(SCRIPT), "--hook-port", str(port)], stderr=output)
    try:
        for _ in range(150):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=1)
                break
            except OSError:
                time.sleep(0.1)
        yield SimpleNamespace(process=process, hook_port=port), str(SCRIPT)
    finally:
        process.kill()
        process.wait()
