"""The naive fixture with a process for each file."""

import naive_live_gui
import pytest

live_gui = pytest.fixture(scope="module")(naive_live_gui.live_gui.__wrapped__)
