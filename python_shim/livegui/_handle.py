"""The fixture ``live_gui``: a handle that stays the same object when the process behind it changes."""

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

#: How often a wait checks its condition, in seconds.
_LOOK_EVERY_S = 0.01


class LiveGui:
    """The app under test. The fixture ``live_gui`` returns it.

    Suites that expect a pair can unpack it: ``handle, script = live_gui``.
    """

    def __init__(self, native: NativeLive, script: str, use: Callable[[], None]) -> None:
        self._native = native
        #: Marks the running test as one that uses the app. A test that got the handle from
        #: ``request.getfixturevalue()``, or from a fixture of a wider scope, is recognised only by this.
        self._use = use
        #: The configured command line.
        self.script = script

    def __iter__(self) -> Iterator[LiveGui | str]:
        return iter((self, self.script))

    def __repr__(self) -> str:
        process = self._native.process
        pid = None if process is None else process.pid
        return f"<LiveGui generation={self._native.generation} pid={pid}>"

    @property
    def process(self) -> GuiProcess:
        """The process under test, much like a ``subprocess.Popen``."""
        self._use()
        process = self._native.process
        if process is None:
            raise LiveGuiError("the app was never started, or is closed")
        return GuiProcess(process, self.script)

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    @property
    def generation(self) -> int:
        """The number of the process: 1 is the first, 0 means that there is none."""
        self._use()
        return self._native.generation

    @property
    def hook_port(self) -> int | None:
        """The port that the app's hook server should listen on (``{hook_port}``, ``LIVEGUI_HOOK_PORT``)."""
        self._use()
        return self._native.hook_port

    @property
    def run_folder(self) -> Path:
        """The folder of this run: ``run.json``, and one folder for each generation, with its output."""
        return self._native.run_folder

    @property
    def generation_folder(self) -> Path:
        """The folder of this process: ``stdout.log``, ``stderr.log``, the heartbeat log, ``state``."""
        return self.run_folder / f"gen-{self.generation}"

    def health(self) -> dict[str, Any]:
        """The current answer of the app's agent, with the schema ``livegui/health/1``.

        Raises:
            GuiExited: the process is gone.
            GuiUnreachable: the agent does not answer within two seconds.
        """
        self._use()
        document: dict[str, Any] = json.loads(self._native.health_json())
        return document

    def is_alive(self) -> bool:
        """Whether the process runs, in whatever state."""
        self._use()
        return self._native.is_alive()

    def is_healthy(self) -> bool:
        """Whether the app is fit to be tested, as far as livegui knows. This does not query the app."""
        self._use()
        return self._native.is_healthy()

    def ensure_alive(self) -> None:
        """Replace the process by a fresh one, unless the app is fit to be tested.

        This never happens in the middle of a test. A fresh process knows nothing of what the test did
        before, so the test would fail for the wrong reason.

        Raises:
            LiveGuiError: the app degraded during the running test; let the test fail with this.
            GuiStartError: a fresh process could not be started.
        """
        self._use()
        if self.is_healthy():
            return
        verdict = self._native.verdict_on_running()
        if verdict is not None:
            raise verdict
        self.respawn("ensure_alive() found it unfit")

    def respawn(self, reason: str) -> None:
        """Replace the process by a fresh one, whatever state it is in.

        Args:
            reason: why; shown in the report.

        Raises:
            GuiStartError: a fresh process could not be started.
        """
        self._use()
        self._native.respawn(reason)

    def wait_until_ok(self, timeout: float = 30.0) -> None:
        """Wait until the app is fit to be tested, for at most ``timeout`` seconds.

        Raises:
            LiveGuiError: the app is not fit by then; the subclass says what state it is in.
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
            assert live_gui.is_healthy()  # a fresh process: the next use starts it

        Args:
            status: the exit status as in ``subprocess.Popen.returncode``, a ``signal.Signals``, a set of
                these, or None for any.
            within: how many seconds the app may take after the block.

        Raises:
            GuiDidNotEnd: at the end of the block: the app still runs.
            GuiExited: the app ended with another status.
            GuiDegraded: the app degraded first, for example because it crashed.
            ValueError: at the beginning of the block: it is inside another such block.
        """
        wanted = statuses(status)
        return ExpectedEnd(self._native, self.script, lambda: self._declare_exit(wanted), within)

    def expect_degraded(self, code: str, within: float = WITHIN_S) -> ExpectedEnd:
        """Declare that the app degrades in this block, for tests of its own crash handling.

        livegui ends the process after the block, even if it would live on. The next use starts a fresh one.

        Args:
            code: a reason code of livegui, such as ``main_loop_crashed``, or one of the app.
            within: how many seconds the app may take after the block.

        Raises:
            GuiDidNotEnd: at the end of the block: the app did not degrade.
            GuiDegraded: the app degraded, but only for other reasons.
            GuiExited: the app ended before its agent reported that reason.
            ValueError: at the beginning of the block: it is inside another such block.
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

        Use it for waits that nothing can interrupt: on Windows a lock, an event, a queue, a socket. The
        condition itself must not wait: ``live_gui.wait_for(event.is_set)``,
        ``live_gui.wait_for(lambda: lock.acquire(blocking=False))``.

        Returns:
            The last result of ``condition()``, which is false if the time ran out.

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
        """Sleep like ``time.sleep()``, on any thread, but stop when the app is no longer fit to be tested.

        Raises:
            LiveGuiError: the app is no longer fit to be tested.
        """
        self.wait_for(lambda: False, seconds)
