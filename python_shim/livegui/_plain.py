"""An unchanged app whose loop livegui cannot patch: whether its main thread is in a loop, or has ended."""

import _thread
import os
import sys
import time

from livegui._bootstrap import NO_GUI, SEAMS, WAITS, note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, ModuleType
    from typing import Literal

    from livegui._bootstrap import Finder
    from livegui._inject import Injection

    #: What the main thread does: imports a module (or is not in the app's own code), waits for another
    #: process, runs the app's own code, or has ended.
    Doing = Literal["imports", "waits", "runs", "ended"]

#: If a main thread has run the app's own code for this long since its last import, it is in a loop of its
#: own. The time is longer if something shows that there may be another loop, which is yet to come.
AFTER_S = 1.0
AFTER_WITH_MORE_TO_COME_S = 10.0
_LOOK_EVERY_S = 0.05
#: How much time counts between two looks, because the machine may have been suspended.
_AT_MOST_S = 0.5
#: How often to look for what may be yet to come, in seconds of the app's own code.
_LOOK_FOR_MORE_S = 0.25
#: Modules in which a launcher waits for the app, directly or in what these call.
_WAITING = (
    "subprocess",
    "multiprocessing.popen_fork",
    "multiprocessing.popen_forkserver",
    "multiprocessing.popen_spawn_win32",
)
#: Packages that an app uses for a loop of asyncio's.
_ASYNCIO = ("asyncio", "uvicorn")


class PlainLook:
    """Looks at the main thread a few times a second, on a thread, until there is an agent."""

    def __init__(self, injection: "Injection", finder: "Finder") -> None:
        self._injection = injection
        self._finder = finder
        #: Whether the main thread is in a loop of asyncio's that is not written in Python.
        self._is_in_asyncio = False

    def start(self) -> None:
        """Begin to look."""
        _thread.start_new_thread(self._run, ())

    def _run(self) -> None:
        try:
            own_s, next_s, before = 0.0, AFTER_S, time.monotonic()
            while self._injection.waits():
                time.sleep(_LOOK_EVERY_S)
                now = time.monotonic()
                doing = self._main_thread()
                if doing == "imports":
                    own_s, next_s = 0.0, AFTER_S
                elif doing != "waits":
                    own_s += min(now - before, _AT_MOST_S)
                before = now
                if doing == "ended" or own_s >= next_s:
                    next_s = own_s + _LOOK_FOR_MORE_S
                    if not self._is_more_to_come(doing, own_s):
                        self._injection.watch_without_loop(has_ended=doing == "ended")
                        return
        except Exception as error:  # noqa: BLE001 -- the app must run, whatever happens to livegui
            if not sys.is_finalizing():
                note(f"not watched without a loop: {type(error).__name__}: {error}")

    def _main_thread(self) -> "Doing":
        frame: FrameType | None = sys._current_frames().get(self._finder.main_thread)
        doing: Doing = "runs"
        is_in_asyncio = False
        for _ in range(1000):
            if frame is None or frame.f_code.co_filename.startswith("<frozen importlib"):
                return "imports"
            module = frame.f_globals.get("__name__")
            if module in _WAITING:
                doing = "waits"
            is_in_asyncio = is_in_asyncio or module == "asyncio.runners"
            if frame.f_back is None:
                self._is_in_asyncio = is_in_asyncio
                if module == "threading" and frame.f_code.co_name == "_shutdown":
                    return "ended"
                is_own = module in ("__main__", "runpy") or "runpy" in frame.f_code.co_filename
                return doing if is_own else "imports"
            frame = frame.f_back
        return "imports"

    def _is_more_to_come(self, doing: "Doing", own_s: float) -> bool:
        """Whether something may still show that the app has another loop, or is another process."""
        if own_s >= AFTER_WITH_MORE_TO_COME_S:
            return False
        if (self._finder.mode == "auto" and imports_livegui()) or _has_later_python():
            return True
        if doing == "ended":
            return False
        return any(SEAMS[name] not in NO_GUI for name in self._finder.seen) or self._expects_asyncio()

    def _expects_asyncio(self) -> bool:
        """Whether the app's own code uses asyncio, but has run no loop so far."""
        if "asyncio.base_events" not in self._finder.seen:
            return False
        if self._injection.has_loop_elsewhere or self._is_in_asyncio:
            return False
        return any(_uses(module, _ASYNCIO) for name, module in _modules() if _is_own(name, module))


def imports_livegui() -> bool:
    """Whether the app has imported livegui, and so is probably going to start an agent itself."""
    package = sys.modules["livegui"]
    return "livegui._attach" in sys.modules or any(
        vars(module).get("livegui") is package
        for name, module in _modules()
        if not name.startswith("livegui")
    )


def _modules() -> "list[tuple[str, ModuleType]]":
    # A module of another type may be one that is loaded when it is first used.
    return [(name, module) for name, module in tuple(sys.modules.items()) if type(module) is type(sys)]


def _is_own(name: str, module: "ModuleType") -> bool:
    """Whether a module belongs to the app's own code."""
    from livegui._crash import is_library  # noqa: PLC0415 -- asyncio has its imports imported

    if name == "__main__":
        return True
    spec = vars(sys.modules["__main__"]).get("__spec__")
    package = getattr(spec, "name", "").partition(".")[0]  # of `python -m package`
    if package and name.partition(".")[0] == package:
        return True
    file = vars(module).get("__file__")
    return isinstance(file, str) and not is_library(file)


def _uses(module: "ModuleType", packages: tuple[str, ...]) -> bool:
    """Whether a module has imported one of these packages, or anything from them."""
    for value in tuple(vars(module).values()):
        kind = type(value)
        # Nothing is asked of the app's own objects.
        if kind is type(sys):
            name = vars(value).get("__name__")
        elif kind is type or kind is type(_uses):
            name = value.__module__
        else:
            continue
        if isinstance(name, str) and name.partition(".")[0] in packages:
            return True
    return False


def _has_later_python() -> bool:
    """Whether a Python that this process has started may be the app, because it lives and waits for a loop.

    Each writes to the log of the run folder when it starts.
    """
    if os.name != "posix":  # nothing asks there whether a process lives
        return False
    folder = os.environ.get("LIVEGUI_RUN_DIR")
    try:
        with open(os.path.join(folder or "", "injection.log"), encoding="utf-8", errors="replace") as log:  # noqa: PTH118, PTH123
            lines = log.read().splitlines()
    except OSError:
        return False
    later: set[int] = set()
    for line in lines:
        head, _, text = line.partition(": ")
        pid = head.partition(",")[0].removeprefix("pid ")
        if not pid.isdecimal():
            continue
        if int(pid) == os.getpid() and text == WAITS:
            later.clear()
        elif int(pid) != os.getpid() and text == WAITS:
            later.add(int(pid))
        elif text.startswith("not watched"):
            later.discard(int(pid))
    return any(is_alive(pid) for pid in later)


def is_alive(pid: int) -> bool:
    """Whether a process lives. Only on POSIX systems: elsewhere this would end it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
