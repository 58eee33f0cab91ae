"""A suite with hidden state in it, for the tests and the benchmark of ``livegui audit``."""

from __future__ import annotations

import shutil
from pathlib import Path

HERE = Path(__file__).parent

INI = """
[pytest]
testpaths = tests
live_gui_command = {python} stateful_app.py {hook_port}
"""

CONFTEST = """
import os, time, urllib.request
import pytest

class App:
    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}/"

    def words(self):
        with urllib.request.urlopen(self.url, timeout=5) as answer:
            return answer.read().decode().split()

    def tell(self, word):
        urllib.request.urlopen(self.url + word, b"", timeout=5).close()

@pytest.fixture
def app(live_gui):
    time.sleep(float(os.environ.get("AUDIT_SUITE_S", "0")))
    return App(live_gui.hook_port)
"""

CLEAN = """
def test_without_app():
    pass

def test_reads(app):
    assert "scratch" not in app.words()

def test_writes(app):
    app.tell("scratch")
    assert "scratch" in app.words()

def test_cleans_up(app):
    app.tell("-scratch")
    assert "scratch" not in app.words()
"""

FILES = {
    "test_a_clean.py": CLEAN,
    "test_b_crashes.py": """
import time

def test_fine(app):
    pass

def test_boom(app):
    app.tell("crash")
    time.sleep(60)

def test_after_it(app):
    assert app.words() == []
""",
    "test_c_opens.py": """
def test_starts(app):
    pass

def test_opens_project(app):
    app.tell("project")

def test_looks(app):
    assert "project" in app.words()
""",
    "test_d_clean.py": CLEAN,
    "test_e_darkens.py": """
def test_looks(app):
    pass

def test_dark_mode(app):
    app.tell("dark")
    assert "dark" in app.words()
""",
    "test_f_clean.py": CLEAN,
    "test_g_saves.py": '''
"""Saves a project that somebody else has opened."""

def test_saves(app):
    assert "project" in app.words()

def test_saves_again(app):
    assert "project" in app.words()
''',
    "test_h_clean.py": CLEAN,
    "test_i_exports.py": """
import pytest

pytestmark = [
    pytest.mark.filterwarnings("error"),
]

class TestExport:
    def test_settings(self, app):
        assert app.words() is not None

    @pytest.mark.parametrize("kind", ["pdf", "png"])
    def test_project(self, app, kind):
        assert "project" in app.words()
""",
    "test_j_clean.py": CLEAN,
    "test_k_colours.py": """
def test_size(app):
    pass

def test_white(app):
    assert "dark" not in app.words()

def test_shape(app):
    pass
""",
    "test_l_clean.py": CLEAN,
    "test_m_moody.py": """
from pathlib import Path

RUNS = Path(__file__).with_name("runs.txt")

def test_mood(app):
    with RUNS.open("a") as file:
        file.write(".")
    assert len(RUNS.read_text()) % 2 == 0, "every other time"
""",
    "test_n_fails.py": """
def test_never_passes(app):
    assert "unicorn" in app.words()
""",
}

#: (finding, file) -> the tests that are to be accused of it.
EXPECTED = {
    ("crashes", "tests/test_b_crashes.py"): [],
    ("depends_on_prior_state", "tests/test_g_saves.py"): ["tests/test_c_opens.py::test_opens_project"],
    ("depends_on_prior_state", "tests/test_i_exports.py"): ["tests/test_c_opens.py::test_opens_project"],
    ("polluted", "tests/test_k_colours.py"): ["tests/test_e_darkens.py::test_dark_mode"],
    ("flaky", "tests/test_m_moody.py"): [],
}


def write(folder: Path, files: dict[str, str] = FILES) -> None:
    """Write the suite, and the app that it tests."""
    (folder / "tests").mkdir()
    shutil.copy(HERE / "stateful_app.py", folder / "stateful_app.py")
    (folder / "pytest.ini").write_text(INI)
    (folder / "tests" / "conftest.py").write_text(CONFTEST)
    for name, text in files.items():
        (folder / "tests" / name).write_text(text.lstrip())
