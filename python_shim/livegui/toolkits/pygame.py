"""pygame: one call, and every look at the event queue is a beat.

::

    from livegui.toolkits import pygame as live_pygame

    live_pygame.install(agent)
    with agent.main_loop():
        while running:
            for event in pygame.event.get():
                ...
            pygame.display.flip()
        agent.stopping()
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pygame

from livegui.toolkits._common import Pictures, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

    from livegui import Agent

__all__ = ["install"]

#: With any of these a loop takes its events, once a frame.
_LOOKS = ("get", "poll", "wait", "pump", "peek", "clear")


def install(agent: Agent) -> None:
    """Let each look at the event queue beat: ``pygame.event.get()``, ``wait()``, ``pump()`` and their like.

    A loop that sleeps in ``pygame.event.wait()`` is woken, by an event of a type of its own, when somebody
    asks if it turns. Functions that the app imported by name (``from pygame.event import get``) are not seen:
    call :meth:`livegui.Agent.beat` once a frame then. Exceptions leave the app's own loop.
    """
    pictures = Pictures(agent, _grab)
    for name in _LOOKS:
        wrap(agent, pygame.event, name, lambda look: _beating(agent, pictures, look))
    wake = pygame.event.Event(pygame.event.custom_type(), {"livegui": "wake"})
    agent.wake_with(lambda: pygame.event.post(wake))


def _grab(path: str) -> None:
    surface = pygame.display.get_surface()
    if surface is None:
        raise OSError("there is no window")
    pygame.image.save(surface, path)


def _beating(agent: Agent, pictures: Pictures, look: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(look)
    def beating(*arguments: Any, **options: Any) -> Any:
        agent.beat()
        pictures.take_if_asked()
        return look(*arguments, **options)

    return beating
