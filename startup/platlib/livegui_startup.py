"""Run by each start of a Python that has livegui installed; does nothing unless ``LIVEGUI_INJECT`` is set.

``livegui_startup.pth`` calls it, and from Python 3.15 on ``livegui_startup.start`` (PEP 829), perhaps twice.
"""

import os


def start() -> None:
    """Watch for a main loop, if this process is to be watched without being wired."""
    if os.environ.get("LIVEGUI_INJECT"):
        try:
            from livegui._bootstrap import arm

            arm()
        except Exception:  # noqa: BLE001 -- the app is to start, whatever became of us
            pass
