"""What callbacks and tasks raise on asyncio's loops in an unchanged app, whose loops stay as the app has them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from executing import executed, health, shown
from test_guest import beats

OWN_HANDLER = """
import asyncio, sys
def fail():
    raise ValueError("bad value")
async def main():
    loop = asyncio.get_running_loop()
    print(loop.get_exception_handler(), flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    HANDLER
    loop.call_soon(fail)
    await loop.run_in_executor(None, sys.stdin.readline)
asyncio.run(main())
"""
OWN = "loop.set_exception_handler(lambda loop, context: print('theirs:', context['exception'], flush=True))"


def heard(document: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(caught["source"], caught["message"], caught["count"]) for caught in document["exceptions"]]


def fail_once(process: subprocess.Popen[str], folder: Path) -> dict[str, Any]:
    """Have a callback of the app raise, and return what its agent says once it has heard that."""
    assert process.stdin is not None
    health(folder, beats)
    process.stdin.write("\n")
    process.stdin.flush()
    document = health(folder, lambda document: bool(document["exceptions"]))
    assert heard(document) == [("asyncio", "ValueError: bad value", 1)]
    return document


@pytest.mark.parametrize("handler", [OWN, "pass"], ids=["its own", "none"])
def test_a_handler_that_the_app_sets_later_is_the_only_one_and_its_errors_are_heard(
    handler: str, tmp_path: Path
) -> None:
    with executed(OWN_HANDLER.replace("HANDLER", handler), tmp_path) as process:
        fail_once(process, tmp_path)
        out, err = process.communicate("\n", timeout=30)
    if handler == OWN:
        assert (out, err) == ("None\ntheirs: bad value\n", "")
    else:
        assert (out, err.count("ValueError: bad value")) == ("None\n", 1)


#: A loop beside the app's own, on a thread.
BESIDE = """
import asyncio, sys, threading
def fail():
    raise ValueError("bad value")
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
"""
BESIDE_TK = f"""{BESIDE}
import tkinter
root = tkinter.Tk()
reader = threading.Thread(target=lambda: (sys.stdin.readline(), loop.call_soon_threadsafe(fail)))
root.after(200, reader.start)
root.mainloop()
"""
BESIDE_FRAMES = f"""{BESIDE}
import pygame
pygame.init()
pygame.display.set_mode((50, 50))
threading.Thread(target=lambda: (sys.stdin.readline(), loop.call_soon_threadsafe(fail)), daemon=True).start()
while True:
    pygame.display.flip()
    pygame.time.wait(10)
"""
#: An app whose main coroutine runs another loop on a thread, for a moment.
NESTED = """
import asyncio, sys
async def inner():
    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(0.05)
def fail():
    raise ValueError("bad value")
async def main():
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.to_thread(asyncio.run, inner())
    await asyncio.to_thread(sys.stdin.readline)
asyncio.run(main())
"""
LOOPS = {"tkinter": BESIDE_TK, "pygame": BESIDE_FRAMES, "asyncio": NESTED}


@pytest.mark.parametrize("needs", LOOPS)
def test_what_a_callback_raises_on_the_loop_of_a_thread_is_heard(needs: str, tmp_path: Path) -> None:
    with shown(needs, LOOPS[needs], needs, tmp_path, SDL_VIDEODRIVER="dummy") as process:
        document = fail_once(process, tmp_path)
        assert document["status"] == "ok"


BEFORE = """
import asyncio, gc, threading, weakref, sys
class Big:
    pass
known = []
def fail():
    big = Big()
    known.append(weakref.ref(big))
    raise ValueError("bad value")
async def early():
    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(0.01)
thread = threading.Thread(target=asyncio.run, args=(early(),))
thread.start()
thread.join()
gc.collect()
print(known[0]() is None, flush=True)
asyncio.run(asyncio.to_thread(sys.stdin.readline))
"""


def test_what_is_raised_before_there_is_an_agent_is_recorded_later_and_not_kept(tmp_path: Path) -> None:
    with executed(BEFORE, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        document = health(tmp_path, lambda document: bool(document["exceptions"]))
        assert heard(document) == [("asyncio", "ValueError: bad value", 1)]


WIRED = """
import asyncio, sys, livegui
from livegui.toolkits import asyncio as live_asyncio
agent = livegui.start()
def fail():
    raise ValueError("bad value")
async def main():
    loop = asyncio.get_running_loop()
    live_asyncio.install(agent)
    loop.call_soon(fail)
    await loop.run_in_executor(None, sys.stdin.readline)
with agent.main_loop():
    asyncio.run(main())
"""


def test_a_loop_that_is_wired_and_watched_as_well_records_an_error_once(tmp_path: Path) -> None:
    with executed(WIRED, tmp_path, "--always") as process:
        document = health(tmp_path, lambda document: bool(document["exceptions"]))
        assert heard(document) == [("asyncio", "ValueError: bad value", 1)]
        process.communicate("\n", timeout=30)
