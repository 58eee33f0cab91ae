"""pygame apps that sleep until an event comes: livegui's own event wakes them, and they don't get it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from executing import executed, health
from test_guest import beats
from test_toolkits import run
from wiring import APPS

IDLES = """
import pygame, sys, threading
pygame.init()
pygame.display.set_mode((50, 50))
pygame.event.set_blocked(None)
pygame.event.set_allowed([pygame.QUIT])
OURS = pygame.NUMEVENTS - 1

def read():
    sys.stdin.readline()
    pygame.event.post(pygame.event.Event(pygame.QUIT))
threading.Thread(target=read, daemon=True).start()
pygame.display.flip()
seen = []
while pygame.QUIT not in seen:
    seen.append(pygame.event.wait().type)
pygame.event.get()
print(OURS not in seen, pygame.event.get_blocked(OURS), flush=True)
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
        assert process.stdout.readline() == "True True\n", (
            "it did not get ours, and its choice of types holds"
        )
        document = health(tmp_path, lambda document: document["status"] == "degraded")
        assert [reason["code"] for reason in document["reasons"]] == ["main_loop_stalled"]


GETS = """
import pygame
from livegui.toolkits import pygame as live_pygame
pygame.init()
pygame.display.set_mode((10, 10))
live_pygame.install(agent)
pygame.event.get()
theirs = pygame.event.Event(pygame.USEREVENT)
same_type = pygame.event.Event(pygame.NUMEVENTS - 1, {"of": "the app"})
def got(look, *posted):
    agent._canary.wake()
    for event in posted:
        pygame.event.post(event)
    agent._canary.wake()
    found = look()
    pygame.event.clear()
    events = found if isinstance(found, list) else [found]
    return [(e if isinstance(e, bool) else e.type == theirs.type or e.dict or "none") for e in events]
looks = {
    "get": pygame.event.get,
    "get a type": lambda: pygame.event.get(theirs.type),
    "get our type": lambda: pygame.event.get(pygame.NUMEVENTS - 1),
    "get without pump": lambda: pygame.event.get(pump=False),
    "get others": lambda: pygame.event.get(exclude=pygame.KEYDOWN),
    "poll": pygame.event.poll,
    "wait": pygame.event.wait,
    "wait for long": lambda: pygame.event.wait(60_000),
    "peek": lambda: bool(pygame.event.peek()),
    "peek all": lambda: bool(pygame.event.peek([theirs.type, pygame.NUMEVENTS - 1])),
}
for name, look in looks.items():
    assert got(look, theirs) == ([] if name == "get our type" else [True]), (name, got(look, theirs))
    if "wait" not in name:
        nothing = {"poll": ["none"], "peek": [False], "peek all": [False]}.get(name, [])
        assert got(look) == nothing, (name, got(look))
assert got(pygame.event.get, same_type) == [same_type.dict]
began = time.monotonic()
assert got(lambda: pygame.event.wait(timeout=200)) == ["none"]
assert 0.15 < time.monotonic() - began < 10
print("no event of ours")
"""


@pytest.mark.parametrize("name", ["pygame", "pygame_ce"])
def test_the_app_never_gets_the_event_that_wakes_it(name: str, tmp_path: Path) -> None:
    done = run(name, GETS, tmp_path)
    assert done.stdout.splitlines()[-1:] == ["no event of ours"], done.stderr
