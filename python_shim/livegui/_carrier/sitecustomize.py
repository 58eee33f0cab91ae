"""The first module that a Python finds whose PYTHONPATH ``livegui exec`` or a suite has set.

If livegui is not installed, this makes our package importable, but nothing else in its folder. Then it gives
way to any other ``sitecustomize``. Any Python may run it, however old.
"""

import os
import sys

_INSTEAD = "run the app with CPython 3.10 or newer"


def _note(text):
    folder = os.environ.get("LIVEGUI_RUN_DIR")
    line = "pid %d, Python %d.%d (%s): %s\n" % (
        (os.getpid(),) + tuple(sys.version_info[:2]) + (sys.executable, text)
    )
    try:
        if os.environ.get("LIVEGUI_INJECT_EXPLAIN"):
            sys.stderr.write("livegui: " + line)
        elif _is_what_exec_runs():
            python = "Python %d.%d, %s" % (tuple(sys.version_info[:2]) + (sys.executable,))
            sys.stderr.write("livegui: %s (%s)\n" % (text, python))
    except Exception:  # noqa: BLE001
        pass
    if folder:
        try:
            with open(os.path.join(folder, "injection.log"), "a") as log:
                log.write(line)
        except (OSError, IOError):
            pass


def _is_what_exec_runs():
    own_pid = os.getpid() if os.name == "posix" else os.getppid()
    return os.environ.get("LIVEGUI_INJECT_PID", "").split(",")[0] == str(own_pid)


def _arm(package):
    is_off = os.environ.get("LIVEGUI") == "0"
    if is_off and (sys.version_info < (3, 10) or sys.implementation.name != "cpython"):
        return
    if sys.version_info < (3, 10):
        _note("not watched: livegui needs Python 3.10 or newer: " + _INSTEAD)
        return
    if sys.implementation.name != "cpython":
        _note("not watched: livegui runs in CPython alone: " + _INSTEAD)
        return
    machinery = sys.modules["_frozen_importlib_external"]
    if "livegui" not in sys.modules and machinery.PathFinder.find_spec("livegui", None) is None:
        init = os.path.join(package, "__init__.py")
        spec = machinery.spec_from_file_location("livegui", init, submodule_search_locations=[package])
        module = sys.modules["_frozen_importlib"].module_from_spec(spec)
        sys.modules["livegui"] = module
        spec.loader.exec_module(module)
    from livegui._bootstrap import arm

    arm()


def _main():
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != folder or not entry]
    sys.path_importer_cache.pop(folder, None)
    if os.environ.get("LIVEGUI_INJECT") and "livegui._bootstrap" not in sys.modules:
        try:
            _arm(os.path.dirname(folder))
        except Exception:  # noqa: BLE001
            _note(
                "not watched: %r: install livegui for this Python: %s -m pip install livegui"
                % (sys.exc_info()[1], sys.executable)
            )


_main()
# As if this file did not exist: Python looks for the next one, and if there is none, site ignores that.
sys.modules.pop("sitecustomize", None)
import sitecustomize  # noqa: E402, F401
