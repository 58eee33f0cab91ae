"""Every snippet of docs/migrating.md runs, on the app that it is about."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SLOPPY = ROOT / "examples" / "sloppy"
PAGE = ROOT / "docs" / "migrating.md"

posix = pytest.mark.skipif(os.name != "posix", reason="the page's old fixture is for POSIX")

#: What a snippet may be tried with: the seed's story in two files.
STORY = {
    "tests/test_1.py": """
import time, urllib.request

def test_culprit(live_gui):
    handle, _script = live_gui
    url = f"http://127.0.0.1:{handle.hook_port}/click"
    urllib.request.urlopen(url, b'{"button": "btn_execution_run"}', timeout=5)
    time.sleep(60)

def test_victim(live_gui):
    raise AssertionError("this must not run")
""",
    "tests/test_2.py": """
def test_next(live_gui):
    assert live_gui.is_healthy()
""",
}

Run = Callable[..., str]


def snippets(of: str) -> dict[str, str]:
    """The page's files of one of its states; a fence says which file it is."""
    found = re.findall(r"^( *)```\w+ (\S+)\n(.*?)^ *```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    files = {name: textwrap.dedent(text) for _, name, text in found}
    assert len(files) == len(found), "each is there once"
    return {name.removeprefix(f"{of}/"): text for name, text in files.items() if name.startswith(f"{of}/")}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    for name in ("sloppy.py", "faults.py"):
        shutil.copy(SLOPPY / name, tmp_path / name)

    def run(files: dict[str, str], *options: str) -> str:
        """Write the files and run pytest; a port that is the page's is a free one here."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text.replace("8999", port))
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
            cwd=tmp_path,
            env=os.environ | {"LIVEGUI_STATE_DIR": str(tmp_path / "state")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout

    return run


def test_every_snippet_says_which_file_it_is() -> None:
    fences = re.findall(r"^ *```(\w.*)$", PAGE.read_text(), re.MULTILINE)
    assert {fence.partition(" ")[2].partition("/")[0] for fence in fences} == {"before", "after", "computed"}


@posix
def test_before(run: Run) -> None:
    assert "1 passed" in run(snippets("before"), "-p", "no:livegui")


def test_after(run: Run) -> None:
    assert "1 passed" in run(snippets("after"))


def test_after_the_story_ends_well(run: Run) -> None:
    output = run(snippets("after") | STORY)
    assert "1 failed, 2 passed, 1 error" in output
    assert "tests/test_2.py  fresh process (generation 2): tests/test_1.py::test_culprit left" in output


def test_the_handle_has_what_was_asked_of_the_process_and_the_port_may_stay(run: Run) -> None:
    after = snippets("after")
    fixed = after["pytest.ini"].replace("{hook_port}", "8999")
    assert "1 passed" in run(after | {"pytest.ini": fixed})


def test_the_command_line_made_up_in_python(run: Run) -> None:
    tests = (
        "import os\n\ndef test_env(live_gui):\n    environ = open(f'/proc/{live_gui.pid}/environ').read()\n"
    )
    tests += "    assert 'SLOPPY_LANGUAGE=en' in environ\n"
    if sys.platform != "linux":
        tests = "def test_it(live_gui):\n    assert live_gui.is_healthy()\n"
    assert "1 passed" in run(snippets("computed") | {"tests/test_it.py": tests, "pytest.ini": "[pytest]\n"})


@posix
def test_a_fixture_of_one_s_own_hides_the_plugin_s(run: Run) -> None:
    before = snippets("before")
    assert "1 passed" in run(before | {"pytest.ini": snippets("after")["pytest.ini"]})
