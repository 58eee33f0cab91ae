"""pygame: one call makes every look at the event queue a beat.

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

import contextlib
import functools
from time import monotonic
from typing import TYPE_CHECKING, Any

import pygame

from livegui.toolkits._common import Pictures, wrap

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from livegui import Agent
    from livegui._inject import Injection

__all__ = ["install", "patch"]

#: The functions with which a loop takes its events, once a frame.
_LOOKS = ("get", "poll", "wait", "pump", "peek", "clear")
#: The functions with which it shows a frame.
_SHOWS = ("flip", "update")
#: The type of the event that wakes a loop: the last number, because an app counts its own from the first.
_WAKE = pygame.NUMEVENTS - 1
_OURS = {"livegui": "wake"}
#: If an app showed a frame within this many seconds, it beats with the next frame that it shows.
_SHOWN_S = 0.1


def install(agent: Agent) -> None:
    """Make each frame beat.

    A beat is ``pygame.display.flip()`` or ``update()``, or else a look at the event queue with
    ``pygame.event.get()``, ``wait()``, ``pump()`` or a similar function.

    A loop that sleeps in ``pygame.event.wait()`` is woken by an event when livegui checks whether it runs.
    The app does not get that event. Functions that the app imported by name (``from pygame.event import
    get``) are not noticed. In that case, call :meth:`livegui.Agent.beat` once a frame. Exceptions leave the
    app's own loop.
    """
    frames = _Frames(agent)
    for name in _LOOKS:
        wrap(agent, pygame.event, name, lambda function, name=name: _looking(frames, name, function))  # type: ignore[misc]
    for name in _SHOWS:
        wrap(agent, pygame.display, name, lambda function: _showing(frames, function))


def patch(injection: Injection, module: ModuleType) -> None:
    """Install the agent in an unchanged app once it draws frames in a loop, or waits for an event."""
    frames = _FirstFrame(injection)
    for name in _LOOKS:
        injection.wrap(pygame.event, name, lambda function, name=name: _looking(frames, name, function))  # type: ignore[misc]
    for name in _SHOWS:
        injection.wrap(pygame.display, name, lambda function: _showing(frames, function))


class _Frames:
    """Beats once a frame: when it is shown, or if none is shown, when the app looks at the event queue."""

    def __init__(self, agent: Agent) -> None:
        self._beat = agent.beat
        self._pictures = Pictures(agent, _grab)
        self._shown = 0.0
        self.waker = _Waker()
        agent.wake_with(self.waker.wake)

    def look(self) -> None:
        if self.waker.has_allowed:
            self.waker.block_again()
        if monotonic() - self._shown > _SHOWN_S:
            self._beat()
        if self._pictures.asked:
            self._pictures.take_if_asked()

    def wait(self) -> None:
        self.look()

    def show(self) -> None:
        self._shown = monotonic()
        self._beat()


class _Waker:
    """Makes ``pygame.event.wait()`` return by an event."""

    def __init__(self) -> None:
        self._event = pygame.event.Event(_WAKE, _OURS)
        #: How many were posted, and how many the app did not get because they were taken from the queue.
        self._posted = 0
        self._dropped = 0
        #: Whether the app had blocked the event's type. It is allowed until the app next looks at the queue.
        self.has_allowed = False

    def wake(self) -> None:
        """Post the event, on any thread."""
        with contextlib.suppress(pygame.error):  # after pygame.quit() nothing waits for events
            if pygame.event.get_blocked(_WAKE):  # as after set_blocked(None): nothing would be posted
                # To block the type again would take the event out of the queue at once.
                pygame.event.set_allowed(_WAKE)
                self.has_allowed = True
            self._posted += 1
            pygame.event.post(self._event)

    def may_be_queued(self) -> bool:
        """Whether an event of ours may be in the queue. The app may have cleared the queue meanwhile."""
        return self._posted > self._dropped

    def is_ours(self, event: Any) -> bool:
        """Whether the event that was taken from the queue is ours, so that the app must not get it."""
        if event.type != _WAKE or event.dict != _OURS:
            return False
        self._dropped += 1
        return True

    def block_again(self) -> None:
        """Block the type as the app has, when it looks at the queue. That removes an event of ours."""
        self.has_allowed = False
        with contextlib.suppress(pygame.error):
            pygame.event.set_blocked(_WAKE)


class _FirstFrame:
    """Becomes the ``_Frames`` of the app once its frames are those of a loop."""

    def __init__(self, injection: Injection) -> None:
        self._injection = injection
        self._loop = injection.frames("pygame's frames", self._wire)
        self.waker = _Waker()  # it wakes nothing
        self.look: Callable[[], object] = self._first
        self.show: Callable[[], object] = self._first
        self.wait: Callable[[], object] = self._first_wait

    def _first(self) -> None:
        self._loop.beat()

    def _first_wait(self) -> None:
        self._loop.beat_of_wait()

    def _wire(self, agent: Agent) -> Callable[[], object]:
        frames = _Frames(agent)
        self.waker = frames.waker
        self.look = self.wait = self._injection.of_own_loop(agent, frames.look)
        self.show = self._injection.of_own_loop(agent, frames.show)
        return frames.look


def _grab(path: str) -> None:
    surface = pygame.display.get_surface()
    if surface is None:
        raise OSError("there is no window")
    pygame.image.save(surface, path)


def _looking(frames: _Frames | _FirstFrame, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a function that looks at the event queue. The app gets no event of ours."""
    without_ours = _WITHOUT_OURS.get(name)

    @functools.wraps(function)
    def looking(*arguments: Any, **options: Any) -> Any:
        frames.look()
        if without_ours is None or not frames.waker.may_be_queued():
            return function(*arguments, **options)
        return without_ours(frames, function, arguments, options)

    @functools.wraps(function)
    def waiting(*arguments: Any, **options: Any) -> Any:
        frames.wait()  # our event may be posted only during the wait
        return _wait(frames, function, arguments, options)

    return waiting if name == "wait" else looking


def _get(
    frames: _Frames | _FirstFrame,
    get: Callable[..., Any],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
) -> Any:
    return [event for event in get(*arguments, **options) if not frames.waker.is_ours(event)]


def _poll(
    frames: _Frames | _FirstFrame,
    poll: Callable[..., Any],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
) -> Any:
    event = poll(*arguments, **options)
    while frames.waker.is_ours(event):
        event = poll(*arguments, **options)
    return event


def _wait(
    frames: _Frames | _FirstFrame,
    wait: Callable[..., Any],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
) -> Any:
    began = monotonic()
    event = wait(*arguments, **options)
    while frames.waker.is_ours(event):
        frames.look()
        event = wait(*_what_is_left(arguments, options, monotonic() - began))
    return event


def _what_is_left(arguments: tuple[Any, ...], options: dict[str, Any], waited_s: float) -> tuple[int, ...]:
    """The argument for the rest of a wait, in milliseconds. The first wait has found the given one valid."""
    given = arguments or tuple(options.values())
    # Zero, or less, is a wait without an end.
    return tuple(max(timeout - int(waited_s * 1000), 1) if timeout > 0 else timeout for timeout in given)


def _peek(
    frames: _Frames | _FirstFrame,
    peek: Callable[..., Any],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
) -> Any:
    for event in pygame.event.get(_WAKE, pump=False):
        if not frames.waker.is_ours(event):
            pygame.event.post(event)
    return peek(*arguments, **options)


#: What is called instead of a function while our event may be in the queue.
_WITHOUT_OURS = {"get": _get, "poll": _poll, "peek": _peek}


def _showing(frames: _Frames | _FirstFrame, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def showing(*arguments: Any, **options: Any) -> Any:
        frames.show()
        return function(*arguments, **options)

    return showing
