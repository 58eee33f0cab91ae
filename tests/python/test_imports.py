"""What a GUI loads with livegui: the native module and the standard library."""

from __future__ import annotations

import os
import subprocess
import sys


def test_a_gui_imports_nothing_but_the_native_module_and_the_standard_library() -> None:
    code = """
import sys
before = set(sys.modules)
import livegui
livegui.start("x").stop()
print(*sorted(set(sys.modules) - before), sep="\\n")
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LIVEGUI")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stdout.split())
    ours = {name for name in loaded if name.partition(".")[0] == "livegui"}
    assert ours == {
        "livegui",
        "livegui._attach",
        "livegui._canary",
        "livegui._crash",
        "livegui._executors",
        "livegui._livegui",
        "livegui._threads",
    }, "nothing of the test side"
    foreign = {name.partition(".")[0] for name in loaded - ours} - set(sys.stdlib_module_names)
    assert foreign == set()
    assert "typing" not in loaded, "it takes a third of the time that the start does"


def test_everything_exported_is_there_and_documented() -> None:
    import livegui  # noqa: PLC0415 -- what this test is about
    import livegui.errors  # noqa: PLC0415 -- that is the test

    for module in (livegui, livegui.errors):
        for name in module.__all__:
            assert getattr(module, name).__doc__, name
