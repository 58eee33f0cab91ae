"""The loops of an unchanged app: of a toolkit, or its own, which draw frames or have events processed."""

import sys

from livegui._bootstrap import note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

    from livegui import Agent
    from livegui._inject import Injection

    #: Installs the agent in a loop that is about to run.
    Wire = Callable[[Agent], object]

#: This many times that one place of the app has events processed are a loop, and this many that it draws a
#: frame. A start-up does so too, but from several places, and draws its one picture once.
_TURNS = 3
_FRAMES_OF_LOOP = 2
#: How many places are counted at a time, and how many frames tell one from another.
_PLACES = 256
_FRAMES = 100


class Loop:
    """Around a toolkit's own loop. Raises nothing itself. What leaves the loop passes through."""

    def __init__(self, injection: "Injection", what: str, wire: "Wire", *, may_come_back: bool) -> None:
        self._injection = injection
        self._what = what
        self._wire = wire
        self._may_come_back = may_come_back
        #: None if this loop must not be watched.
        self.agent: Agent | None = None
        #: Whether it runs within a loop of the app's own, as a dialog may.
        self._in_own_loop = False

    def __enter__(self) -> None:
        self.agent = self._injection.enter(self._what, self._wire, may_come_back=self._may_come_back)
        if self.agent is not None:
            self._in_own_loop = self._injection.has_frames() and not self.agent._loop.is_away
            try:
                self.agent._loop.__enter__()
            except Exception as error:  # noqa: BLE001 -- the app must run, whatever happens to livegui
                self._injection.give_up(self.agent, self._what, error)
                self.agent = None

    def __exit__(
        self, kind: "type[BaseException] | None", error: "BaseException | None", where: "TracebackType | None"
    ) -> None:
        if self.agent is None or self.agent.stopped:
            return
        try:
            if error is not None and not self._may_come_back:
                self._injection.has_ended = True
                self.agent._loop.__exit__(kind, error, where)
            else:
                self._leave(self.agent, error)
        except Exception as ours:  # noqa: BLE001 -- the app must run, whatever happens to livegui
            note(f"the end of {self._what} is not told: {type(ours).__name__}: {ours}")

    def _leave(self, agent: "Agent", error: "BaseException | None") -> None:
        # The app may handle what has left the loop, and may enter another. What ends the program is reported
        # elsewhere.
        may_end = not (self._may_come_back or self._in_own_loop)
        agent._loop.leave_for_now(error, may_end=may_end)
        if self._in_own_loop:
            agent._loop.come_back()
        elif may_end:
            self._injection.loop_returned(agent)


class FrameLoop:
    """A loop of the app's own that calls a toolkit once a frame, and then must call :attr:`beat`.

    Frames of other threads do not belong to the main loop.
    """

    def __init__(
        self,
        injection: "Injection",
        what: str,
        wire: "Callable[[Agent], Callable[[], object]]",
        *,
        own_loop: bool,
    ) -> None:
        self._injection = injection
        self._what = what
        self._wire = wire
        self._own_loop = own_loop
        self._turns = _Turns(_FRAMES_OF_LOOP)
        #: Changes with the first frame of the loop.
        self.beat: Callable[[], object] = self._first
        #: To be called instead of :attr:`beat` before the app waits for an event, as no start-up does.
        self.beat_of_wait: Callable[[], object] = self.enter

    def _first(self) -> None:
        injection = self._injection
        if injection.is_on_main_thread() and (
            injection.is_inside_loop() or self._turns.are_a_loop(sys._getframe(1))
        ):
            self.enter()

    def enter(self) -> None:
        """These are frames of a loop. Never raises."""
        if not self._injection.is_on_main_thread():
            return
        self.beat = self.beat_of_wait = _nothing
        wire = self._wire
        del self._wire, self._turns  # the first may hold a window
        agent = self._injection.claim(self._what)
        if agent is None or (agent._loop.is_inside() and not self._own_loop):
            return
        if not self._injection.take_frames(self):
            return
        try:
            beat = self._injection.of_own_loop(agent, wire(agent))
            if not agent._loop.is_inside():
                self._injection.hear_what_ends_the_program(agent)
                agent._native.main_loop_entered()
                agent._loop.come_back()
                self._injection.goes_on(agent)
        except Exception as error:  # noqa: BLE001 -- the app must run, whatever happens to livegui
            self._injection.give_up(agent, self._what, error)
            return
        self.beat = self.beat_of_wait = beat
        beat()


class Pump:
    """A loop of the app's own in which a toolkit processes events. Once it has turned, a timer beats in it.

    The app may also have events processed before there is a loop, and from within the toolkit's own.
    """

    def __init__(
        self, injection: "Injection", what: str, when_sure: "Callable[[Callable[[], None]], object] | None"
    ) -> None:
        self._injection = injection
        self._what = what
        self._when_sure = when_sure or _at_once
        self._turns = _Turns(_TURNS)
        #: Whether there was a loop, watched or not.
        self._has_turned = False
        #: The agent that knows about the loop.
        self._agent: Agent | None = None

    def turn(self, wire: "Wire") -> None:
        """Events are about to be processed. Never raises.

        Args:
            wire: installs the agent, with a timer that beats, unless that is done.
        """
        injection = self._injection
        if not injection.is_on_main_thread():
            return
        if self._has_turned:
            if self._agent is not None and self._agent._loop.is_away:  # another loop ran meanwhile
                self._agent._loop.come_back()
            return
        # Within a toolkit's loop, its timer beats. After it, the app ends.
        if injection.has_ended or injection.is_inside_loop():
            return
        if self._turns.are_a_loop(sys._getframe(1)):
            self._has_turned = True
            try:
                self._when_sure(lambda: self._found(wire))
            except Exception as error:  # noqa: BLE001 -- the app must run, whatever happens to livegui
                note(f"{self._what} is not watched: {type(error).__name__}: {error}")

    def _found(self, wire: "Wire") -> None:
        self._injection.frames(self._what, lambda agent: self._wired(agent, wire)).enter()

    def _wired(self, agent: "Agent", wire: "Wire") -> "Callable[[], object]":
        wire(agent)
        self._agent = agent
        return agent.beat


class _Turns:
    """Counts how often each place of the app has events processed or draws a frame."""

    def __init__(self, of_a_loop: int) -> None:
        self._of_a_loop = of_a_loop
        self._turns: dict[int, int] = {}

    def are_a_loop(self, frame: "FrameType") -> bool:
        """Count one more, and say whether it makes a loop of this place, which it does once."""
        if len(self._turns) >= _PLACES:
            self._turns.clear()
        place = _place(frame)
        turns = self._turns[place] = self._turns.get(place, 0) + 1
        return turns == self._of_a_loop


def _place(frame: "FrameType | None") -> int:
    """A number for where the program is: the instruction of each frame, but no reference to any of them.

    A helper function that a start-up calls from several lines is at another place each time.
    """
    places: list[tuple[int, int]] = []
    while frame is not None and len(places) < _FRAMES:
        places.append((id(frame.f_code), frame.f_lasti))
        frame = frame.f_back
    return hash(tuple(places))


def _at_once(act: "Callable[[], None]") -> None:
    act()


def _nothing() -> None:
    pass
