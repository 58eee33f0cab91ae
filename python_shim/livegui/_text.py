"""Strings of Python's at the border: what the native side takes for text, and for the system's strings."""

from __future__ import annotations

import os


def plain(text: str) -> str:
    """A text as the native side has it: a lone surrogate, as of a file name that is no UTF-8, is escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def system_string(value: object, where: str) -> str:
    """A ``str``, ``bytes`` or path as the system is to get it.

    Raises:
        TypeError: it is none of these; the text names ``where`` it stands, and what would do.
    """
    if isinstance(value, str | bytes | os.PathLike):
        return os.fsdecode(value)
    wanted = "expected a string or a path"
    raise TypeError(f"{where}: {wanted}, not {type(value).__name__} ({value!r}); str() makes it one")
