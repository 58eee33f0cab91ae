"""What a Python finds first whose environment has no livegui: ``livegui exec`` puts this folder on PYTHONPATH.

It brings along our package and nothing else of the folder that we come from, and then makes room for whatever
``sitecustomize`` there is besides. It may be run by any Python, however old.
"""

import os
import sys


def _note(text):  # type: ignore[no-untyped-def]  # noqa: ANN
    folder = os.environ.get("LIVEGUI_RUN_DIR")
    line = (
        "pid %d, Python %d.%d (%s): %s\n"
        % (  # noqa: UP031 -- for any Python
            (os.getpid(),) + tuple(sys.version_info[:2]) + (sys.executable, text)  # noqa: RUF005
        )
    )
    if os.environ.get("LIVEGUI_INJECT_EXPLAIN"):
        sys.stderr.write("livegui: " + line)
    if folder:
        try:
            with open(os.path.join(folder, "injection.log"), "a") as log:  # noqa: PTH118, PTH123
                log.write(line)
        except (OSError, IOError):  # noqa: UP024
            pass


def _arm(package):  # type: ignore[no-untyped-def]  # noqa: ANN
    if sys.version_info < (3, 10):  # noqa: UP036
        return _note("not watched: livegui needs Python 3.10 or newer")
    if sys.implementation.name != "cpython":
        return _note("not watched: livegui runs in CPython alone")
    machinery = sys.modules["_frozen_importlib_external"]
    if "livegui" not in sys.modules and machinery.PathFinder.find_spec("livegui", None) is None:
        init = os.path.join(package, "__init__.py")  # noqa: PTH118
        spec = machinery.spec_from_file_location("livegui", init, submodule_search_locations=[package])
        module = sys.modules["_frozen_importlib"].module_from_spec(spec)
        sys.modules["livegui"] = module
        spec.loader.exec_module(module)
    from livegui._bootstrap import arm  # noqa: PLC0415

    arm()


def _main():  # type: ignore[no-untyped-def]  # noqa: ANN
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != folder or not entry]  # noqa: PTH100
    sys.path_importer_cache.pop(folder, None)
    if os.environ.get("LIVEGUI_INJECT") and "livegui._bootstrap" not in sys.modules:
        try:
            _arm(os.path.dirname(folder))  # noqa: PTH120
        except Exception:  # noqa: BLE001
            _note("not watched: %r" % (sys.exc_info()[1],))  # noqa: UP031


_main()
# As if this file were not there: the next one is looked for, and if there is none site says nothing of that.
sys.modules.pop("sitecustomize", None)
import sitecustomize  # noqa: E402, F401
