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

from livegui.toolkits._common import ExceptHook, Frames, hear_exits

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
#: The functions that run a loop until a dialog is answered.
_ASKS: dict[str, list[tuple[str | None, str]]] = {
    "gi.overrides.GLib": [],
    "gi.overrides.Gio": [],
    "gi.overrides.Gtk": [("Dialog", "run")],  # GTK 4 has none
}
#: The functions that a loop of the app's own calls to have events processed.
_PUMPS: dict[str, list[tuple[str | None, str]]] = {
    "gi.overrides.GLib": [("MainContext", "iteration")],
    "gi.overrides.Gio": [],
    "gi.overrides.Gtk": [(None, "main_iteration"), (None, "main_iteration_do")],
}
#: The usual way to process all pending events calls them in a loop too, so that a loop must last this many
#: rounds of a timer.
_ROUNDS = 5
_ROUND_MS = 20


def install(agent: Agent, *, interval_ms: int = 20) -> None:
    """Make GLib's default context beat. What callbacks raise is recorded, and printed as before.

    Modal windows, grabs such as the one of a menu, and nested loops are reported.

    Args:
        agent: the agent to report to.
        interval_ms: milliseconds between two beats.
    """
    glib: Any = sys.modules["gi.repository.GLib"]

    frames = Frames(agent, lambda: _left_open(glib))

    def beat() -> bool:
        frames.beat()
        return not agent.stopped

    glib.timeout_add(interval_ms, beat)
    glib.timeout_add(
        0, lambda: beat() and False
    )  # what the app draws first may take longer than the interval
    ExceptHook(agent, "thread")
    hear_exits(agent)


def _left_open(glib: Any) -> list[str]:
    things = []
    gtk: Any = sys.modules.get("gi.repository.Gtk")  # GLib's loop may run without it
    shown = [] if gtk is None else [w for w in gtk.Window.list_toplevels() if w.is_visible()]
    modal = [window for window in shown if window.get_modal()]
    things += [f"modal {type(window).__name__} {window.get_title() or ''!r}" for window in modal]
    if shown and hasattr(gtk, "grab_get_current"):  # GTK 4 has no grabs
        grabbing = gtk.grab_get_current()
        if grabbing is not None and grabbing.get_toplevel() not in modal:
            things.append(f"a grab by {type(grabbing).__name__}")
    depth = glib.main_depth()
    if depth > 1:
        things.append(f"a nested loop (depth {depth})")
    return things


def patch(injection: Injection, module: ModuleType) -> None:
    """Install the agent in an unchanged app when it runs a GLib loop, or keeps processing events."""

    def run(original: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            with injection.loop("GLib's loop", install):
                return original(*arguments, **options)

        return run

    def ask(original: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            with injection.loop("Gtk.Dialog.run()", install, may_come_back=True):
                return original(*arguments, **options)

        return run

    pump = injection.pump("GLib's iterations", _when_it_lasts)

    def wire(agent: Agent) -> None:
        injection.wire_once(agent, install)

    def iterate(original: Callable[..., Any]) -> Callable[..., Any]:
        def iterate(*arguments: Any, **options: Any) -> Any:
            pump.turn(wire)
            return original(*arguments, **options)

        return iterate

    for functions, wrapper in ((_RUNS, run), (_ASKS, ask), (_PUMPS, iterate)):
        for class_name, name in functions[module.__name__]:
            # While GTK's overrides load, a patched function must go into the module that the app will see.
            seen = sys.modules.get(module.__name__.replace(".overrides.", ".repository."))
            owner: Any = seen if class_name is None else getattr(module, class_name, None)
            if owner is not None and hasattr(owner, name):
                injection.wrap(owner, name, wrapper)


def _when_it_lasts(act: Callable[[], None]) -> None:
    """Call the function once a timer of the default context has run some rounds."""
    left = _ROUNDS

    def tick() -> bool:
        nonlocal left
        left -= 1
        if left == 0:
            act()
        return left > 0

    glib: Any = sys.modules["gi.repository.GLib"]
    glib.timeout_add(_ROUND_MS, tick)
