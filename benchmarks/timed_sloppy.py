"""The sloppy app, which records in ``$BENCH_MOMENTS`` when it reached each stage, on the monotonic clock.

With ``$BENCH_DIE`` it exits with that status instead, half started.
"""

import time

BEGAN = time.monotonic_ns()

import json  # noqa: E402 -- after the first moment
import os  # noqa: E402 -- after the first moment
import sys  # noqa: E402 -- after the first moment
from pathlib import Path  # noqa: E402 -- after the first moment

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "sloppy"))
import sloppy  # noqa: E402 -- after the first moment

MOMENTS = {"began": BEGAN}


def tell() -> None:
    file = Path(os.environ["BENCH_MOMENTS"])
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(MOMENTS))
    draft.rename(file)


class HookServer(sloppy.HookServer):
    def start(self) -> None:
        if "BENCH_DIE" in os.environ:
            MOMENTS["died"] = time.monotonic_ns()
            tell()
            os._exit(int(os.environ["BENCH_DIE"]))
        super().start()
        MOMENTS["listening"] = time.monotonic_ns()


class Gui(sloppy.Gui):
    def show(self) -> None:
        super().show()
        if "frame" not in MOMENTS:
            MOMENTS["frame"] = time.monotonic_ns()
            tell()


sloppy.HookServer, sloppy.Gui = HookServer, Gui  # type: ignore[misc]  # it finds them by name
sloppy.main()
