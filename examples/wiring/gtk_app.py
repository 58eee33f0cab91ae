"""GTK 3 with PyGObject: ``python gtk_app.py``; needs a display."""

from __future__ import annotations

from typing import Any

import gi
from commands import Commands, abort

gi.require_version("Gtk", "3.0")
from gi.repository import GLib, Gtk


def fill() -> None:
    """The app's own."""
    window = Gtk.Window(title="myapp")
    window.connect("destroy", Gtk.main_quit)
    window.show_all()

    def ask() -> None:
        dialog: Any = Gtk.MessageDialog(transient_for=window, text="Save?", title="Save?")
        dialog.run()

    do = Commands(ask, abort, loop=lambda: GLib.MainLoop().run(), quit=window.destroy)

    def on_timeout() -> bool:
        GLib.timeout_add(20, on_timeout)
        do()
        return False

    GLib.timeout_add(20, on_timeout)


# [wiring]
import livegui
from livegui.toolkits import gtk as live_gtk

agent = livegui.start("myapp")
live_gtk.install(agent)
fill()
with agent.main_loop():
    Gtk.main()  # or application.run(), or GLib.MainLoop().run()
    agent.stopping()
# [/wiring]
