"""Each test takes its whole xdist worker along."""

import os
import time
from pathlib import Path

import pytest


@pytest.mark.parametrize("number", range(int(os.environ["BENCH_CRASHES"])))
def test_crash(number):
    Path(os.environ["BENCH_OUT"] + ".died").write_text(str(time.monotonic_ns()))
    os._exit(1)
