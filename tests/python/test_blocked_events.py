"""An unchanged pygame app that blocks the types of events that it does not use, and sleeps until one comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from executing import executed, health
from test_guest import beats
from wiring import APPS

IDLES = """
import pygame, sys, threading
pygame.init()
pygame.display.set_mode((50, 50))
pygame.event.set_blocked(None)
pygame.event.set_allowed([pygame.QUIT])
OURS = pygame.NUMEVENTS - 1
reader = threading.Thread(target=sys.stdin.readline, daemon=True)
reader.start()
pygame.display.flip()
was_blocked = True
while reader.is_alive():
    event = pygame.event.wait()
    if event.type == OURS:
        pygame.event.get()
        was_blocked = was_blocked and pygame.event.get_blocked(OURS)
print(was_blocked, flush=True)
threading.Event().wait(60)
"""


@pytest.mark.parametrize("name", ["pygame", "pygame_ce"])
def test_a_loop_that_sleeps_until_an_event_of_few_types_comes_is_not_stalled(
    name: str, tmp_path: Path
) -> None:
    app = APPS[name]
    app.skip_unless_it_can_run()
    environment = {
        **app.all_environment(),
        "PYGAME_HIDE_SUPPORT_PROMPT": "1",
        "LIVEGUI_STALL_AFTER_MS": "2000",
    }

    def has_idled(document: dict[str, Any]) -> bool:
        return bool(document["uptime_ms"] > 6000) and beats(document)

    with executed(IDLES, tmp_path, **environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        document = health(tmp_path, has_idled)
        assert (document["status"], document["reasons"], document["history"]) == ("ok", [], [])
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "True\n", "the app's own choice of types holds again"
        document = health(tmp_path, lambda document: document["status"] == "degraded")
        assert [reason["code"] for reason in document["reasons"]] == ["main_loop_stalled"]
