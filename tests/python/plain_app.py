"""A main loop without a toolkit, which does what is written into ``$LIVEGUI_STATE_DIR/command``."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import livegui

STATE = Path(os.environ["LIVEGUI_STATE_DIR"])
frame_s = 0.005
listener: socket.socket | None = None
pool = ThreadPoolExecutor(1)
later: list[tuple[float, float]] = []
ends_worker = threading.Event()

#: What a real app has too: a thread that keeps the process alive without its main loop.
keep_alive = threading.Event()


def burn() -> None:
    while True:
        pass


def hold(seconds: float) -> None:
    """Native code that holds the interpreter."""
    if sys.platform == "win32":
        ctypes.PyDLL("kernel32").Sleep(int(seconds * 1e3))
    else:
        ctypes.PyDLL(None).usleep(int(seconds * 1e6))


def serve_holds() -> None:
    """A hook thread, which need not wait for the main loop's next turn."""
    while not (STATE / "hold").exists():
        time.sleep(0.001)
    (STATE / "holds").touch()
    hold(8)


def do(agent: livegui.Agent, what: str, argument: str) -> bool:
    """Returns whether the loop goes on."""
    global frame_s, listener  # noqa: PLW0603 -- a fake app of one file
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
    if what == "hang_later":
        later.append((time.monotonic() + 0.7, float(argument)))
    if what == "deadlock":
        threading.Semaphore(0).acquire()
    if what == "spin":
        while True:
            pass
    if what == "hold":
        hold(float(argument))
    if what == "serve_holds":
        threading.Thread(target=serve_holds, daemon=True).start()
        frame_s = float(argument)
    if what == "open":
        agent.tell_open([argument] if argument else [])
    if what == "slow":
        frame_s = float(argument)
    if what == "pause":
        with agent.paused("a dialog", usable=argument == "usable"):
            threading.Semaphore(0).acquire()
    if what == "idle":  # nothing happens any more until somebody wakes it
        wakeup = threading.Event()
        agent.wake_with(wakeup.set)
        while not (STATE / "command").exists():
            agent.beat()
            wakeup.wait(4)
            wakeup.clear()
    if what == "busy":
        for _ in range(int(argument)):
            threading.Thread(target=burn, daemon=True).start()
    if what == "listen":
        listener = socket.create_server(("127.0.0.1", int(os.environ["LIVEGUI_HOOK_PORT"])))
    if what == "unlisten":
        assert listener is not None
        listener.close()
    if what == "queue":
        for _ in range(int(argument)):
            pool.submit(time.sleep, 60)
    if what == "watch_thread":  # while it runs, so that only a look at it shows its end
        worker = threading.Thread(target=ends_worker.wait, name="worker")
        worker.start()
        agent.watch_thread(worker)
    if what == "end_thread":
        ends_worker.set()
    if what == "end_pool":  # as ThreadPoolExecutor.shutdown(pool) does, which calls no wrapper
        pool._shutdown = True
    if what == "degrade":
        agent.degrade(argument)
    if what == "clear":
        agent.clear()
    if what == "stop":
        agent.stopping()
    return what not in ("return", "stop")


def take(command: Path) -> str:
    """Take it before it is read: the next one may come meanwhile."""
    taken = command.with_name("taken")
    while True:
        try:
            if command.exists():
                command.replace(taken)
            return taken.read_text(encoding="utf-8")
        except PermissionError:  # on Windows whoever looks whether it is still there holds it
            time.sleep(0.001)


def main() -> None:
    agent = livegui.start("plain")
    agent.watch_executor(pool, "pool")
    command = STATE / "command"
    threading.Thread(target=keep_alive.wait, name="hooks").start()
    print("this is standard output", flush=True)
    print("this is standard error", file=sys.stderr, flush=True)
    with agent.main_loop():
        going = True
        while going:
            agent.beat()
            if command.exists():
                text = take(command)
                going = do(agent, *text.split(" ", 1)) if " " in text else do(agent, text, "")
            if later and time.monotonic() > later[0][0]:
                time.sleep(later.pop()[1])
            time.sleep(frame_s)
    keep_alive.set()
    ends_worker.set()


if __name__ == "__main__":
    main()
