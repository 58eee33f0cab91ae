"""Tk: ``python tk_app.py``; needs a display."""

from __future__ import annotations

import tkinter
from tkinter import messagebox

from commands import Commands, abort


def fill(root: tkinter.Tk) -> None:
    """The app's own."""

    def ask() -> None:
        dialog = tkinter.Toplevel(root)
        dialog.title("Save?")
        dialog.wait_visibility()
        dialog.grab_set()

    def wait() -> None:
        window = tkinter.Toplevel(root)
        window.title("Ask?")
        root.wait_window(window)

    def warn() -> None:
        messagebox.showwarning("Save?", "Save before it is closed?")

    do = Commands(ask, abort, loop=wait, message=warn, quit=root.destroy)

    def on_timeout() -> None:
        root.after(20, on_timeout)
        do()

    root.title("myapp")
    root.after(20, on_timeout)


# [wiring]
import livegui
from livegui.toolkits import tk as live_tk

agent = livegui.start("myapp")
root = tkinter.Tk()
live_tk.install(agent, root)
fill(root)
with agent.main_loop():
    root.mainloop()
    agent.stopping()  # the window was closed, or somebody called root.quit()
# [/wiring]
