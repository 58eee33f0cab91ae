"""The command line: ``livegui``, or ``python -m livegui``. The native module does all of it."""

from __future__ import annotations

import os
import sys

from livegui._livegui import run_cli


def main() -> int:
    """Pass the arguments on."""
    # `livegui exec` puts this folder on the app's PYTHONPATH.
    carrier = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_carrier")  # noqa: PTH100, PTH118, PTH120
    return run_cli(["livegui", *sys.argv[1:]], carrier)


if __name__ == "__main__":
    sys.exit(main())
