"""The sloppy app with more faults, for ``python3 dev.py chaos``.

    python more_faults.py --hook-port PORT

``CHAOS_START`` names a fault that exists from the beginning.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.thread import _python_exit
from pathlib import Path
from typing import Any

import faults
import limits
import sloppy
from faults import _fault, _in_frame

#: Keeps alive what a fault needs.
kept: list[Any] = []


@_fault
def sys_exit(controller: sloppy.AppController, status: int = 5) -> None:
    _in_frame(controller, lambda: sys.exit(status))


@_fault
def kill_self(controller: sloppy.AppController, by: str) -> None:
    os.kill(os.getpid(), getattr(signal, by))


@_fault
def stop_for(controller: sloppy.AppController, seconds: float) -> None:
    """SIGSTOP. Something else sends SIGCONT."""
    wake = f"import os, signal, time; time.sleep({seconds}); os.kill({os.getpid()}, signal.SIGCONT)"
    kept.append(subprocess.Popen([sys.executable, "-c", wake]))
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGSTOP)


@_fault
def spin(controller: sloppy.AppController) -> None:
    def act() -> None:
        while True:
            pass

    _in_frame(controller, act)


@_fault
def deadlock(controller: sloppy.AppController) -> None:
    """Two threads, one of them the main loop, take two locks in different orders."""
    first, second = threading.Lock(), threading.Lock()
    both_have_one = threading.Barrier(2)

    def take(mine: threading.Lock, other: threading.Lock) -> None:
        with mine:
            both_have_one.wait()
            with other:
                pass

    threading.Thread(target=take, args=(second, first), daemon=True).start()
    _in_frame(controller, lambda: take(first, second))


@_fault
def end_pool_in_with(controller: sloppy.AppController) -> None:
    with controller._io_pool:
        pass


@_fault
def end_pool_as_exit_does(controller: sloppy.AppController) -> None:
    """Tell every pool of the process to end, as the interpreter's exit does."""
    threading.Thread(target=_python_exit, daemon=True).start()


@_fault
def break_pool(controller: sloppy.AppController) -> None:
    """A worker's initializer fails: the pool is broken for good."""

    def fail() -> None:
        raise OSError("no device")

    pool = ThreadPoolExecutor(1, initializer=fail)
    agent = sys.modules["livegui"].start("sloppy")
    agent.watch_executor(pool, "device_pool")
    kept.append(pool)
    pool.submit(int)


@_fault
def refuse_submit(controller: sloppy.AppController) -> None:
    """Shut down a pool that is not watched; then the hook server's thread submits work to it."""
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    pool.submit(int)


class LostConnection(BaseException):
    """An exception that a server's loop with ``except Exception`` around each request does not catch."""


@_fault
def end_hook_server(controller: sloppy.AppController) -> None:
    """An exception ends the hook server's thread."""
    server = next(thread for thread in threading.enumerate() if thread.name == "hook_server")
    raised = ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(server.ident or 0), ctypes.py_object(LostConnection)
    )
    assert raised == 1


@_fault
def outlive_main(controller: sloppy.AppController) -> None:
    """A thread that is not a daemon keeps the process alive after its main thread."""
    threading.Thread(target=time.sleep, args=(3600,), name="stuck").start()
    _in_frame(controller, lambda: sys.exit(0))


@_fault
def leave_grandchildren(controller: sloppy.AppController) -> None:
    """A child with a child of its own, and one in its own session."""
    sleep = "import time; time.sleep(3600)"
    child = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', '{sleep}']).wait()"
    kept.append(subprocess.Popen([sys.executable, "-c", child]))
    kept.append(subprocess.Popen([sys.executable, "-c", sleep], start_new_session=True))


@_fault
def use_up_threads(controller: sloppy.AppController, seconds: float) -> None:
    threading.Thread(target=limits.use_up_threads, args=(seconds,)).start()


@_fault
def use_up_descriptors(controller: sloppy.AppController) -> None:
    import resource  # noqa: PLC0415 -- POSIX has it alone -- only where there is one

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    try:
        while True:
            kept.append(open(os.devnull))  # noqa: SIM115, PTH123 -- left open on purpose
    except OSError:
        pass


@_fault
def use_up_memory(controller: sloppy.AppController) -> None:
    """The app reaches its memory limit, in a frame."""
    import resource  # noqa: PLC0415 -- POSIX has it alone

    def act() -> None:
        # Not much more than it has, because on a busy machine gigabytes take so long that the loop is stalled first.
        status = Path("/proc/self/status").read_text()
        limit = (int(status.split("VmData:")[1].split()[0]) << 10) + (256 << 20)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        while True:
            kept.append(bytearray(16 << 20))

    _in_frame(controller, act)


@_fault
def start_busy_threads(controller: sloppy.AppController, count: int) -> None:
    def work() -> None:
        while True:
            pass

    for _ in range(count):
        threading.Thread(target=work, daemon=True).start()


@_fault
def flood_stdout(controller: sloppy.AppController, lines: int = 200_000) -> None:
    for number in range(lines):
        sys.stdout.write(f"line {number}: so much to say, and nobody who reads it\n")


@_fault
def load_agent_twice(controller: sloppy.AppController) -> None:
    """The app starts its agent again, and a second copy of livegui's Python files starts one as well."""
    sys.modules["livegui"].start("sloppy")
    ours = [name for name in sys.modules if name == "livegui" or name.startswith("livegui.")]
    saved = {name: sys.modules.pop(name) for name in ours if name != "livegui._livegui"}
    import livegui  # noqa: PLC0415 -- not in an unchanged app

    livegui.start("again")
    kept.append(saved)


@_fault
def start_second_copy(controller: sloppy.AppController) -> None:
    """Start the same app once more, beside this one, with the same environment."""
    kept.append(subprocess.Popen([sys.executable, __file__, "--hook-port", "0"]))


@_fault
def set_clock(controller: sloppy.AppController, seconds: int) -> None:
    """Set the wall clock, as far as this app can see (with wall_clock.c)."""
    before = time.time()
    with Path(os.environ["CHAOS_CLOCK"]).open("r+b", buffering=0) as clock:
        clock.write(seconds.to_bytes(8, sys.byteorder, signed=True))
    controller.values["clock_moved"] = round(time.time() - before)


def main() -> None:
    start = os.environ.get("CHAOS_START")
    if start == "ignore_sigterm":
        install = signal.signal
        signal.signal = lambda number, handler: install(  # type: ignore[assignment]
            number, signal.SIG_IGN if number == signal.SIGTERM else handler
        )
        install(signal.SIGTERM, signal.SIG_IGN)
    elif start == "die":
        sys.exit("sloppy: no display")
    elif start == "never_ready":
        time.sleep(3600)
    elif start == "outlive_pytest":
        del os.environ["LIVEGUI_PARENT"]
    sloppy.main()


if __name__ == "__main__":
    assert faults.FAULTS
    main()
