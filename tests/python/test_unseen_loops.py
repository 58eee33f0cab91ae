"""Unchanged apps before livegui sees a loop of theirs, or without one: which process is the app, since when, and
what ended it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from executing import executed, health
from test_guest import GLFW, beats, posix
from test_looks import wait_for

#: Two seconds of an app's own start-up code.
LOADS = """
import os, sys, time
until = time.monotonic() + 2
while time.monotonic() < until:
    pass
print(os.path.exists("agent.json"), flush=True)
"""
DRAWS = "while True:\n    glfw.poll_events()\n    time.sleep(0.01)\n"
SERVES = "asyncio.run(asyncio.to_thread(sys.stdin.readline))\n"
STARTS = {
    "asyncio": "import asyncio" + LOADS + SERVES,
    "a name from asyncio": "from asyncio import sleep" + LOADS + "import asyncio\n" + SERVES,
    "a loading screen": "import glfw\nglfw.poll_events()" + LOADS + DRAWS,
    "a loading screen with steps": "import glfw\nglfw.poll_events()\nglfw.poll_events()\nglfw.poll_events()"
    + LOADS
    + DRAWS,
}


@pytest.mark.parametrize("start", STARTS)
def test_an_app_that_still_loads_is_not_ready(start: str, tmp_path: Path) -> None:
    (tmp_path / "glfw.py").write_text(GLFW)
    with executed(STARTS[start], tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "False\n"
        health(tmp_path, beats)


def test_an_app_that_waits_for_its_first_event_is_in_its_loop(tmp_path: Path) -> None:
    (tmp_path / "glfw.py").write_text(GLFW + "import sys\ndef wait_events():\n    sys.stdin.readline()\n")
    with executed("import glfw\nwhile True:\n    glfw.wait_events()\n", tmp_path):
        assert health(tmp_path)["checks"]["main_loop"]["state"] == "ok"


INDIRECT = """
import theirs, time
while True:
    time.sleep(0.01)
"""


def test_an_app_of_which_only_a_package_uses_asyncio_is_ready_soon(tmp_path: Path) -> None:
    library = tmp_path / "site-packages"
    library.mkdir()
    (library / "theirs.py").write_text("import asyncio\n")
    began = time.monotonic()
    with executed(INDIRECT, tmp_path, PYTHONPATH=str(library)):
        assert health(tmp_path)["checks"]["main_loop"]["state"] == "not_watched"
    assert time.monotonic() - began < 9, "it takes ten seconds if another loop may follow"


KNOWN = """
import livegui, os, time
from livegui import _plain
_plain.AFTER_WITH_MORE_TO_COME_S = 2.5
began = time.monotonic()
while not os.path.exists("agent.json"):
    time.sleep(0.01)
print(time.monotonic() - began > 2, flush=True)
while True:
    time.sleep(0.01)
"""


def test_an_app_that_imports_livegui_but_starts_no_agent_is_watched_later(tmp_path: Path) -> None:
    with executed(KNOWN, tmp_path) as process:
        assert health(tmp_path)["checks"]["main_loop"]["state"] == "not_watched"
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"


WAITS_FOR_CHILDREN = """
import subprocess, sys, time
while True:
    subprocess.run([sys.executable, "-S", "-c", "import time; time.sleep(0.3)"])
    time.sleep(0.3)
"""


def test_an_app_that_waits_for_child_processes_again_and_again_is_ready(tmp_path: Path) -> None:
    with executed(WAITS_FOR_CHILDREN, tmp_path):
        assert health(tmp_path)["checks"]["main_loop"]["state"] == "not_watched"


# --- the app starts an agent itself ---

LATE_START = """
import asyncio, sys, livegui
async def main():
    await asyncio.sleep(0.3)
    agent = livegui.start("by hand")
    await asyncio.sleep(0.2)
    document = agent.health()
    print(document["app"], document["status"], document["checks"]["main_loop"]["beats"], flush=True)
    print(hasattr(asyncio.BaseEventLoop.run_forever, "__wrapped__"), flush=True)
    agent.beat()
    await asyncio.to_thread(sys.stdin.readline)
asyncio.run(main())
"""


def test_an_app_that_starts_an_agent_inside_of_its_loop_is_left_to_its_own_wiring(tmp_path: Path) -> None:
    with executed(LATE_START, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "by hand starting 0\n"
        assert process.stdout.readline() == "False\n"
        assert health(tmp_path)["app"] == "by hand"
        out, err = process.communicate("\n", timeout=30)
    assert (process.returncode, out, err) == (0, "", "")


AMID_ITS_FRAMES = """
import glfw, sys, time
def frames(count):
    for _ in range(count):
        glfw.poll_events()
        time.sleep(0.01)
frames(20)
import livegui
agent = livegui.start("by hand")
print(agent.health()["status"], agent.health()["checks"]["main_loop"]["beats"] > 0, flush=True)
before = agent.health()["checks"]["main_loop"]["beats"]
frames(20)
print(agent.health()["checks"]["main_loop"]["beats"] > before, flush=True)
while True:
    frames(1)
"""


def test_an_app_that_starts_an_agent_amid_its_frames_gets_the_one_that_watches_it(tmp_path: Path) -> None:
    (tmp_path / "glfw.py").write_text(GLFW)
    with executed(AMID_ITS_FRAMES, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ok True\n"
        assert process.stdout.readline() == "True\n", "nothing beats any more"
        assert health(tmp_path)["app"] == "app.py"
    assert '"end"' not in (tmp_path / "heartbeat.jsonl").read_text(), "an agent has stopped"


# --- what ended the main thread ---

KEPT_ALIVE = (
    "import sys, threading, time\nthreading.Thread(target=sys.stdin.readline, name='reader').start()\n"
)
HOOKED = "sys.excepthook = lambda *error: print('theirs', flush=True)\n"
PLAIN_LOOP = """
import os
while not os.path.exists("agent.json"):
    time.sleep(0.01)
"""
FRAMES = "import glfw\nfor _ in range(5):\n    glfw.poll_events()\n"
BOOM = "raise RuntimeError('boom')\n"


def codes(document: dict[str, Any]) -> set[str]:
    return {reason["code"] for reason in document["reasons"]}


@pytest.mark.parametrize("end", ["", BOOM], ids=["returns", "raises"])
def test_a_main_thread_that_ends_at_once_is_told(end: str, tmp_path: Path) -> None:
    with executed(KEPT_ALIVE + end, tmp_path):
        document = health(tmp_path, lambda document: "app_exiting" in codes(document))
        assert codes(document) == {"app_exiting"} | ({"main_loop_crashed"} if end else set())
    assert '"status":"ok"' not in (tmp_path / "heartbeat.jsonl").read_text()


@pytest.mark.parametrize("loop", [PLAIN_LOOP, FRAMES], ids=["plain loop", "frames"])
@pytest.mark.parametrize("start", [KEPT_ALIVE, "import sys, time\n"], ids=["kept alive", "ends"])
def test_a_crash_is_told_whatever_hook_the_app_has_set(loop: str, start: str, tmp_path: Path) -> None:
    (tmp_path / "glfw.py").write_text(GLFW)
    with executed(start + loop + HOOKED + BOOM, tmp_path) as process:
        if start == KEPT_ALIVE:
            health(tmp_path, lambda document: "main_loop_crashed" in codes(document))
        out, _ = process.communicate("\n", timeout=30)
    assert (process.returncode, out) == (1, "theirs\n")
    journal = (tmp_path / "heartbeat.jsonl").read_text()
    assert journal.count('"code":"main_loop_crashed"') == 1


NO_CRASH = """
import code
console = code.InteractiveInterpreter()
console.runcode("1 / 0")
"""


def test_an_exception_that_something_has_printed_and_kept_is_not_what_ended_the_program() -> None:
    script = NO_CRASH + "from livegui._crash import what_ended_the_program\nprint(what_ended_the_program())\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"
    assert "ZeroDivisionError" in done.stderr


# --- launchers ---

LAUNCHERS = {
    "os.system": "import os\nos.system(COMMAND)\n",
    "os.spawnv": "import os, sys\nos.spawnv(os.P_WAIT, sys.executable, [sys.executable, 'real.py'])\n",
    "fork and exec": """
import os, sys
pid = os.fork()
if pid == 0:
    os.execv(sys.executable, [sys.executable, "real.py"])
os.waitpid(pid, 0)
""",
    "poll": """
import subprocess, sys, time
real = subprocess.Popen([sys.executable, "real.py"])
while real.poll() is None:
    time.sleep(0.01)
""",
}
REAL = "import asyncio, time\ntime.sleep(2)\nasyncio.run(asyncio.sleep(20))\n"


@posix
@pytest.mark.parametrize("way", LAUNCHERS)
def test_a_launcher_is_not_taken_for_the_app_however_it_waits(way: str, tmp_path: Path) -> None:
    (tmp_path / "real.py").write_text(REAL)
    script = LAUNCHERS[way].replace("COMMAND", repr(f"{sys.executable} real.py"))
    with executed(script, tmp_path):
        document = health(tmp_path, beats)
        os.kill(document["pid"], signal.SIGKILL)  # it has the launcher's pipes
    assert document["app"] == "real.py"
    log = (tmp_path / "injection.log").read_text()
    assert re.findall(r": (watched, by .*|.*: not_watched)", log) == ["watched, by asyncio's loop"]


@posix
def test_a_second_app_in_a_run_folder_is_left_alone_and_a_file_of_one_that_is_gone_keeps_nobody(
    tmp_path: Path,
) -> None:
    (tmp_path / "glfw.py").write_text(GLFW)
    script = "import glfw, time" + "\n" + DRAWS
    found, log = tmp_path / "agent.json", tmp_path / "injection.log"
    with executed(script, tmp_path) as first:
        health(tmp_path, beats)
        found_by = json.loads(found.read_text())
        with executed(script, tmp_path):
            told = f"not watched: the app is process {first.pid}, which has an agent already"
            wait_for(lambda: told in log.read_text())
    # Another process has its number now.
    found.write_text(json.dumps(found_by | {"pid": os.getpid()}))
    with executed(script, tmp_path) as third:
        wait_for(lambda: json.loads(found.read_text())["pid"] == third.pid)


# --- modules ---

AGAIN = """
import glfw, sys, time
HOW
while True:
    glfw.poll_events()
    time.sleep(0.01)
"""
HOWS = {
    "removed and imported": "del sys.modules['glfw']\nimport glfw",
    "reloaded": "import importlib\nimportlib.reload(glfw)",
}


@pytest.mark.parametrize("how", HOWS)
def test_a_module_that_is_imported_again_is_watched(how: str, tmp_path: Path) -> None:
    (tmp_path / "glfw.py").write_text(GLFW)
    with executed(AGAIN.replace("HOW", HOWS[how]), tmp_path):
        assert health(tmp_path, beats)["checks"]["main_loop"]["state"] == "ok"
