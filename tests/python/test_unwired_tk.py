"""An unchanged app on Tk with several windows, and one that waits for a dialog before its main loop."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from executing import health, shown
from test_guest import beats

TWO_ROOTS = """
import sys, threading, tkinter
first = tkinter.Tk()
second = tkinter.Tk()
OWN
def fail():
    raise ValueError("bad value")
def turn():
    if not reader.is_alive():
        return fail()
    second.after(20, turn)
reader = threading.Thread(target=sys.stdin.readline)
reader.start()
second.after(20, turn)
threading.Thread(target=lambda: (reader.join(), sys.stdin.readline(), first.after(0, first.quit)), daemon=True).start()
first.mainloop()
"""
OWN = """
def report(kind, error, where):
    print("theirs:", error, flush=True)
second.report_callback_exception = report
"""
OWN_CLASS = OWN.replace(
    "second.report_callback_exception = report",
    """
tkinter.Tk.report_callback_exception = lambda self, *what: report(*what)
print(first.report_callback_exception.__self__ is first, flush=True)
""",
)


@pytest.mark.parametrize("own", ["", OWN, OWN_CLASS], ids=["Tk's", "of the window", "of the class"])
def test_what_a_callback_of_a_second_window_raises_is_heard_and_reported_as_ever(
    own: str, tmp_path: Path
) -> None:
    with shown("tk", TWO_ROOTS.replace("OWN", own), "tkinter", tmp_path) as process:
        assert process.stdin is not None
        health(tmp_path, beats)
        process.stdin.write("\n")
        process.stdin.flush()
        document = health(tmp_path, lambda document: bool(document["exceptions"]))
        (caught,) = document["exceptions"]
        assert (caught["source"], caught["message"], caught["count"]) == ("gui", "ValueError: bad value", 1)
        out, err = process.communicate("\n", timeout=30)
    assert (process.returncode, out.count("theirs: bad value")) == (0, int(bool(own)))
    assert err.count("ValueError: bad value") == int(not own)


WAITS = """
import sys, threading, time, tkinter
root = tkinter.Tk()
answer = tkinter.StringVar(root)
dialog = tkinter.Toplevel(root)
def fail():
    raise ValueError("bad value")
def turn():
    if reader.is_alive():
        dialog.after(20, turn)
    else:
        answer.set("yes")
        dialog.destroy()
reader = threading.Thread(target=sys.stdin.readline)
reader.start()
dialog.after(20, turn)
dialog.after(40, fail)
WAIT
sys.stdin.readline()
threading.Thread(target=lambda: (sys.stdin.readline(), root.after(0, root.destroy)), daemon=True).start()
root.mainloop()
"""


@pytest.mark.parametrize(
    "wait", ["root.wait_window(dialog)", "root.wait_variable(answer)", "root.waitvar(answer)"]
)
def test_a_loop_that_waits_before_the_main_loop_is_watched_and_may_end(wait: str, tmp_path: Path) -> None:
    script = WAITS.replace("WAIT", wait)
    with shown("tk", script, "tkinter", tmp_path, LIVEGUI_STALL_AFTER_MS="1000") as process:
        assert process.stdin is not None
        document = health(tmp_path, beats)
        assert (document["status"], document["checks"]["main_loop"]["state"]) == ("ok", "ok")
        document = health(tmp_path, lambda document: bool(document["exceptions"]))
        process.stdin.write("\n")
        process.stdin.flush()
        health(tmp_path, lambda document: document["checks"]["main_loop"]["state"] == "paused")
        before = document["checks"]["main_loop"]["beats"]
        process.stdin.write("\n")
        process.stdin.flush()
        health(
            tmp_path,
            lambda document: (
                document["checks"]["main_loop"]["state"] == "ok"
                and document["checks"]["main_loop"]["beats"] > before + 10
            ),
        )
        process.communicate("\n", timeout=30)
    assert process.returncode == 0
    assert '"status":"degraded"' not in (tmp_path / "heartbeat.jsonl").read_text()


NAMES = """
import inspect, json, tkinter
functions = [tkinter.Misc._report_exception, tkinter.Misc.wait_window, tkinter.Misc.wait_variable,
             tkinter.Misc.waitvar, tkinter.Misc.wait_visibility, tkinter.Misc.mainloop, tkinter.Misc.update]
print(json.dumps([[f.__name__, f.__qualname__, f.__module__, f.__doc__, str(inspect.signature(f))] for f in functions]))
"""


def test_the_app_sees_the_same_functions_of_tk(tmp_path: Path) -> None:
    with shown("tk", NAMES, "tkinter", tmp_path) as process:
        out, err = process.communicate(timeout=30)
    plain = subprocess.run(
        [sys.executable, str(tmp_path / "app.py")], capture_output=True, text=True, check=True
    )
    assert (json.loads(out), err) == (json.loads(plain.stdout), "")
