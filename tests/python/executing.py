"""Scripts under ``livegui exec``, and what their agents say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from plain_suites import not_here, skip_without_tkinter
from wiring import MORE, SYSTEM_PYTHON, display


@contextmanager
def executed(
    script: str,
    folder: Path,
    *options: str,
    python: str | tuple[str, ...] = sys.executable,
    **environment: str,
) -> Iterator[subprocess.Popen[str]]:
    """Run a script under ``livegui exec``, its discovery file in ``folder``.

    Args:
        script: what the app is.
        folder: where it is.
        options: those of ``livegui exec``.
        python: the interpreter, perhaps with switches.
        environment: variables to add.
    """
    (folder / "app.py").write_text(script)
    command = [sys.executable, "-m", "livegui", "exec", "--run-dir", str(folder), *options, "--"]
    process = subprocess.Popen(
        [*command, *((python,) if isinstance(python, str) else python), str(folder / "app.py")],
        cwd=folder,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def health(
    folder: Path, until: Callable[[dict[str, Any]], bool] = lambda document: document["status"] == "ok"
) -> dict[str, Any]:
    """What the agent in that folder says, once it says what is waited for."""
    deadline = time.monotonic() + 30
    while True:
        done = subprocess.run(
            [sys.executable, "-m", "livegui", "health", str(folder), "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        document: dict[str, Any] = json.loads(done.stdout) if done.stdout else {"status": "none"}
        if document["status"] != "none" and until(document):
            return document
        assert time.monotonic() < deadline, (document, done.stderr)


@contextmanager
def shown(name: str, script: str, needs: str, folder: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Run a script on a toolkit, with whichever Python has it."""
    path = os.pathsep.join([MORE, os.environ.get("LIVEGUI_TEST_TOOLKITS", "")])
    environment = {
        "DISPLAY": display(),
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "QT_API": "pyside6",
        "PYTHONPATH": path,
        **more,
    }
    python = sys.executable
    if needs == "tkinter":
        skip_without_tkinter()
    if needs in ("wx", "gi"):
        if os.name != "posix":
            pytest.skip(f"{needs} is tried on the system's own Python, of which Windows has none")
        python, environment["PYTHONPATH"] = SYSTEM_PYTHON, ""
    can = [python, "-c", f"import {needs}"]
    if (
        not display()
        or not shutil.which(python)
        or subprocess.run(can, env=os.environ | environment, capture_output=True, check=False).returncode
    ):
        not_here(
            f"{name} needs {needs} and a display; `python3 dev.py system` and `dev.py test` install them"
        )
    with executed(script, folder, python=python, **environment) as process:
        yield process
