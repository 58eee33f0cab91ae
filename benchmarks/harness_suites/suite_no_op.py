"""Tests that do nothing."""

import os

import pytest

pytestmark = pytest.mark.usefixtures(*(["live_gui"] if "BENCH_APP" in os.environ else []))


@pytest.mark.parametrize("number", range(int(os.environ["BENCH_TESTS"])))
def test_nothing(number):
    pass
