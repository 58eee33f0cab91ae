"""SDL with PySDL2: ``python sdl_app.py``; without a display ``SDL_VIDEODRIVER=dummy``."""

from __future__ import annotations

from ctypes import byref

import sdl2
from commands import Commands


def push(kind: int) -> None:
    """Put an event into the queue, from any thread."""
    event = sdl2.SDL_Event()
    event.type = kind
    sdl2.SDL_PushEvent(byref(event))


do = Commands(quit=lambda: push(sdl2.SDL_QUIT))


def draw() -> None:
    """The app's own."""
    do()


# [wiring]
import livegui

agent = livegui.start("myapp")
sdl2.SDL_Init(sdl2.SDL_INIT_VIDEO)
window = sdl2.SDL_CreateWindow(b"myapp", 0, 0, 320, 200, sdl2.SDL_WINDOW_HIDDEN)
wake = sdl2.SDL_RegisterEvents(1)
agent.wake_with(lambda: push(wake))  # SDL_PushEvent(), which any thread may call
event = sdl2.SDL_Event()
with agent.main_loop():
    while event.type != sdl2.SDL_QUIT:
        agent.beat()
        sdl2.SDL_WaitEventTimeout(byref(event), 100)
        draw()
    agent.stopping()
sdl2.SDL_Quit()
# [/wiring]
