"""pygame: ``python pygame_app.py``; without a display ``SDL_VIDEODRIVER=dummy``."""

from __future__ import annotations

import pygame
from commands import Commands

do = Commands(quit=lambda: pygame.event.post(pygame.event.Event(pygame.QUIT)))


def draw(screen: pygame.Surface) -> None:
    """The app's own."""
    screen.fill("black")
    do()


# [wiring]
import livegui
from livegui.toolkits import pygame as live_pygame

agent = livegui.start("myapp")
live_pygame.install(agent)  # every pygame.display.flip() is a beat


def main() -> None:
    pygame.init()
    screen = pygame.display.set_mode((320, 200))
    clock = pygame.time.Clock()
    while True:
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                agent.stopping()  # before each return from the middle of the loop, and each sys.exit()
                return
        draw(screen)
        pygame.display.flip()
        clock.tick(60)


with agent.main_loop():
    main()
pygame.quit()
# [/wiring]
