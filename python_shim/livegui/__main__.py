"""The command line: ``livegui``, or ``python -m livegui``. It is all in the native module."""

from __future__ import annotations

import sys

from livegui._livegui import run_cli


def main() -> int:
    """Hand over the arguments."""
    return run_cli(["livegui", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
