"""pyglet, and arcade on top of it: one call makes its clock beat.

::

    from livegui.toolkits import pyglet as live_pyglet

    live_pyglet.install(agent)
    with agent.main_loop():
        pyglet.app.run()
        agent.stopping()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from livegui import Agent
    from livegui._inject import Injection
    from livegui._loops import Pump

__all__ = ["install", "patch"]


def install(agent: Agent, *, interval_ms: int = 20) -> None:
    """Make pyglet's clock beat. An exception in a handler leaves ``pyglet.app.run()``.

    Args:
        agent: the agent to report to.
        interval_ms: milliseconds between two beats.
    """
    from pyglet import clock  # noqa: PLC0415 -- pyglet.app is imported before it

    def beat(_dt: float) -> None:
        agent.beat()

    clock.schedule_once(beat, 0)  # the first frame may take longer than the interval
    clock.schedule_interval(beat, interval_ms / 1000)
    agent._on_stop.append(lambda: clock.unschedule(beat))


def patch(injection: Injection, module: ModuleType) -> None:
    """Install the agent in an unchanged app when it runs pyglet's loop, or keeps calling ``clock.tick()``."""
    if module.__name__ == "pyglet.clock":
        ticks = injection.pump("pyglet's clock.tick()")
        injection.wrap(module, "tick", lambda original: _ticking(injection, ticks, original))
        return

    def run(original: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            with injection.loop("pyglet's loop", install):
                return original(*arguments, **options)

        return run

    injection.wrap(module.EventLoop, "run", run)


def _ticking(injection: Injection, ticks: Pump, original: Callable[..., Any]) -> Callable[..., Any]:
    def wire(agent: Agent) -> None:
        injection.wire_once(agent, install)

    def tick(*arguments: Any, **options: Any) -> Any:
        ticks.turn(wire)
        return original(*arguments, **options)

    return tick
