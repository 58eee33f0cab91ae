"""Interpreter exits under load, over and over. None may crash or hang.

    python tests/chaos/exit_stress.py [--exits 1000] [PYTHON ...]

Each exit is a process that starts an agent, beats from two threads, watches a pool and a thread, holds HTTP
clients open (one in a long poll, one half-way through its request), and then ends in one of five ways.
Without arguments, every CPython from 3.10 to 3.14 that is found is tried.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import livegui

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))
from interpreters import SUPPORTED, interpreter

#: A process that takes more seconds than this hangs.
LIMIT_S = 30.0

APP = """
import os, socket, sys, threading, urllib.parse
from concurrent.futures import ThreadPoolExecutor
import livegui

how = int(sys.argv[1]) % 5
agent = livegui.start("exits")
pool = ThreadPoolExecutor(2)
agent.watch_executor(pool, "pool")
port = int(agent.url.rpartition(":")[2])

def beat_for_ever():
    while True:
        agent.beat()

threading.Thread(target=beat_for_ever, daemon=True).start()
reader = threading.Thread(target=lambda: None)
agent.watch_thread(reader, "reader")
reader.start()
seq = agent.health()["seq"]
head = f"GET /health?token={agent.token}&after={seq}&wait_ms=60000 HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\n"
for text in (head + "\\r\\n", head):
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(text.encode())
    globals()[f"client{len(text)}"] = client
pool.submit(agent.health)
if how == 0:
    agent.stop()
if how == 1:
    sys.exit(0)
if how == 2:
    threading.Thread(target=agent.degrade, args=("late",)).start()
if how == 3:
    with agent.main_loop():
        agent.stopping()
if how == 4:
    os._exit(0)
"""


def exit_once(python: Path, number: int) -> str:
    """Run one process. Returns how it ended."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LIVEGUI", "PYTHON"))}
    environment["PYTHONPATH"] = str(Path(livegui.__file__).parents[1])
    try:
        done = subprocess.run(
            [python, "-c", APP, str(number)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "hang"
    if done.returncode != 0 or done.stderr:
        return f"exit {done.returncode}: {done.stderr.strip()[-300:]}"
    return "clean"


def main() -> None:
    """Run them, two at a time, and print one line for each interpreter."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--exits", type=int, default=1000)
    parser.add_argument("pythons", nargs="*", type=Path, metavar="PYTHON")
    arguments = parser.parse_args()
    bad = 0
    for python in arguments.pythons or filter(None, map(interpreter, SUPPORTED)):
        began = time.monotonic()
        with ThreadPoolExecutor(2) as pool:
            outcomes = Counter(pool.map(partial(exit_once, python), range(arguments.exits)))
        clean = outcomes.pop("clean", 0)
        bad += sum(outcomes.values())
        print(
            f"{python}: {clean} of {arguments.exits} exits clean, {time.monotonic() - began:.0f} s",
            flush=True,
        )
        for outcome, count in outcomes.most_common(5):
            print(f"    {count} times {outcome}")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
