"""Pictures of the app under test, taken when a test fails, before the process is ended."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import pytest

from livegui.toolkits._common import Pictures

if TYPE_CHECKING:
    from pathlib import Path

    from livegui._livegui import NativeLive, NativeProcess

#: The values of ``live_gui_screenshot``.
WHEN: Final = ("on_failure", "always", "never")
#: How many seconds an app whose loop runs may take for a picture of itself.
_ITSELF_WITHIN_S = 1.0
#: How many seconds a picture from outside may take.
_OUTSIDE_WITHIN_S = 5.0
#: The limit for one process, because a suite in which everything fails must not fill the disk.
_MAX_PICTURES = 50


class Screenshots:
    """Takes pictures into the folder of the generation."""

    def __init__(self, when: str) -> None:
        if when not in WHEN:
            raise pytest.UsageError(f"live_gui_screenshot = {when}: expected one of {', '.join(WHEN)}")
        self._when = when
        self._said = False

    def is_due(self, *, failed: bool, ended: bool) -> bool:
        """Whether to take a picture at the end of a phase of a test.

        Args:
            failed: whether the phase failed.
            ended: whether this is the last phase before the tear-down.
        """
        return self._when != "never" and (failed or (self._when == "always" and ended))

    def take(self, live: NativeLive, nodeid: str, environment: dict[str, str]) -> Path | None:
        """Take a picture of the app now; None if that is impossible."""
        process = live.process
        if process is None or not live.is_alive():
            return None  # it would show the next process, or nothing
        folder = live.run_folder / f"gen-{live.generation}"
        taken = len(list(folder.glob("picture-*.png")))
        if taken >= _MAX_PICTURES:
            return None
        name = re.sub(r"[^\w.-]+", "_", nodeid.rpartition("::")[2])[:80]
        path = folder / f"picture-{taken + 1}-{name}.png"
        if (live.is_healthy() and _of_itself(folder, path)) or self._from_outside(
            live, process, path, environment
        ):
            return path
        return None

    def _from_outside(
        self, live: NativeLive, process: NativeProcess, path: Path, environment: dict[str, str]
    ) -> bool:
        if importlib.util.find_spec("mss") is None:
            if self._when == "always":
                self._say(live, "mss is not installed: pip install 'livegui[screenshots]'")
            return False
        environment = os.environ | environment
        if sys.platform == "linux" and not environment.get("DISPLAY"):
            self._say(live, "there is no display (DISPLAY is not set; xvfb-run gives the tests one)")
            return False
        # Isolated, except for the packages that this interpreter finds: the suite may have a module of any
        # name.
        command = [sys.executable, "-m", "livegui._picture", str(path), *map(str, process.pids())]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        try:
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
                timeout=_OUTSIDE_WITHIN_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            self._say(live, str(error))
            return False
        if done.returncode != 0:
            self._say(live, done.stdout.strip() or f"it ended with status {done.returncode}")
        return done.returncode == 0 and path.exists()

    def _say(self, live: NativeLive, why: str) -> None:
        if not self._said:
            self._said = True
            live.remark(f"no picture was taken of the app: {why}")


def _of_itself(folder: Path, path: Path) -> bool:
    """Make the app take a picture of itself, if its toolkit's adapter can do so and its loop runs."""
    if not (folder / Pictures.OFFER).exists():
        return False
    request, answer = folder / Pictures.REQUEST, folder / Pictures.ANSWER
    try:
        answer.unlink(missing_ok=True)
        request.touch()
        deadline = time.monotonic() + _ITSELF_WITHIN_S
        while not answer.exists():
            if time.monotonic() > deadline or not request.exists():
                break
            time.sleep(0.01)
        request.unlink(missing_ok=True)
        if answer.exists():
            answer.replace(path)
    except OSError:
        return False
    return path.exists()
