"""A main loop without a toolkit, which does what is written into ``$LIVEGUI_STATE_DIR/command``."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import livegui

FRAME_S = 0.005

#: What a real app has too: a thread that keeps the process alive without its main loop.
keep_alive = threading.Event()


def do(agent: livegui.Agent, what: str, argument: str) -> bool:
    """Returns whether the loop goes on."""
    if what == "crash":
        raise RuntimeError(argument)
    if what == "crash_soon":  # after whoever asked for it has gone on
        time.sleep(0.25)
        raise RuntimeError(argument)
    if what == "fall":  # a crash that takes the process along
        keep_alive.set()
        raise RuntimeError(argument)
    if what == "exit":
        os._exit(int(argument))
    if what == "kill":
        os.kill(os.getpid(), getattr(signal, argument))
    if what == "hang":
        time.sleep(float(argument))
    if what == "degrade":
        agent.degrade(argument)
    if what == "clear":
        agent.clear()
    if what == "stop":
        agent.stopping()
    return what not in ("return", "stop")


def main() -> None:
    agent = livegui.start("plain")
    pool = ThreadPoolExecutor(1)
    agent.watch_executor(pool, "pool")
    command = Path(os.environ["LIVEGUI_STATE_DIR"]) / "command"
    threading.Thread(target=keep_alive.wait, name="hooks").start()
    print("this is standard output", flush=True)
    print("this is standard error", file=sys.stderr, flush=True)
    with agent.main_loop():
        going = True
        while going:
            agent.beat()
            if command.exists():
                # Taken before it is read: the next one may come meanwhile.
                text = command.replace(command.with_name("taken")).read_text()
                going = do(agent, *text.split(" ", 1)) if " " in text else do(agent, text, "")
            time.sleep(FRAME_S)
    keep_alive.set()


if __name__ == "__main__":
    main()
