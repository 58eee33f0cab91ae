"""The process behind the handle, much like a ``subprocess.Popen``."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livegui._livegui import NativeProcess


class GuiProcess:
    """One process, with the parts of ``subprocess.Popen`` that suites use."""

    def __init__(self, native: NativeProcess, args: str) -> None:
        self._native = native
        self.args = args

    @property
    def pid(self) -> int:
        """The process id."""
        return self._native.pid

    @property
    def returncode(self) -> int | None:
        """The exit status; negative if it is the number of a signal; None while the process runs."""
        return self._native.poll()

    def poll(self) -> int | None:
        """The same as :attr:`returncode`."""
        return self._native.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process ends.

        Raises:
            subprocess.TimeoutExpired: the process still runs after ``timeout`` seconds.
        """
        status = self._native.wait(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return status

    def terminate(self) -> None:
        """Ask the process to end, with SIGTERM; on Windows with Ctrl-Break.

        On Windows, a process that has no console of ours is killed.
        """
        self._native.terminate()

    def kill(self) -> None:
        """Kill the process (SIGKILL) and its process group; on Windows, its job."""
        self._native.kill()
