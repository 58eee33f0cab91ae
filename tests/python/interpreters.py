"""The Pythons of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

#: The versions in which an agent runs.
SUPPORTED = ("3.10", "3.11", "3.12", "3.13", "3.14")
#: Older ones, in which an app must run as if livegui were not there.
OLDER = ("2.7", "3.6", "3.7", "3.8", "3.9")


@lru_cache
def interpreter(version: str) -> Path | None:
    """A CPython of this version, if there is one. On Windows none is looked for: wine would find those of Linux."""
    if os.name == "nt":
        return None
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    names = [shutil.which(f"python{version}")]
    names += [str(path) for path in sorted(root.glob(f"{version}.*/bin/python{version}"))]
    # A pyenv shim may stand for a version that is not installed.
    works = (
        name
        for name in names
        if name and subprocess.run([name, "-c", ""], capture_output=True, check=False).returncode == 0
    )
    return next((Path(name) for name in works), None)
