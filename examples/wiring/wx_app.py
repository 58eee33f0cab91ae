"""wxPython: ``python wx_app.py``; needs a display."""

from __future__ import annotations

import wx
from commands import Commands, abort


class Window(wx.Frame):  # type: ignore[misc]  # wx has no types
    """The app's own."""

    def __init__(self) -> None:
        super().__init__(None, title="myapp")
        self.do = Commands(self.ask, abort, quit=self.Close, message=self.warn)
        self.timer = wx.Timer(self)
        self.Bind(wx.EVT_TIMER, lambda event: self.do(), self.timer)
        self.timer.Start(20)
        self.Show()

    def ask(self) -> None:
        wx.Dialog(self, title="Save?").ShowModal()

    def warn(self) -> None:
        wx.MessageBox("Save before it is closed?", "Save?")


# [wiring]
import livegui
from livegui.toolkits import wx as live_wx

agent = livegui.start("myapp")
app = wx.App()
live_wx.install(agent)  # after the wx.App, before its MainLoop()
window = Window()
with agent.main_loop():
    app.MainLoop()
    agent.stopping()  # the last window was closed
# [/wiring]
