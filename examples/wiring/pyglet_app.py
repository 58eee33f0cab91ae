"""pyglet: ``python pyglet_app.py``; needs a display with OpenGL."""

from __future__ import annotations

import pyglet
from commands import Commands


class Window(pyglet.window.Window):  # type: ignore[misc]  # pyglet has no types
    """The app's own."""

    def __init__(self) -> None:
        super().__init__(320, 200, "myapp")
        self.do = Commands(quit=self.close)
        pyglet.clock.schedule_interval(lambda dt: self.do(), 0.02)

    def on_draw(self) -> None:
        self.clear()


# [wiring]
import livegui
from livegui.toolkits import pyglet as live_pyglet

agent = livegui.start("myapp")
live_pyglet.install(agent)
window = Window()
with agent.main_loop():
    pyglet.app.run()  # or arcade.run(); what a handler raises leaves it
    agent.stopping()
# [/wiring]
