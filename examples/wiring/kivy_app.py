"""Kivy: ``python kivy_app.py``; needs a display with OpenGL."""

from __future__ import annotations

import os

os.environ.setdefault("KIVY_NO_ARGS", "1")

from commands import Commands
from kivy.app import App
from kivy.clock import Clock
from kivy.uix.label import Label
from kivy.uix.popup import Popup

do = Commands(lambda: Popup(title="Save?").open(), quit=lambda: App.get_running_app().stop())


class MyApp(App):  # type: ignore[misc]  # Kivy has no types
    """The app's own."""

    def build(self) -> Label:
        Clock.schedule_interval(lambda dt: do(), 0.02)
        return Label(text="hello")


# [wiring]
import livegui
from livegui.toolkits import kivy as live_kivy

agent = livegui.start("myapp")
live_kivy.install(agent)
with agent.main_loop():
    MyApp().run()  # what a callback raises leaves it
    agent.stopping()
# [/wiring]
