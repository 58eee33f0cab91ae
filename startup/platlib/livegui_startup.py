"""Runs at each start of a Python that has livegui installed. Does nothing unless ``LIVEGUI_INJECT`` is set.

``livegui_startup.pth`` calls it, and from Python 3.15 on ``livegui_startup.start`` (PEP 829), perhaps twice.
"""

import os


def start() -> None:
    """Watch for a main loop, if livegui is to watch this process without changes to it."""
    if os.environ.get("LIVEGUI_INJECT"):
        try:
            from livegui._bootstrap import arm

            arm()
        except Exception:  # noqa: BLE001 -- the app must start, whatever happens to livegui
            pass
