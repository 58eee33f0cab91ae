"""The exceptions of the test side. A test should fail with them at once; retrying never helps.

::

    LiveGuiError
    ├── GuiStartError     the app could not be started
    ├── GuiDegraded       its agent says that it is not fit to be tested
    ├── GuiCallbackError  a callback of it raised, and it goes on
    ├── GuiExited         its process is gone
    ├── GuiUnreachable    its process lives, and its agent does not answer
    └── GuiDidNotEnd      an end that the test declared did not come in time
"""

from __future__ import annotations

__all__ = [
    "GuiCallbackError",
    "GuiDegraded",
    "GuiDidNotEnd",
    "GuiExited",
    "GuiStartError",
    "GuiUnreachable",
    "LiveGuiError",
]


class LiveGuiError(Exception):
    """Something is wrong with the app under test. The text tells the whole story.

    Attributes:
        summary: what is wrong, as on the first line of the text.
        generation: the number of the process behind the handle; 0 if none was started.
        pid: its process id; None if none was started.
        reasons: ``(code, component, message)`` of each reason for which the app is degraded.
        exit_status: how the process ended, as text; None if it did not end.
        culprit: the node id of the test that is blamed; None if there is none.
        inferred: whether the culprit had already ended when the app degraded, so that the blame is
            inferred.
        stderr_tail: the last lines that the app wrote to its standard error.
        stacks: the stacks of its Python threads when it stopped answering, if py-spy is installed and
            permitted.
        run_folder: the folder of that generation, with all its output.
    """

    def __init__(
        self,
        message: str,
        *,
        summary: str = "",
        generation: int = 0,
        pid: int | None = None,
        reasons: list[tuple[str, str, str]] | None = None,
        exit_status: str | None = None,
        culprit: str | None = None,
        inferred: bool = False,
        stderr_tail: str = "",
        stacks: str = "",
        run_folder: str = "",
    ) -> None:
        super().__init__(message)
        self.summary = summary or message
        self.generation = generation
        self.pid = pid
        self.reasons = reasons or []
        self.exit_status = exit_status
        self.culprit = culprit
        self.inferred = inferred
        self.stderr_tail = stderr_tail
        self.stacks = stacks
        self.run_folder = run_folder


class GuiStartError(LiveGuiError):
    """The app could not be started, ended before it was ready, or was not ready in time."""


class GuiDegraded(LiveGuiError):
    """The app's agent reports that the app is not fit to be tested."""


class GuiCallbackError(LiveGuiError):
    """A callback of the app raised during the test. The toolkit caught it, so the app goes on."""


class GuiExited(LiveGuiError):
    """The app's process is gone."""


class GuiUnreachable(LiveGuiError):
    """The app's process lives, but its agent does not answer."""


class GuiDidNotEnd(LiveGuiError):
    """An end that the test declared with ``expect_exit()`` or ``expect_degraded()`` did not come in time."""
