"""/readyz of the real app, on a new connection each time: at rest, and while native code holds the GIL.

Beside it the app's own hook server, which is Python: the peer that a harness would poll without
livegui. While the GIL is held it does not answer at all.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from figures import quantile

SLOPPY = Path(__file__).parents[1] / "examples" / "sloppy" / "sloppy.py"
HELD_S = 10


def ask(port: int, path: str, timeout: float = 5.0) -> int:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def latencies(ask: Callable[[], int], seconds: float) -> list[float]:
    """Milliseconds of each request, for some seconds."""
    taken = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        status = ask()
        taken.append((time.perf_counter() - began) * 1000)
        assert status == 200, status
    return taken


def show(what: str, taken: list[float]) -> None:
    """One row."""
    p50, p99 = quantile(taken, 0.5), quantile(taken, 0.99)
    print(f"  {what:<44} p50 {p50:7.3f} ms   p99 {p99:7.3f} ms   n {len(taken)}", flush=True)


def main() -> None:
    """Run it and print the rows."""
    with tempfile.TemporaryDirectory() as name, socket.socket() as free:
        folder = Path(name)
        free.bind(("127.0.0.1", 0))
        hook_port = free.getsockname()[1]
        free.close()
        environment = os.environ | {
            "LIVEGUI_RUN_DIR": name,
            "LIVEGUI_STATE_DIR": str(folder / "state"),
            "LIVEGUI_STALL_AFTER_MS": "60000",
        }
        command = [sys.executable, str(SLOPPY), "--hook-port", str(hook_port)]
        with subprocess.Popen(command, env=environment) as app:
            try:
                measure(folder, hook_port)
            finally:
                app.kill()


def measure(folder: Path, hook_port: int) -> None:
    """At rest, then with the GIL held."""
    while not (folder / "agent.json").exists():
        time.sleep(0.01)
    port = int(json.loads((folder / "agent.json").read_text())["url"].rpartition(":")[2])
    while ask(port, "/readyz") != 200:
        time.sleep(0.01)
    print("/readyz, a new connection each time")
    at_rest = latencies(lambda: ask(port, "/readyz"), 3)
    peer = latencies(lambda: ask(hook_port, "/status"), 3)
    show("at rest", at_rest)
    show("at rest, the app's hook server (Python)", peer)
    connection = http.client.HTTPConnection("127.0.0.1", hook_port)
    connection.request("POST", "/fault", json.dumps({"fault": "hold_gil", "seconds": HELD_S}))
    connection.getresponse().read()
    time.sleep(0.1)
    held = latencies(lambda: ask(port, "/readyz"), HELD_S - 0.5)
    show(f"GIL held for {HELD_S} s", held)
    try:
        # Within what is left of the hold.
        ask(hook_port, "/status", timeout=0.2)
        print("  the GIL was not held any more: this run proves nothing")
        sys.exit(1)
    except TimeoutError:
        print("  GIL held, the app's hook server (Python):    no answer")
    ratio = quantile(at_rest, 0.5) / quantile(peer, 0.5)
    print(f"  /readyz takes {ratio:.2f} times the hook server's p50 at rest")
    if quantile(held, 0.99) >= 5:
        sys.exit("the bar is 5 ms at p99 with the GIL held")


if __name__ == "__main__":
    main()
