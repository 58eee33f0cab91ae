"""GTK with PyGObject, and anything else that runs GLib's loop: one call on its thread.

::

    from livegui.toolkits import gtk as live_gtk

    live_gtk.install(agent)
    with agent.main_loop():
        app.run()
        agent.stopping()
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from livegui.toolkits._common import ExceptHook

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from livegui import Agent
    from livegui._inject import Injection

__all__ = ["install", "patch"]

#: The functions that run a loop, by module: the class, if there is one, and the function.
_RUNS: dict[str, list[tuple[str | None, str]]] = {
    "gi.overrides.GLib": [("MainLoop", "run")],
    "gi.overrides.Gio": [("Application", "run")],
    "gi.overrides.Gtk": [(None, "main")],
}


def install(agent: Agent, *, interval_ms: int = 20) -> None:
    """Make GLib's default context beat. What callbacks raise is recorded, and printed as before.

    Args:
        agent: the agent to report to.
        interval_ms: milliseconds between two beats.
    """
    glib: Any = sys.modules["gi.repository.GLib"]

    def beat() -> bool:
        agent.beat()
        return not agent.stopped

    glib.timeout_add(interval_ms, beat)
    glib.timeout_add(
        0, lambda: beat() and False
    )  # what the app draws first may take longer than the interval
    ExceptHook(agent, "thread")


def patch(injection: Injection, module: ModuleType) -> None:
    """Install the agent in an unchanged app when it runs a GLib loop."""

    def run(original: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            with injection.loop("GLib's loop", install):
                return original(*arguments, **options)

        return run

    for class_name, name in _RUNS[module.__name__]:
        # While GTK's overrides load, a patched function must go into the module that the app will see.
        seen = sys.modules.get(module.__name__.replace(".overrides.", ".repository."))
        owner: Any = seen if class_name is None else getattr(module, class_name, None)
        if owner is not None and hasattr(owner, name):
            injection.wrap(owner, name, run)
