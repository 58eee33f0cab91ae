"""What can go wrong, under which settings, and the expected result: data for ``chaos.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: How a suite runs. A to D are the solutions that livegui's first user considered.
SETTINGS: dict[str, dict[str, str]] = {
    "A": {"live_gui_scope": "module"},
    "B": {},
    "C": {"live_gui_respawn": "never"},
    "D": {"live_gui_respawn": "test"},
    "xdist": {},
    "spares": {"live_gui_spares": "1"},
    "injected": {},
}


@dataclass(frozen=True)
class Case:
    """A fault and its verdict. ``code`` is a pattern for the culprit's failure; empty for no failure."""

    name: str
    #: The body of the test that causes the fault.
    act: str
    code: str = ""
    settings: tuple[str, ...] = ("B",)
    #: Whether ``chaos --short`` includes it, in the first of its settings.
    short: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    ini: Mapping[str, str] = field(default_factory=dict)
    #: What the machine must have: "mount", "tmpfs", "compiler", "threads" (a limit on them).
    needs: str = ""
    #: Whether the app does not start, so that no test runs and each fails with `code`.
    start_fails: bool = False
    #: The phase in which pytest is killed.
    killed_in: str = ""
    #: What holds the app's port: "stranger", or "zombie", an app with a dead main loop that an earlier run left.
    holder: str = ""

    def outcomes(self, setting: str) -> dict[str, str]:
        """The expected outcome of each test."""
        tests = ("test_before", "test_culprit", "test_victim", "test_next")
        if self.start_fails:
            return dict.fromkeys(tests, "error")
        if not self.code:
            return dict.fromkeys(tests, "passed")
        victim = "passed" if setting == "D" else "error"
        return dict(
            zip(tests, ("passed", "failed", victim, "error" if setting == "C" else "passed"), strict=True)
        )


#: What a pytest has reached when it is killed in a phase. ``app`` is a test that got its app.
REACHED = {
    "start": "start",
    "set-up": "start app set-up",
    "call": "start app set-up tear-down app call",
    "tear-down": "start app set-up tear-down",
    "respawn": "start app set-up tear-down app respawn",
    "end": "start app set-up tear-down app app respawn app end",
}
#: What pytest holds as long as it lives, one of each: the events file, its end of the guard's pipe, and the
#: thread that interrupts tests.
HELD_DESCRIPTORS = (r".*/events\.jsonl", r"pipe:.*")
HELD_THREADS = ("livegui-alarm",)

ALL = tuple(SETTINGS)
#: For what differs in who starts the next process, and in how it is watched.
MOST = ("B", "D", "xdist", "spares", "injected")
SOME = ("B", "injected")
#: In an app that was not changed, a pool that was shut down is no fault until somebody gives it work.
WIRED = ("B", "D", "xdist", "spares")
#: Under xdist, a killed worker is replaced by another. That is xdist's own.
KILLED = ("B", "spares", "injected")


def first(setting: str, rest: tuple[str, ...] = ALL) -> tuple[str, ...]:
    """These settings, this one first: ``chaos --short`` runs the first."""
    return (setting, *(name for name in rest if name != setting))


def fault(name: str, arguments: str = "", wait_s: float = 15) -> str:
    """The body of a test that asks the app for a fault, and waits to be stopped."""
    return f"hook.fault('{name}'{', ' + arguments if arguments else ''}); time.sleep({wait_s})"


#: A click that submits work to the pool.
REFRESH = "hook.click('btn_context_refresh'); time.sleep(15)"
MOVED = "assert hook.value('clock_moved') == {}86400"
QUICK_STALL = {"LIVEGUI_STALL_AFTER_MS": "1500"}

CASES = (
    # The main loop.
    Case("IM_ASSERT", fault("im_assert"), "main_loop_crashed: RuntimeError: IM_ASSERT", ALL, short=True),
    Case("exception in the loop", fault("raise_in_frame"), "main_loop_crashed: ValueError", ALL),
    Case(
        "loop returns",
        fault("leave_loop"),
        "main_loop_exited|the app is stopping|exit status 0",
        first("B"),
        short=True,
    ),
    Case(
        "sys.exit in a callback", fault("sys_exit"), "sys.exit|SystemExit|exit status", first("B"), short=True
    ),
    Case("deadlock of two locks", fault("deadlock"), "main_loop_stalled", MOST, True, QUICK_STALL),
    Case("endless loop in Python", fault("spin"), "main_loop_stalled", MOST, False, QUICK_STALL),
    Case("GIL held", fault("hold_gil", "seconds=30"), "interpreter_held", MOST, True, QUICK_STALL),
    # The process.
    Case("os._exit", fault("exit_process"), "exit status 3", ALL, short=True),
    Case("SIGKILL", fault("kill_self", "by='SIGKILL'"), "SIGKILL|signal 9", first("spares"), short=True),
    Case("SIGSEGV", fault("crash_process"), "SIGSEGV|signal 11", first("xdist"), short=True),
    Case("SIGABRT", fault("kill_self", "by='SIGABRT'"), "SIGABRT|signal 6", MOST),
    Case("SIGSTOP for good", fault("kill_self", "by='SIGSTOP'", 40), "stopped|unreachable", MOST),
    Case("SIGSTOP for 3 s", fault("stop_for", "seconds=3", 5), "", SOME, short=True),
    Case("the app's memory is used up", fault("use_up_memory"), "MemoryError|bad_alloc", SOME, short=True),
    # Pools and threads.
    Case("pool shut down", fault("shut_pool"), "executor_shutdown", WIRED, short=True),
    Case("pool ended by with", fault("end_pool_in_with"), "executor_shutdown", WIRED),
    Case(
        "work for a pool that was shut down",
        f"hook.fault('shut_pool'); {REFRESH}",
        "executor_shutdown|executor_refused",
        SOME,
    ),
    Case(
        "work after the pools' end at exit",
        f"hook.fault('end_pool_as_exit_does'); time.sleep(0.5); {REFRESH}",
        "executor_refused",
        MOST,
    ),
    Case("pool's initializer fails", fault("break_pool"), "executor_broken", MOST, short=True),
    Case("submit refused", fault("refuse_submit"), "executor_refused", ("injected",), short=True),
    Case("hook server's thread ends", fault("end_hook_server"), "thread_died", SOME, short=True),
    Case(
        "a thread outlives the main thread", fault("outlive_main"), "ended itself|sys.exit|app_exiting", SOME
    ),
    # Trouble that must have no consequences.
    Case("no fault", "pass", "", ALL, short=True),
    Case("grandchildren left", fault("leave_grandchildren", "", 1), "", SOME, short=True),
    Case("16 busy threads", fault("start_busy_threads", "count=16", 8), "", SOME),
    Case("SIGTERM ignored", "pass", "", ("B", "A"), environment={"CHAOS_START": "ignore_sigterm"}),
    Case("stdout flooded", fault("flood_stdout", "", 1), "", ("B", "spares"), short=True),
    Case("stderr flooded", fault("talk", "", 1), ""),
    Case("agent loaded twice", fault("load_agent_twice", "", 2), "", SOME, short=True),
    Case("two copies of the app", fault("start_second_copy", "", 3), "", SOME),
    Case(
        "descriptors used up in the app",
        "hook.fault('use_up_descriptors'); live_gui.respawn('no descriptors')",
    ),
    Case(
        "clock set back", fault("set_clock", "seconds=-86400", 4) + f"; {MOVED.format('-')}", needs="compiler"
    ),
    Case(
        "clock set forward",
        fault("set_clock", "seconds=86400", 4) + f"; {MOVED.format('')}",
        needs="compiler",
    ),
    Case("disk full", "fill(); time.sleep(2)", needs="tmpfs", short=True),
    Case("crash on a full disk", f"fill(); {fault('im_assert')}", "IM_ASSERT", needs="tmpfs"),
    Case("read-only run folder", "read_only(); time.sleep(2)", needs="mount", short=True),
    Case("crash on a read-only run folder", f"read_only(); {fault('im_assert')}", "IM_ASSERT", needs="mount"),
    Case("descriptors used up in pytest", "use_up_descriptors()", ""),
    Case("threads used up in pytest", "use_up_threads(2)", "", needs="threads"),
    Case("threads used up in the app", fault("use_up_threads", "seconds=2", 4), "", SOME, needs="threads"),
    # Starts that fail.
    Case(
        "app ends at its start",
        "pass",
        "no display",
        start_fails=True,
        environment={"CHAOS_START": "die"},
        short=True,
    ),
    Case(
        "app never becomes ready",
        "pass",
        "not ready|was not up|no agent|within 3",
        start_fails=True,
        environment={"CHAOS_START": "never_ready"},
        ini={"live_gui_ready_timeout": "3"},
    ),
    Case(
        "port held by a stranger", "pass", "is held by pid", start_fails=True, holder="stranger", short=True
    ),
    Case("port held by a zombie", "pass", "ours, left over from run", start_fails=True, holder="zombie"),
    Case("zombie ended: kill_stale", "pass", holder="zombie", ini={"live_gui_kill_stale": "true"}),
    # pytest's own end.
    *(
        Case(f"pytest killed: {phase}", body, "", KILLED, killed_in=phase, short=phase in ("call", "respawn"))
        for phase, body in {
            "start": "pass",
            "set-up": "pass",
            "call": "kill_me('call')",
            "tear-down": "pass",
            "respawn": fault("im_assert"),
            "end": "pass",
        }.items()
    ),
)
