"""Strings at the border to the native side: as text, and as the system's strings."""

from __future__ import annotations

import os


def plain(text: str) -> str:
    """A text for the native side. A lone surrogate, as in a file name that is not UTF-8, is escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def system_string(value: object, where: str) -> str:
    """A ``str``, ``bytes`` or path as the system should get it.

    Raises:
        TypeError: it is none of these. The text says ``where`` the value stands, and what is valid.
    """
    if isinstance(value, str | bytes | os.PathLike):
        return os.fsdecode(value)
    wanted = "expected a string or a path"
    raise TypeError(f"{where}: {wanted}, not {type(value).__name__} ({value!r}); str() makes it one")
