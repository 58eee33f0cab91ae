"""A loop of your own: ``python own_loop_app.py``."""

from __future__ import annotations

import time

from commands import Commands

running = True


def quit() -> None:
    """End the loop."""
    global running  # noqa: PLW0603 -- an app of one file
    running = False


do = Commands(quit=quit)


def handle_events() -> None:
    """The app's own."""
    do()


def draw() -> None:
    """The app's own."""
    time.sleep(1 / 60)


# [wiring]
import livegui

agent = livegui.start("myapp")
with agent.main_loop():
    while running:
        agent.beat()
        handle_events()
        draw()
    agent.stopping()
# [/wiring]
