"""The context around an app's main loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from livegui._livegui import NativeAgent


class MainLoop:
    """Tells the agent how the main loop was left. Exceptions pass through."""

    def __init__(self, native: NativeAgent) -> None:
        self._native = native

    def __enter__(self) -> None:
        self._native.main_loop_entered()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if error is None:
            self._native.main_loop_exited(None)
        elif isinstance(error, (SystemExit, KeyboardInterrupt, GeneratorExit)):
            # Asked to end, not broken.
            self._native.main_loop_exited(describe(error))
        else:
            self._native.main_loop_crashed(describe(error), format_traceback(error))


def describe(error: BaseException) -> str:
    """``Type: text`` on one line. Never raises, whatever the exception's own ``__str__`` does."""
    import traceback  # noqa: PLC0415 -- needed once, at a crash; importing livegui is to be cheap

    try:
        return _plain("".join(traceback.format_exception_only(type(error), error)).strip())
    except Exception:  # noqa: BLE001 -- whatever an exception's own methods raise
        return type(error).__name__


def format_traceback(error: BaseException) -> str | None:
    """The traceback as Python prints it, causes included; the native side bounds it. Never raises."""
    import traceback  # noqa: PLC0415 -- as above

    try:
        return _plain("".join(traceback.format_exception(type(error), error, error.__traceback__)))
    except Exception:  # noqa: BLE001 -- whatever an exception's own methods raise
        return None


def _plain(text: str) -> str:
    """Text that can be encoded: a file name that is no UTF-8 comes with lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()
