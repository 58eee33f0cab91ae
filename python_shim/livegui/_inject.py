"""An unchanged app: which of its processes gets the agent, and what is patched in it until then.

The files in :mod:`livegui.toolkits` know what to patch, and install the agent with the calls that an author
would use.
"""

import _thread
import os
import sys

from livegui._bootstrap import (
    LIBRARY_POOLS,
    NAME,
    clean_environment,
    explain,
    not_watched,
    note,
)
from livegui._loops import FrameLoop, Loop, Pump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any
    from weakref import WeakSet

    from livegui import Agent
    from livegui._bootstrap import Finder
    from livegui._loops import Wire
    from livegui.toolkits._common import CrashHook


#: What enters a loop of asyncio's.
ASYNCIO = "asyncio's loop"
#: The name of what looks for the end of the main thread.
_END = "end of the main thread"
#: How many reports are kept at most until they can be made.
_HELD = 256


class Injection:
    """The patches of this process, and its agent, once this process is the one that has it."""

    def __init__(self, finder: "Finder") -> None:
        self.agent: Agent | None = None
        #: Whether the work that packages give to pools counts too.
        self.library_pools = os.environ.get(LIBRARY_POOLS) == "1"
        self._finder = finder
        self._main_thread = finder.main_thread
        self._pid = os.getpid()
        self._lock = _thread.allocate_lock()
        self._patches: list[tuple[Any, str, object, object]] = []
        #: The objects in which the agent is installed, as long as they live; created with the first.
        self._wired: WeakSet[object] | None = None
        #: Reports what ends the program, while no toolkit's loop does.
        self._crash_hook: CrashHook | None = None
        #: Whether ``os._exit()`` is patched.
        self._hears_exit = False
        #: Whether a toolkit cares about who has ``sys.excepthook``.
        self._leaves_excepthook = False
        self._frames: FrameLoop | None = None
        self._pending: list[Callable[[Agent], object]] = []
        #: Whether nothing more must be done.
        self._removed = False
        #: Whether this process keeps the agent for good, because a loop was entered.
        self._has_loop = False
        #: Whether a toolkit's own loop has returned, with which the app usually ends.
        self.has_ended = False
        #: Problems that came up since. If the app enters another loop, they are reported.
        self._held: list[Callable[[Agent], object]] = []
        self._looks_for_plain_loop = False
        #: Whether a loop of asyncio's runs, or ran, on another thread.
        self.has_loop_elsewhere = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork_in_child)

    def _after_fork_in_child(self) -> None:
        # A thread that does not exist here was giving the parent its agent, and would never release the
        # lock.
        self._removed = self._removed or self._lock.locked()

    # --- patches ---

    def patch(self, known_by: str, module: "ModuleType", *, is_again: bool = False) -> None:
        """Patch a module that was just imported, perhaps not for the first time."""
        if known_by:
            name = f"livegui.{known_by}"
            if is_again:  # our module has imported the earlier one
                sys.modules.pop(name, None)
            __import__(name)
            sys.modules[name].patch(self, module)
        elif not self._looks_for_plain_loop:
            # An app without a toolkit may be driven by one of its threads.
            self.wrap(module.Thread, "start", self._starting)

    def wrap(
        self,
        owner: "Any",
        name: str,
        make: "Callable[[Any], Any]",
        *,
        native: bool = False,
        static: bool = False,
    ) -> None:
        """Replace ``owner.name`` by ``make(original)``.

        Args:
            owner: a class or a module.
            name: the name of its attribute.
            make: makes the wrapper.
            native: whether it is a function of PySide, whose docstring must not be read.
            static: whether it is called without an instance.
        """
        before = vars(owner).get(name)
        if any(patch[0] is owner and patch[1] == name and patch[2] is before for patch in self._patches):
            return
        original = getattr(owner, name, None)
        if original is None:  # another version of the toolkit
            note(f"not wired: there is no {owner.__name__}.{name}")
            return
        ours = make(original)
        # PySide makes a docstring when it is first read, and prints what it cannot resolve by then.
        for word in ("__name__", "__qualname__", *(() if native else ("__doc__", "__module__"))):
            if isinstance(value := getattr(original, word, None), str):
                setattr(ours, word, value)
        if not native:
            ours.__wrapped__ = original
        placed = staticmethod(ours) if static or isinstance(before, staticmethod) else ours
        setattr(owner, name, placed)
        self._patches.append((owner, name, placed, before))
        of = f"{owner.__module__}." if isinstance(owner, type) else ""
        explain(f"patched {of}{owner.__name__}.{name}")

    def remove(self) -> None:
        """Remove the patches. Those that something else has wrapped since stay, but do nothing."""
        self._removed = True
        while self._patches:
            owner, name, placed, before = self._patches.pop()
            if vars(owner).get(name) is not placed:
                continue
            if before is None:
                delattr(owner, name)
            else:
                setattr(owner, name, before)

    def give_way(self) -> bool:
        """Make room for the agent that the app starts itself. Returns whether ours did.

        It does not while it watches a loop that runs. The app then gets this agent, because tests may use it
        already, and an agent that stops would fail them.
        """
        if self._has_loop and self.agent is not None and not self.agent._loop.is_away:
            explain("the app calls livegui.start() in its running loop, and gets the agent that watches it")
            return False
        self._removed = True
        if self.agent is not None:
            self.agent.stop()
        explain("the app calls livegui.start(): left to its own wiring")
        return True

    # --- the agent ---

    def when_watched(self, tell: "Callable[[Agent], object]") -> None:
        """Report something to the agent, now or as soon as there is one."""
        if self.agent is not None and self._pid == os.getpid():
            _tell(self.agent, tell)
        elif self.agent is None and not self._removed and len(self._pending) < _HELD:
            self._pending.append(tell)

    def report(self, tell: "Callable[[Agent], object]") -> None:
        """Report a problem as :meth:`when_watched` does. One of an app that is ending is none."""
        if self.agent is not None and self.agent._loop.has_returned:
            if len(self._held) < _HELD:
                self._held.append(tell)
        else:
            self.when_watched(tell)

    def claim(self, what: str, *, has_loop: bool = True) -> "Agent | None":
        """A loop is entered. This process gets the agent, if it should have one. Never raises."""
        if self._removed or (self.agent is not None and self._pid != os.getpid()):
            return None
        if _is_helper():
            self._removed = True
            clean_environment()
            return None
        with self._lock:
            try:
                if self.agent is None:
                    if (other := _other_agent()) is not None:
                        note(f"not watched: the app is process {other}, which has an agent already")
                        self._removed = True
                        clean_environment()
                        return None
                    self.agent = self._start()
                    self._pid = os.getpid()
                    self._leave_environment()
                if has_loop and not self._has_loop:
                    self._has_loop = True
                    note(f"watched, by {what}")
            except Exception as error:  # noqa: BLE001 -- the app must run, whatever happens to livegui
                not_watched(f"{type(error).__name__}: {error}{_remedy(error)}")
                self._removed = True
                return None
            return self.agent

    def _start(self) -> "Agent":
        from livegui import _attach, _servers  # noqa: PLC0415 -- most processes of an app never need it

        agent = _attach.start_agent(os.environ.get(NAME) or None)
        _servers.watch_threads(self, agent)
        pending, self._pending = self._pending, []
        for tell in pending:
            _tell(agent, tell)
        return agent

    def _leave_environment(self) -> None:
        from livegui._exec import watch_exec  # noqa: PLC0415 -- most processes of an app never need it

        watch_exec(self, clean_environment())

    # --- loops ---

    def loop(self, what: str, wire: "Wire", *, may_come_back: bool = False) -> Loop:
        """A context around a toolkit's own loop.

        Args:
            what: what entered it.
            wire: installs the agent, once for each of its kind.
            may_come_back: whether leaving it does not mean that the app ends.
        """
        return Loop(self, what, wire, may_come_back=may_come_back)

    def frames(
        self, what: str, wire: "Callable[[Agent], Callable[[], object]]", *, own_loop: bool = False
    ) -> FrameLoop:
        """A loop of the app's own that calls a toolkit once a frame.

        Args:
            what: what it calls.
            wire: installs the agent, and returns the function to call once a frame.
            own_loop: whether a loop of the toolkit's own, which :meth:`loop` reports, has such frames
                too.
        """
        return FrameLoop(self, what, wire, own_loop=own_loop)

    def pump(self, what: str, when_sure: "Callable[[Callable[[], None]], object] | None" = None) -> Pump:
        """A loop of the app's own in which a toolkit processes events, so that its timers run.

        Args:
            what: what the app calls for that.
            when_sure: calls a function once the loop has lasted, where even a start-up has its like.
        """
        return Pump(self, what, when_sure)

    def take_frames(self, frames: FrameLoop) -> bool:
        """Whether these are the app's frames. If one loop calls several toolkits, the first one beats."""
        self._frames = self._frames or frames
        return self._frames is frames

    def is_inside_loop(self) -> bool:
        """Whether a toolkit's own loop runs."""
        return self.agent is not None and self.agent._loop.is_inside()

    def has_frames(self) -> bool:
        """Whether the app has a loop of its own, or has had one."""
        return self._frames is not None

    def is_on_main_thread(self) -> bool:
        """Whether this is the thread whose loops and frames are the app's."""
        return _thread.get_ident() == self._main_thread

    def of_own_loop(self, agent: "Agent", beat: "Callable[[], object]") -> "Callable[[], object]":
        """What to call once a frame of the app's own loop; not on other threads. Never raises."""
        main_thread, get_ident, loop = self._main_thread, _thread.get_ident, agent._loop
        has_failed = False

        def called() -> None:
            nonlocal has_failed
            if get_ident() == main_thread:
                try:
                    if loop.is_away:  # another loop ran meanwhile
                        loop.come_back()
                    beat()
                except Exception as error:  # noqa: BLE001 -- the app must run, whatever happens to livegui
                    if not has_failed:
                        has_failed = True
                        self.give_up(agent, "its loop", error)

        return called

    def enter(self, what: str, wire: "Wire", *, may_come_back: bool) -> "Agent | None":
        """The agent, if it should know about a loop that is entered on this thread. Never raises."""
        if self._removed:
            return None
        if not self.is_on_main_thread():
            self.has_loop_elsewhere = self.has_loop_elsewhere or what == ASYNCIO
            return None
        if self.agent is None and what == ASYNCIO and self._starts_by_hand():
            return None
        agent = self.claim(what)
        if agent is None or agent._loop.is_inside():
            return None
        try:
            self.goes_on(agent)
            if not may_come_back:
                self.leave_excepthook()
            self.wire_once(agent, wire)
            for hook in agent._excepthooks:
                hook.put_on_top()
            if may_come_back:
                self.hear_what_ends_the_program(agent)
        except Exception as error:  # noqa: BLE001 -- the app must run, whatever happens to livegui
            self.give_up(agent, what, error)
            return None
        return agent

    def loop_returned(self, agent: "Agent") -> None:
        """A toolkit's own loop has returned. Now the app ends, or it enters another loop. Never raises."""
        self.has_ended = True
        try:
            # Until then, an exception that ends the program is a crash.
            self.hear_what_ends_the_program(agent)
            if not self._hears_exit:
                self._hears_exit = True
                self.wrap(os, "_exit", self._exiting)
        except Exception as error:  # noqa: BLE001 -- the app must run, whatever happens to livegui
            note(f"the end of the app may not be told: {type(error).__name__}: {error}")

    def goes_on(self, agent: "Agent") -> None:
        """Another loop is entered."""
        self.has_ended = False
        agent._loop.has_returned = False
        held, self._held = self._held, []
        for tell in held:
            _tell(agent, tell)

    def _exiting(self, original: "Callable[..., Any]") -> "Callable[..., Any]":
        def _exit(*arguments: "Any", **options: "Any") -> "Any":
            agent = self.agent
            if agent is not None and self._pid == os.getpid() and agent._loop.has_returned:
                agent._loop.end_if_returned()
                agent.stop()
            return original(*arguments, **options)

        return _exit

    def wire_once(self, agent: "Agent", wire: "Wire") -> None:
        """Install the agent in a loop, or in the window that has it, unless that is done."""
        if self._wired is None:
            from weakref import WeakSet  # noqa: PLC0415 -- the agent has it imported

            self._wired = WeakSet()
        key = getattr(wire, "key", wire)
        if key not in self._wired:
            wire(agent)
            self._wired.add(key)

    def hear_what_ends_the_program(self, agent: "Agent") -> None:
        """Report an exception that ends the program as a crash of the loop."""
        from livegui.toolkits._common import CrashHook  # noqa: PLC0415 -- needed once

        if self._crash_hook is not None:
            self._crash_hook.put_on_top()
        elif not self._leaves_excepthook:
            self._crash_hook = CrashHook(agent)
        # The hook is not called if the app has set another one since.
        if _END not in agent._lookouts:
            agent._lookouts[_END] = _EndOfMainThread(agent)
            agent._loop.ends_with_program = True

    def leave_excepthook(self, *, for_good: bool = False) -> None:
        """Leave ``sys.excepthook`` to the app and its toolkit, until the next loop or for good."""
        self._leaves_excepthook = self._leaves_excepthook or for_good
        if self._crash_hook is not None:
            self._crash_hook.remove()
            self._crash_hook = None

    def give_up(self, agent: "Agent", what: str, error: Exception) -> None:
        """The agent could not be installed in a loop, so no beat must be expected of it."""
        note(f"{what} is not watched: {type(error).__name__}: {error}")
        agent._native.main_loop_unseen()

    # --- an app without a toolkit ---

    def _starting(self, original: "Callable[..., Any]") -> "Callable[..., Any]":
        def start(thread: "Any") -> "Any":
            if not self._removed:
                self.look_for_plain_loop()
            return original(thread)

        return start

    def look_for_plain_loop(self) -> None:
        """Find out, on a thread, whether the app has a loop that livegui cannot patch."""
        if not self._looks_for_plain_loop:
            self._looks_for_plain_loop = True
            from livegui._plain import PlainLook  # noqa: PLC0415 -- not every process needs it

            PlainLook(self, self._finder).start()

    def _starts_by_hand(self) -> bool:
        """Whether the app will probably start an agent itself, as a main coroutine does in its loop."""
        if self._finder.mode != "auto":
            return False
        from livegui._plain import imports_livegui  # noqa: PLC0415 -- not every process needs it

        return imports_livegui()

    def waits(self) -> bool:
        """Whether this process may get the agent, but has none so far."""
        return not self._removed and self.agent is None

    def watch_without_loop(self, *, has_ended: bool) -> None:
        """Watch an app without a loop that can be patched. Its main thread may have ended already."""
        agent = self.claim("its main thread alone", has_loop=False)
        if agent is None:
            return
        self.hear_what_ends_the_program(agent)
        if has_ended:
            note("its main thread has ended: not_watched")
        else:
            agent._native.main_loop_unseen()
            note("its main loop cannot be seen: not_watched")


class _EndOfMainThread:
    """Reports what has ended the main thread. If its loop had returned before, that announces the app's end.

    Other threads may still keep the process alive. If none does, the end of the interpreter tells the same.
    """

    def __init__(self, agent: "Agent") -> None:
        self._loop = agent._loop
        self._has_told = False

    def look(self) -> None:
        """Called by the canary a few times a second."""
        if self._has_told:
            return
        from livegui._threads import look_at_main_thread  # noqa: PLC0415 -- the agent has it imported

        _, has_ended = look_at_main_thread()
        if has_ended:
            self._has_told = True
            self._loop.end_with_program()


def _remedy(error: Exception) -> str:
    if not isinstance(error, ImportError):
        return ""
    return (
        ": livegui's native module does not fit this Python, so install livegui for it: "
        f"{sys.executable} -m pip install livegui"
    )


def _tell(agent: "Agent", tell: "Callable[[Agent], object]") -> None:
    try:
        tell(agent)
    except Exception as error:  # noqa: BLE001 -- for example the 257th thread: the app must run all the same
        note(f"could not be told: {type(error).__name__}: {error}")


def _other_agent() -> "int | None":
    """The process that has the agent of this run folder, if that is another one, and it lives."""
    folder = os.environ.get("LIVEGUI_RUN_DIR")
    if not folder:
        return None
    from livegui._livegui import agent_in  # noqa: PLC0415 -- only what gets an agent needs it

    pid = agent_in(folder)
    return pid if pid != os.getpid() else None


def _is_helper() -> bool:
    """Whether ``multiprocessing`` has started this process with a fork. Then it is never the app."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None
