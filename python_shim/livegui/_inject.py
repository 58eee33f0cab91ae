"""An app that nobody wired: who of its processes gets the agent, and what of it is patched until then.

The files of :mod:`livegui.toolkits` know the seams, and wire by the same calls as an author would.
"""

import _thread
import os
import sys
import time

from livegui._bootstrap import NAME, NO_GUI, PATH, SEAMS, clean_environment, explain, note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, ModuleType, TracebackType
    from typing import Any
    from weakref import WeakSet

    from livegui import Agent
    from livegui._bootstrap import Finder
    from livegui.toolkits._common import CrashHook

    #: Wires a loop that is about to turn.
    Wire = Callable[[Agent], object]

#: A main thread that has run the app's own code for so long, with no import going on, is in a loop of its
#: own; longer if there is a GUI toolkit, whose loop is yet to come.
PLAIN_AFTER_S = 1.0
PLAIN_AFTER_WITH_TOOLKIT_S = 10.0
_LOOK_EVERY_S = 0.05
#: Modules in which, or in what these call, a launcher waits for the app.
_WAITING = (
    "subprocess",
    "multiprocessing.popen_fork",
    "multiprocessing.popen_forkserver",
    "multiprocessing.popen_spawn_win32",
)


class Injection:
    """The patches of this process, and its agent once it is the one that has it."""

    def __init__(self, finder: "Finder") -> None:
        self.agent: Agent | None = None
        self._finder = finder
        self._main_thread = finder.main_thread
        self._pid = os.getpid()
        self._lock = _thread.allocate_lock()
        self._patches: list[tuple[Any, str, object, object]] = []
        #: What is wired, as long as it lives; made with the first.
        self._wired: WeakSet[object] | None = None
        #: Hears of what ends the program, while no loop of a toolkit does.
        self._crash_hook: CrashHook | None = None
        #: A toolkit looks at who has ``sys.excepthook``.
        self._leaves_excepthook = False
        self._frames: FrameLoop | None = None
        self._pending: list[Callable[[Agent], object]] = []
        #: Nothing is to be done any more.
        self._removed = False
        #: It is the agent's for good: a loop was entered.
        self._has_loop = False
        self._looks_for_plain_loop = False
        #: What was taken out of the environment.
        self._taken: dict[str, str] = {}
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork_in_child)

    def _after_fork_in_child(self) -> None:
        # A thread that is not here was giving the parent its agent, and would never give the lock back.
        self._removed = self._removed or self._lock.locked()

    # --- patches ---

    def patch(self, known_by: str, module: "ModuleType") -> None:
        """Patch a module that was just imported."""
        if known_by:
            name = f"livegui.{known_by}"
            __import__(name)
            sys.modules[name].patch(self, module)
        elif not self._looks_for_plain_loop:
            # An app without a toolkit that has a thread may be driven by it.
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
        """Put ``make(original)`` in the place of ``owner.name``.

        Args:
            owner: a class or a module.
            name: what of it.
            make: makes the wrapper.
            native: it is a function of PySide's, which must not be looked at closely.
            static: it is called without an instance.
        """
        before = vars(owner).get(name)
        original = getattr(owner, name, None)
        if original is None:  # another version of the toolkit
            note(f"not wired: there is no {owner.__name__}.{name}")
            return
        ours = make(original)
        # PySide makes a docstring when it is asked for one, and prints what it cannot resolve by then.
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
        """Take the patches off; those that somebody has wrapped since stay and do nothing."""
        self._removed = True
        while self._patches:
            owner, name, placed, before = self._patches.pop()
            if vars(owner).get(name) is not placed:
                continue
            if before is None:
                delattr(owner, name)
            else:
                setattr(owner, name, before)

    def give_way(self) -> None:
        """The app starts an agent itself. One that has seen no loop makes room for it."""
        if self.agent is not None and not self._has_loop:
            self.agent.stop()
        explain("the app calls livegui.start(): left to its own wiring")

    # --- the agent ---

    def when_watched(self, tell: "Callable[[Agent], object]") -> None:
        """Tell the agent something: now, or once there is one."""
        if self.agent is not None and self._pid == os.getpid():
            _tell(self.agent, tell)
        elif self.agent is None and not self._removed and len(self._pending) < 256:
            self._pending.append(tell)

    def claim(self, what: str, *, has_loop: bool = True) -> "Agent | None":
        """A loop is entered: this process gets the agent, if it is to have one. Never raises."""
        if self._removed or (self.agent is not None and self._pid != os.getpid()):
            return None
        if _is_helper():
            self._removed = True
            clean_environment()
            return None
        with self._lock:
            try:
                if self.agent is None:
                    self.agent = self._start()
                    self._pid = os.getpid()
                if has_loop and not self._has_loop:
                    self._has_loop = True
                    self._leave_environment()
                    note(f"watched, by {what}")
            except Exception as error:  # noqa: BLE001 -- the app is to run, whatever became of us
                note(f"not watched: {type(error).__name__}: {error}")
                self._removed = True
                return None
            return self.agent

    def _start(self) -> "Agent":
        from livegui import _attach  # noqa: PLC0415 -- most processes of an app never need it

        agent = _attach.start_agent(os.environ.get(NAME) or None)
        pending, self._pending = self._pending, []
        for tell in pending:
            _tell(agent, tell)
        return agent

    def _leave_environment(self) -> None:
        self._taken = clean_environment()
        # Whoever takes this process's place is the app again.
        self.wrap(os, "execv", self._exec)
        self.wrap(os, "execve", self._exec_with)

    def _exec(self, original: "Callable[..., Any]") -> "Callable[..., Any]":
        def execv(*arguments: "Any") -> "Any":
            before = dict(os.environ)
            try:
                os.environ.update(self._with_ours(before))
                return original(*arguments)
            finally:  # it failed
                clean_environment()

        return execv

    def _exec_with(self, original: "Callable[..., Any]") -> "Callable[..., Any]":
        def execve(path: "Any", argv: "Any", env: "Any") -> "Any":
            if all(isinstance(name, str) for name in env):
                env = {**env, **self._with_ours(env)}
            return original(path, argv, env)

        return execve

    def _with_ours(self, environment: "Any") -> dict[str, str]:
        if os.getpid() != self._pid:  # the child of a fork takes nobody's place
            return {}
        ours = {name: value for name, value in self._taken.items() if name != "PYTHONPATH"}
        if PATH in ours:
            path = environment.get("PYTHONPATH")
            ours["PYTHONPATH"] = os.pathsep.join([ours[PATH], path] if path else [ours[PATH]])
        return ours

    # --- loops ---

    def loop(self, what: str, wire: "Wire", *, may_come_back: bool = False) -> "Loop":
        """A context around a toolkit's own loop.

        Args:
            what: who entered it.
            wire: wires the agent, once for each of its kind.
            may_come_back: that it is left does not say that the app ends.
        """
        return Loop(self, what, wire, may_come_back=may_come_back)

    def frames(
        self, what: str, wire: "Callable[[Agent], Callable[[], object]]", *, own_loop: bool = False
    ) -> "FrameLoop":
        """A loop of the app's own that calls a toolkit once a frame.

        Args:
            what: what it calls.
            wire: wires the agent, and returns what is to be called once a frame.
            own_loop: a loop of the toolkit's own, which :meth:`loop` tells of, is one of such frames.
        """
        return FrameLoop(self, what, wire, own_loop=own_loop)

    def take_frames(self, frames: "FrameLoop") -> bool:
        """Whether these are the frames of the app: of several toolkits in one loop the first beats."""
        self._frames = self._frames or frames
        return self._frames is frames

    def is_on_main_thread(self) -> bool:
        """Whether this is the thread of which a loop, or a frame, is the app's."""
        return _thread.get_ident() == self._main_thread

    def only_on_main_thread(self, beat: "Callable[[], object]") -> "Callable[[], object]":
        """The same, and nothing on any other thread."""
        main_thread, get_ident = self._main_thread, _thread.get_ident

        def called() -> None:
            if get_ident() == main_thread:
                beat()

        return called

    def enter(self, what: str, wire: "Wire", *, may_come_back: bool) -> "Agent | None":
        """The agent, if a loop that is entered on this thread is to be told of. Never raises."""
        if self._removed or not self.is_on_main_thread():
            return None
        agent = self.claim(what)
        if agent is None or agent._loop.is_inside():
            return None
        try:
            if not may_come_back:
                self.leave_excepthook()
            self.wire_once(agent, wire)
            if may_come_back:
                self.hear_what_ends_the_program(agent)
        except Exception as error:  # noqa: BLE001 -- the app is to run, whatever became of us
            self.give_up(agent, what, error)
            return None
        return agent

    def wire_once(self, agent: "Agent", wire: "Wire") -> None:
        """Wire a loop, or the window that has it, unless that is done."""
        if self._wired is None:
            from weakref import WeakSet  # noqa: PLC0415 -- the agent has it imported

            self._wired = WeakSet()
        key = getattr(wire, "key", wire)
        if key not in self._wired:
            wire(agent)
            self._wired.add(key)

    def hear_what_ends_the_program(self, agent: "Agent") -> None:
        """An exception that ends the program is to be a crash of its loop."""
        from livegui.toolkits._common import CrashHook  # noqa: PLC0415 -- needed once

        if self._crash_hook is None and not self._leaves_excepthook:
            self._crash_hook = CrashHook(agent)

    def leave_excepthook(self, *, for_good: bool = False) -> None:
        """Leave ``sys.excepthook`` to the app, and to its toolkit: until the next loop, or for good."""
        self._leaves_excepthook = self._leaves_excepthook or for_good
        if self._crash_hook is not None:
            self._crash_hook.remove()
            self._crash_hook = None

    def give_up(self, agent: "Agent", what: str, error: Exception) -> None:
        """A loop could not be wired: no beat is to be expected of it."""
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
        """See, on a thread, whether the app turns out to have a loop that no seam knows."""
        if not self._looks_for_plain_loop:
            self._looks_for_plain_loop = True
            _thread.start_new_thread(self._look_for_plain_loop, ())

    def _look_for_plain_loop(self) -> None:
        try:
            since = time.monotonic()
            while not self._removed and self.agent is None:
                time.sleep(_LOOK_EVERY_S)
                if not self._is_in_own_code():
                    since = time.monotonic()
                has_toolkit = any(SEAMS[name] not in NO_GUI for name in self._finder.seen)
                after = PLAIN_AFTER_WITH_TOOLKIT_S if has_toolkit else PLAIN_AFTER_S
                if time.monotonic() - since >= after and not self._is_known():
                    self._watch_without_loop()
                    return
        except Exception as error:  # noqa: BLE001 -- the app is to run, whatever became of us
            if not sys.is_finalizing():
                note(f"not watched without a loop: {type(error).__name__}: {error}")

    def _is_in_own_code(self) -> bool:
        frame: FrameType | None = sys._current_frames().get(self._main_thread)
        for _ in range(1000):
            if frame is None or frame.f_code.co_filename.startswith("<frozen importlib"):
                return False
            module = frame.f_globals.get("__name__")
            if module in _WAITING:
                return False
            if frame.f_back is None:
                return module in ("__main__", "runpy") or "runpy" in frame.f_code.co_filename
            frame = frame.f_back
        return False

    def _is_known(self) -> bool:
        """Whether the app has livegui imported: it is going to start an agent itself."""
        if self._finder.mode != "auto":
            return False
        package = sys.modules["livegui"]
        # Of another type may be one that is loaded when it is first looked at.
        return "livegui._attach" in sys.modules or any(
            vars(module).get("livegui") is package
            for name, module in tuple(sys.modules.items())
            if type(module) is type(sys) and not name.startswith("livegui")
        )

    def _watch_without_loop(self) -> None:
        agent = self.claim("its main thread alone", has_loop=False)
        if agent is not None:
            agent._native.main_loop_unseen()
            self.hear_what_ends_the_program(agent)
            note("its main loop cannot be seen: not_watched")


class Loop:
    """Around a toolkit's own loop. Never raises of its own; what leaves the loop passes through."""

    def __init__(self, injection: Injection, what: str, wire: "Wire", *, may_come_back: bool) -> None:
        self._injection = injection
        self._what = what
        self._wire = wire
        self._may_come_back = may_come_back
        #: None if it is not ours to watch.
        self.agent: Agent | None = None

    def __enter__(self) -> None:
        self.agent = self._injection.enter(self._what, self._wire, may_come_back=self._may_come_back)
        if self.agent is not None:
            self.agent._loop.__enter__()

    def __exit__(
        self, kind: "type[BaseException] | None", error: "BaseException | None", where: "TracebackType | None"
    ) -> None:
        if self.agent is None:
            return
        if self._may_come_back:
            # What has left it the app may handle; what ends the program is heard of.
            self.agent._loop.leave_for_now(error)
            return
        if error is None:
            self.agent.stopping()
        self.agent._loop.__exit__(kind, error, where)


class FrameLoop:
    """A loop of the app's own that calls a toolkit once a frame: :attr:`beat` is to be called then.

    Frames of other threads are none of the main loop's.
    """

    def __init__(
        self,
        injection: Injection,
        what: str,
        wire: "Callable[[Agent], Callable[[], object]]",
        *,
        own_loop: bool,
    ) -> None:
        self._injection = injection
        self._what = what
        self._wire = wire
        self._own_loop = own_loop
        #: Changes with the first frame.
        self.beat: Callable[[], object] = self._first

    def _first(self) -> None:
        if not self._injection.is_on_main_thread():
            return
        self.beat = _nothing
        wire = self._wire
        del self._wire  # it may hold a window
        agent = self._injection.claim(self._what)
        if agent is None or (agent._loop.is_inside() and not self._own_loop):
            return
        if not self._injection.take_frames(self):
            return
        try:
            beat = self._injection.only_on_main_thread(wire(agent))
            if not agent._loop.is_inside():
                self._injection.hear_what_ends_the_program(agent)
                agent._native.main_loop_entered()
                agent._loop.come_back()
        except Exception as error:  # noqa: BLE001 -- the app is to run, whatever became of us
            self._injection.give_up(agent, self._what, error)
            return
        self.beat = beat
        beat()


def _nothing() -> None:
    pass


def _tell(agent: "Agent", tell: "Callable[[Agent], object]") -> None:
    try:
        tell(agent)
    except Exception as error:  # noqa: BLE001 -- as of the 257th thread: the app is to run all the same
        note(f"could not be told: {type(error).__name__}: {error}")


def _is_helper() -> bool:
    """Whether ``multiprocessing`` has started this process, by a fork: that is never the app."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None
