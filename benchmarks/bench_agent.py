"""The agent's figures, each compared with a peer in the same run.

Needs cargo: the peer of ``beat()`` is an empty native call, which is built here.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.machinery
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from figures import Table, quantile, spread, times

import livegui

HERE = Path(__file__).parent


# --- in this process ------------------------------------------------------------------------------


def per_call(call: Callable[[], object], number: int = 300_000) -> float:
    """Nanoseconds per call. The loop around it is the same for all candidates."""
    return timeit.timeit(call, number=number) / number * 1e9


def build_empty_call() -> Callable[[], object]:
    """The method of a native class that does nothing."""
    crate = HERE / "empty_call"
    subprocess.run(
        ["cargo", "build", "--release", "--quiet"],
        cwd=crate,
        env=os.environ | {"PYO3_BUILD_EXTENSION_MODULE": "1", "PYO3_PYTHON": sys.executable},
        check=True,
    )
    (library,) = (
        p
        for p in (crate / "target" / "release").glob("*empty_call.*")
        if p.suffix in (".so", ".dylib", ".dll")
    )
    spec = importlib.util.spec_from_file_location("empty_call", library)
    assert spec is not None
    # The library has no module's file name, so name the loader.
    loader = importlib.machinery.ExtensionFileLoader("empty_call", str(library))
    spec = importlib.util.spec_from_loader("empty_call", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    call: Callable[[], object] = module.Empty().call
    return call


class PythonBeat:
    """A beat as people would write it in Python."""

    def __init__(self) -> None:
        self.beats = 0
        self.last = 0.0

    def beat(self) -> None:
        self.beats += 1
        self.last = time.monotonic()


def bench_beat(table: Table, agent: livegui.Agent) -> None:
    """``beat()`` beside an empty native call and a Python attribute beat."""
    empty, python, beat = build_empty_call(), PythonBeat().beat, agent.beat
    rounds = [(per_call(beat), per_call(empty), per_call(python)) for _ in range(25)]
    ours = quantile([ns for ns, _, _ in rounds], 0.5)
    for which, (what, peer) in enumerate(
        (("beat() over an empty PyO3 call", "empty call"), ("beat() over a Python attribute beat", "Python")),
        1,
    ):
        over = [one[0] / one[which] for one in rounds]
        theirs = quantile([one[which] for one in rounds], 0.5)
        beside, note = times(ours, {peer: theirs}, "ns", 0), f"{ours:.0f} ns; {spread(over, 'x')}"
        if peer == "Python":
            table.add(what, quantile(over, 0.5), "x", 0.5, beside=beside, note=note)
        else:
            table.show(what, f"{quantile(over, 0.5):.2f} x", beside=beside, note=note)


def ask(port: int, path: str = "/readyz", timeout: float = 5.0) -> int:
    """The status of one request on a new connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def raw_ask(port: int, request: bytes) -> bytes:
    """The same without the overhead of Python's client."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        return connection.recv(4096)


def bench_visible(table: Table) -> None:
    """From a crash, a shutdown and a thread's death to ``degraded`` at the endpoint."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 -- only here

    def crash(agent: livegui.Agent) -> None:
        with contextlib.suppress(RuntimeError), agent.main_loop():
            raise RuntimeError("IM_ASSERT( x )")

    def shutdown(agent: livegui.Agent) -> None:
        pool = ThreadPoolExecutor(1)
        agent.watch_executor(pool, "pool")
        agent.health()
        moment[0] = time.perf_counter()
        pool.shutdown()

    def thread_death(agent: livegui.Agent) -> None:
        def die() -> None:
            moment[0] = time.perf_counter()
            raise SystemExit

        thread = threading.Thread(target=die)
        agent.watch_thread(thread, "reader")
        agent.health()
        thread.start()

    moment = [0.0]
    for kill in (crash, shutdown, thread_death):
        taken = []
        for _ in range(200):
            with tempfile.TemporaryDirectory() as folder:
                agent = livegui.start("bench", run_dir=folder)
                agent.beat()
                agent.health()
                port = port_of(agent)
                request = f"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
                assert b" 200 " in raw_ask(port, request)
                moment[0] = time.perf_counter()
                kill(agent)
                while b" 503 " not in raw_ask(port, request):
                    pass
                taken.append((time.perf_counter() - moment[0]) * 1e3)
                agent.stop()
        name = kill.__name__.replace("_", " ")
        table.latency(f"degraded visible after a {name}", taken, p99=5.0)


def port_of(agent: livegui.Agent) -> int:
    """The endpoint's port."""
    assert agent.url is not None
    return int(agent.url.rpartition(":")[2])


def bench_long_poll(table: Table) -> None:
    """From a change to each of 32 clients that wait for it."""
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        agent = livegui.start("bench", run_dir=folder)
        agent.beat()
        port = port_of(agent)
        for round_number in range(60):
            seq = agent.health()["seq"]
            target = f"/health?token={agent.token}&after={seq}&wait_ms=30000"
            request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
            waiting = []
            for _ in range(32):
                connection = socket.create_connection(("127.0.0.1", port))
                connection.sendall(request)
                waiting.append(connection)
            assert ask(port) in (200, 503)  # accepted after those 32
            began = time.perf_counter()
            agent.degrade(f"change {round_number}")
            for connection in waiting:
                assert connection.recv(4096)
                taken.append((time.perf_counter() - began) * 1e3)
                connection.close()
        agent.stop()
    table.latency("long poll, 32 waiters, change to answer", taken, p99=5.0)


# --- in a process of its own ----------------------------------------------------------------------

APP = """
import ctypes, http.server, json, os, sys, threading, time
import livegui
agent = livegui.start("bench")
agent.beat()

class Peer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.wfile.write(b"HTTP/1.0 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nok\\n")
    def log_message(self, *_):
        pass

if sys.argv[1] == "serve":
    peer = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Peer)
    threading.Thread(target=peer.serve_forever, daemon=True).start()
    print(json.dumps([agent.url, peer.server_port]), flush=True)
    for line in sys.stdin:
        ctypes.PyDLL(None).usleep(int(float(line) * 1e6))
else:
    print(json.dumps([agent.url, 0]), flush=True)
    end = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < end:
        agent.beat()
        time.sleep(1 / 60)
"""


@contextlib.contextmanager
def app(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    """An app with an agent. Yields its process, the endpoint's port, and the peer's."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", APP, *arguments],
            env=os.environ | {"LIVEGUI_RUN_DIR": folder, "LIVEGUI_STALL_AFTER_MS": "600000"} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            url, peer = json.loads(process.stdout.readline())
            yield process, int(url.rpartition(":")[2]) if url else 0, peer
        finally:
            process.kill()
            process.communicate()


def latencies(port: int, seconds: float) -> list[float]:
    """Milliseconds for /readyz, with a new connection each time."""
    request = f"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    taken = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        assert b" 200 " in raw_ask(port, request)
        taken.append((time.perf_counter() - began) * 1e3)
    return taken


def bench_readyz(table: Table) -> None:
    """/readyz at rest, under a held GIL, and with slow clients. The peer is Python's own server."""
    with app("serve") as (process, port, peer):
        assert process.stdin is not None
        ours, theirs = latencies(port, 3), latencies(peer, 3)
        versus = "p50: " + times(quantile(ours, 0.5), {"http.server": quantile(theirs, 0.5)}, "ms", 2)
        versus += "; p99: " + times(quantile(ours, 0.99), {"http.server": quantile(theirs, 0.99)}, "ms", 2)
        table.latency("/readyz, new connection", ours, p50=0.3, p99=1.0, beside=versus)
        process.stdin.write("10\n")
        process.stdin.flush()
        time.sleep(0.2)
        held = latencies(port, 9.5)
        table.latency(
            "/readyz, GIL held for 10 s", held, p50=0.3, p99=1.0, beside=f"http.server: {answers(peer)}"
        )
    with app("serve") as (_, port, peer):
        slow: list[socket.socket] = []
        for _ in range(1000):
            connection = socket.create_connection(("127.0.0.1", port))
            with contextlib.suppress(OSError):
                connection.sendall(b"GET /readyz HTTP/1.1\r\nX-Slow: ")
            slow.append(connection)
        stop = threading.Event()
        dripping = threading.Thread(target=drip, args=(slow, port, stop))
        dripping.start()
        taken = latencies(port, 5)
        stop.set()
        dripping.join()
        table.latency("/readyz beside 1,000 slow clients", taken, p99=10.0)


def drip(slow: list[socket.socket], port: int, stop: threading.Event) -> None:
    """Keep a thousand clients busy: a byte now and then, and a new client for each that was disconnected."""
    while not stop.is_set():
        for index, connection in enumerate(slow):
            if stop.wait(0.001):
                return
            try:
                connection.sendall(b"a")
            except OSError:
                connection.close()
                with contextlib.suppress(OSError):
                    slow[index] = socket.create_connection(("127.0.0.1", port))
                    slow[index].sendall(b"GET /readyz HTTP/1.1\r\nX-Slow: ")


def answers(port: int) -> str:
    """Whether there is an answer soon."""
    try:
        ask(port, "/", timeout=0.1)
    except TimeoutError:
        return "no answer"
    return "answers"


def bench_idle(table: Table) -> None:
    """What the agent's own threads cost an app that beats 60 times a second."""
    if sys.platform != "linux":
        return
    seconds = 20.0
    rss = {}
    for switch in ("0", "1"):
        with app("idle", str(seconds + 5), LIVEGUI=switch) as (process, _, _):
            time.sleep(2)
            before, began = tasks(process.pid), time.monotonic()
            time.sleep(seconds)
            after, took = tasks(process.pid), time.monotonic() - began
            status = Path(f"/proc/{process.pid}/status").read_text()
            rss[switch] = int(status.split("VmRSS:")[1].split()[0]) / 1024
            if switch == "1":
                others = [task for task in after if task != process.pid]
                ns = sum(after[task][0] - before[task][0] for task in others)
                wakes = sum(after[task][1] - before[task][1] for task in others)
                table.add(
                    "idle CPU of the agent's threads, % of a core",
                    ns / took / 1e7,
                    "%",
                    0.2,
                    note=f"{len(others)} threads",
                )
                table.add("idle wake-ups a second, the canary's included", wakes / took, "/s", 10)
    table.add("memory over an inert agent", rss["1"] - rss["0"], "MiB", 4, note=f"{rss['1']:.1f} MiB in all")


def tasks(pid: int) -> dict[int, tuple[int, int]]:
    """For each thread, the nanoseconds on a processor, and how often it went to sleep."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        spent = int((task / "schedstat").read_text().split()[0])
        switches = (task / "status").read_text().split("\nvoluntary_ctxt_switches:")[1].split()[0]
        found[int(task.name)] = (spent, int(switches))
    return found


def bench_start(table: Table) -> None:
    """``import livegui; livegui.start()`` compared with a bare interpreter."""
    code = "import livegui; livegui.start()"
    taken: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"LIVEGUI_RUN_DIR": folder}
        for _ in range(40):
            pair = []
            # os._exit, because the start is measured, not the end.
            for text in (f"{code}; import os; os._exit(0)", "import os; os._exit(0)"):
                began = time.perf_counter()
                subprocess.run([sys.executable, "-c", text], env=environment, check=True)
                pair.append((time.perf_counter() - began) * 1e3)
            taken.append((pair[0], pair[1]))
    over = [ours - bare for ours, bare in taken]
    bare = quantile([bare for _, bare in taken], 0.5)
    note = f"{spread(over, 'ms', 1)}; a bare interpreter starts and ends in {bare:.1f} ms"
    table.add("import livegui + start() over a bare interpreter", quantile(over, 0.5), "ms", 15, note=note)


def bench_wheel(table: Table) -> None:
    """The size of the wheel."""
    maturin = shutil.which("maturin", path=str(Path(sys.executable).parent))
    assert maturin is not None
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [maturin, "build", "--release", "--quiet", "--out", folder],
            cwd=HERE.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        (wheel,) = Path(folder).glob("*.whl")
        table.add("wheel", wheel.stat().st_size / 2**20, "MiB", 4)


def main() -> None:
    """Run everything, in one table."""
    table = Table()
    with tempfile.TemporaryDirectory() as folder:
        agent = livegui.start("bench", run_dir=folder)
        bench_beat(table, agent)
        agent.stop()
    steps: tuple[Callable[[Table], Any], ...] = (
        bench_visible,
        bench_readyz,
        bench_long_poll,
        bench_idle,
        bench_start,
        bench_wheel,
    )
    for step in steps:
        step(table)
    table.end()


if __name__ == "__main__":
    main()
