"""The process behind the handle, much like a ``subprocess.Popen``."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livegui._livegui import NativeProcess


class GuiProcess:
    """One process, with what suites use of ``subprocess.Popen``."""

    def __init__(self, native: NativeProcess, args: str) -> None:
        self._native = native
        self.args = args

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._native.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, a signal's number negative; None while it runs."""
        return self._native.poll()

    def poll(self) -> int | None:
        """As :attr:`returncode`."""
        return self._native.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it still runs after ``timeout`` seconds.
        """
        status = self._native.wait(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return status

    def terminate(self) -> None:
        """Ask it to end: SIGTERM, on Windows Ctrl-Break; there one without a console of ours is ended."""
        self._native.terminate()

    def kill(self) -> None:
        """End it (SIGKILL), and its process group, on Windows its job, with it."""
        self._native.kill()
