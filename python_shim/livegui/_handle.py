"""What the fixture ``live_gui`` is: a handle that stays the same while processes change under it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, TypeVar

from livegui._ends import WITHIN_S, ExpectedEnd, statuses
from livegui._process import GuiProcess
from livegui.errors import LiveGuiError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from livegui._ends import Status
    from livegui._livegui import NativeLive


T = TypeVar("T")

#: How often a wait looks.
_LOOK_EVERY_S = 0.01


class LiveGui:
    """The app under test. Made by the fixture ``live_gui``.

    It unpacks as ``handle, script = live_gui`` for suites that are written so.
    """

    def __init__(self, native: NativeLive, script: str, use: Callable[[], None]) -> None:
        self._native = native
        #: Says that the running test uses the app, which shows only now if it got the handle by
        #: ``request.getfixturevalue()`` or out of a fixture of a wider scope.
        self._use = use
        #: The command line as it was configured.
        self.script = script

    def __iter__(self) -> Iterator[LiveGui | str]:
        return iter((self, self.script))

    def __repr__(self) -> str:
        process = self._native.process
        pid = None if process is None else process.pid
        return f"<LiveGui generation={self._native.generation} pid={pid}>"

    @property
    def process(self) -> GuiProcess:
        """The process that is being tested, much like a ``subprocess.Popen``."""
        self._use()
        process = self._native.process
        if process is None:
            raise LiveGuiError("the app was never started, or is closed")
        return GuiProcess(process, self.script)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def generation(self) -> int:
        """Its number; 1 is the first, 0 means that there is none."""
        self._use()
        return self._native.generation

    @property
    def hook_port(self) -> int | None:
        """The port that its hook server was told to listen on (``{hook_port}``, ``LIVEGUI_HOOK_PORT``)."""
        self._use()
        return self._native.hook_port

    @property
    def run_folder(self) -> Path:
        """The folder of this run: ``run.json``, and a folder with the output of each generation."""
        return self._native.run_folder

    @property
    def generation_folder(self) -> Path:
        """The folder of this process: ``stdout.log``, ``stderr.log``, the heartbeat log, ``state``."""
        return self.run_folder / f"gen-{self.generation}"

    def health(self) -> dict[str, Any]:
        """What the app's agent says now: the schema ``livegui/health/1``.

        Raises:
            GuiExited: its process is gone.
            GuiUnreachable: its agent does not answer within two seconds.
        """
        self._use()
        document: dict[str, Any] = json.loads(self._native.health_json())
        return document

    def is_alive(self) -> bool:
        """Whether its process runs, in whatever state."""
        self._use()
        return self._native.is_alive()

    def is_healthy(self) -> bool:
        """Whether it is fit to be tested, as far as its watch knows; this asks nobody."""
        self._use()
        return self._native.is_healthy()

    def ensure_alive(self) -> None:
        """Put a fresh process under the handle unless this one is fit to be tested.

        Never in mid-test: a test that goes on with a process that knows nothing of what it did before
        would fail of something else.

        Raises:
            LiveGuiError: it degraded during the running test, which is to fail of that.
            GuiStartError: it could not be started.
        """
        self._use()
        if self.is_healthy():
            return
        verdict = self._native.verdict_on_running()
        if verdict is not None:
            raise verdict
        self.respawn("ensure_alive() found it unfit")

    def respawn(self, reason: str) -> None:
        """Put a fresh process under the handle, whatever the state of this one.

        Args:
            reason: why; the report shows it.

        Raises:
            GuiStartError: it could not be started.
        """
        self._use()
        self._native.respawn(reason)

    def wait_until_ok(self, timeout: float = 30.0) -> None:
        """Wait until it is fit to be tested, for at most ``timeout`` seconds.

        Raises:
            LiveGuiError: it is not by then; the subclass says how it is instead.
        """
        self._use()
        self._native.wait_until_ok(timeout)

    def expect_exit(
        self, status: Status | Collection[Status] | None = 0, within: float = WITHIN_S
    ) -> ExpectedEnd:
        """Declare that the app ends in this block, by itself or by ``process.terminate()`` or ``kill()``.

        ::

            with live_gui.expect_exit(status=0, within=10) as end:
                click(live_gui.hook_port, "menu_file_quit")
            assert end.seconds < 2
            assert live_gui.is_healthy()  # a fresh process: the next use brings it up

        Args:
            status: the exit status, as ``subprocess.Popen.returncode`` has it; a ``signal.Signals``; a set of
                these; None for any.
            within: how many seconds after the block the app may take.

        Raises:
            GuiDidNotEnd: at the end of the block: it still runs.
            GuiExited: it ended with another status.
            GuiDegraded: it degraded first, say because it crashed.
            ValueError: at the beginning of the block: it is inside of another one.
        """
        wanted = statuses(status)
        return ExpectedEnd(self._native, self.script, lambda: self._declare_exit(wanted), within)

    def expect_degraded(self, code: str, within: float = WITHIN_S) -> ExpectedEnd:
        """Declare that the app degrades in this block: for tests of its own crash handling.

        After the block there is no process, even if it would live on; the next use brings up a fresh one.

        Args:
            code: a reason code, ``main_loop_crashed`` or a word of the app's own.
            within: how many seconds after the block the app may take.

        Raises:
            GuiDidNotEnd: at the end of the block: it did not degrade.
            GuiDegraded: it degraded for another reason only.
            GuiExited: it ended, and its agent had not given that reason.
            ValueError: at the beginning of the block: it is inside of another one.
        """
        if not isinstance(code, str) or not code:
            raise TypeError(f"code = {code!r}: expected a reason code, as 'main_loop_crashed'")
        return ExpectedEnd(self._native, self.script, lambda: self._declare_degraded(code), within)

    def _declare_exit(self, wanted: list[int] | None) -> None:
        self._use()
        self._native.expect_exit(wanted)

    def _declare_degraded(self, code: str) -> None:
        self._use()
        self._native.expect_degraded(code)

    def wait_for(self, condition: Callable[[], T], timeout: float = 30.0) -> T:
        """Wait until ``condition()`` is true, for at most ``timeout`` seconds, on any thread and any system.

        For what nothing can interrupt: on Windows a lock, an event, a queue, a socket. Have the condition ask
        without waiting: ``live_gui.wait_for(event.is_set)``,
        ``live_gui.wait_for(lambda: lock.acquire(blocking=False))``.

        Returns:
            What it returned last, which is false if it was not true by then.

        Raises:
            LiveGuiError: the app is no longer fit to be tested.
        """
        self._use()
        deadline = time.monotonic() + timeout
        while True:
            met = condition()
            left = deadline - time.monotonic()
            if met or left <= 0:
                return met
            verdict = self._native.verdict_on_running()
            if verdict is not None:
                raise verdict
            time.sleep(min(_LOOK_EVERY_S, left))

    def sleep(self, seconds: float) -> None:
        """Sleep as ``time.sleep()`` does, on any thread, and end when the app is no longer fit to be tested.

        Raises:
            LiveGuiError: it is not.
        """
        self.wait_for(lambda: False, seconds)
