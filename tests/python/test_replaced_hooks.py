"""An unchanged app that sets its own ``sys.excepthook`` after livegui has begun to watch it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from executing import executed, health, shown
from test_guest import beats

#: A hook that knows nothing of any other, and one that calls the hook below it.
HANDLERS = {
    "alone": """
def handler(kind, error, where):
    print("theirs:", error, flush=True)
sys.excepthook = handler
""",
    "chained": """
below = sys.excepthook
def handler(kind, error, where):
    print("theirs:", error, flush=True)
    below(kind, error, where)
sys.excepthook = handler
""",
}
QT = """
import sys, threading
from BINDING.QtCore import QTimer
from BINDING.QtWidgets import QApplication, QDialog
app = QApplication(sys.argv)
for _ in range(2):
    dialog = QDialog()
    QTimer.singleShot(200, dialog.accept)
    dialog.exec()
HANDLER
fails = threading.Event()
def turn():
    if fails.is_set():
        fails.clear()
        raise ValueError("bad value")
timer = QTimer(interval=20)
timer.timeout.connect(turn)
timer.start()
threading.Thread(target=lambda: (sys.stdin.readline(), fails.set()), daemon=True).start()
app.exec()
"""
ASYNCIO = """
import asyncio, sys
asyncio.run(asyncio.sleep(0.01))
HANDLER
async def main():
    await asyncio.to_thread(sys.stdin.readline)
    raise ValueError("bad value")
asyncio.run(main())
"""


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("binding", ["PySide6", "PyQt6"])
def test_a_hook_that_is_set_between_two_loops_hides_no_exception_and_is_called_once(
    binding: str, handler: str, tmp_path: Path
) -> None:
    script = QT.replace("BINDING", binding).replace("HANDLER", HANDLERS[handler])
    with shown(binding, script, binding, tmp_path, QT_QPA_PLATFORM="offscreen") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        health(tmp_path, beats)
        process.stdin.write("\n")
        process.stdin.flush()
        document = health(tmp_path, lambda document: bool(document["exceptions"]))
        caught = [(caught["message"], caught["count"]) for caught in document["exceptions"]]
        assert caught == [("ValueError: bad value", 1)]
        assert document["status"] == "ok", "PyQt aborts only an app without a hook"
        assert process.stdout.readline() == "theirs: bad value\n"
        process.kill()
        out, err = process.communicate(timeout=30)
    assert out == ""
    assert err.count("ValueError: bad value") == (handler == "chained")


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_crash_of_asyncios_second_loop_is_told_whatever_hook_was_set_after_the_first(
    handler: str, tmp_path: Path
) -> None:
    with executed(ASYNCIO.replace("HANDLER", HANDLERS[handler]), tmp_path) as process:
        health(tmp_path, beats)
        out, err = process.communicate("\n", timeout=30)
    assert process.returncode == 1
    assert out == "theirs: bad value\n"
    assert err.count("ValueError: bad value") == (handler == "chained")
    journal = (tmp_path / "heartbeat.jsonl").read_text()
    assert "main_loop_crashed" in journal


CHAIN = """
import sys, threading, livegui
from livegui.toolkits._common import CrashHook, ExceptHook
agent = livegui.start("x")
before = sys.excepthook
hooks = [ExceptHook(agent, "thread"), CrashHook(agent)]
for _ in range(100):
    for hook in hooks:
        hook.put_on_top()
length, hook = 0, sys.excepthook
while hasattr(getattr(hook, "__self__", None), "earlier"):
    length, hook = length + 1, hook.__self__.earlier
print(length, hook is before)
agent.stop()
print(sys.excepthook is before)
"""


def test_the_chain_of_our_hooks_does_not_grow_and_is_taken_down(tmp_path: Path) -> None:

    done = subprocess.run(
        [sys.executable, "-c", CHAIN], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "2 True\nTrue\n"
