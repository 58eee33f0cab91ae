"""The apps of one pytest process: one as a rule, several where there are, say, a client and a server."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Union

import pytest

from livegui._handle import LiveGui
from livegui._text import system_string
from livegui.errors import LiveGuiError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
    from types import ModuleType

    from livegui._livegui import NativeLive

SystemString = Union[str, "os.PathLike[str]"]
_COMMAND = "live_gui_command"


class Opener(Protocol):
    """Who makes handles, and ends what is behind them."""

    def open(
        self,
        command: SystemString | Iterable[SystemString],
        environment: Mapping[str, SystemString],
        name: str = "",
    ) -> LiveGui:
        """Make a handle and start its first process."""

    def close(self, handle: LiveGui) -> None:
        """End its process and everything that it started."""


class App:
    """What is known of one handle."""

    def __init__(
        self, name: str, native: NativeLive, handle: LiveGui, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.native = native
        self.handle = handle
        #: Added to its environment.
        self.environment = dict(environment)


class Several:
    """Several apps as if they were one: of a test that uses some of them, any may take it down."""

    def __init__(self, apps: Sequence[App], used: Sequence[App]) -> None:
        self._apps = apps
        self._in_use = used

    def _used(self) -> list[NativeLive]:
        return [app.native for app in self._in_use]

    def arm(self) -> None:
        """Let those that the test uses interrupt it."""
        for native in self._used():
            native.arm()

    def disarm(self) -> None:
        """Let none."""
        for app in self._apps:
            app.native.disarm()

    def is_ringing(self) -> bool:
        """Whether one of them has something that the test is to know."""
        return any(native.is_ringing() for native in self._used())

    def is_healthy(self) -> bool:
        """Whether all of them are fit to be tested."""
        return all(native.is_healthy() for native in self._used())

    def verdict_on_running(self) -> LiveGuiError | None:
        """What the test is to fail of."""
        verdicts = (native.verdict_on_running() for native in self._used())
        return next((verdict for verdict in verdicts if verdict is not None), None)

    def confirm(self) -> LiveGuiError | None:
        """The same after asking them anew."""
        verdicts = (native.confirm() for native in self._used())
        return next((verdict for verdict in verdicts if verdict is not None), None)

    def has_ended_in_order(self) -> bool:
        """Whether whatever is to be said of them is that they ended, and well."""
        bad = [native for native in self._used() if native.verdict_on_running() is not None]
        return bool(bad) and all(native.has_ended_in_order() for native in bad)

    def lacks_prior_state(self, id: str, file: str, prior: str | None) -> str | None:
        """Why none of them carries what a test requires."""
        lacks = [app.native.lacks_prior_state(id, file, prior) for app in self._apps]
        return None if None in lacks else lacks[0]

    def notes(self) -> list[tuple[str, str, int, str, str]]:
        """The notes of all."""
        return [note for app in self._apps for note in app.native.notes()]

    def remark(self, remark: str) -> None:
        """Have the first say it."""
        self._apps[0].native.remark(remark)


def front(apps: list[App], used: list[App]) -> Any:
    """What the plugin and the alarm deal with: the only one, or all of which the running test uses some."""
    return None if not apps else apps[0].native if len(apps) == 1 else Several(apps, used)


def words_of(command: SystemString | Iterable[SystemString]) -> tuple[str | list[str], str]:
    """A command line as the native side takes it, and for a person."""
    if isinstance(command, str):
        return command, command
    given = enumerate([command] if isinstance(command, os.PathLike) else command)
    words = [system_string(word, f"{_COMMAND}[{number}]") for number, word in given]
    return words, shlex.join(words)


def needed_by(item: pytest.Item) -> list[LiveGui]:
    """The handles among a test's fixtures, as far as these are set up; a set-up sees to its own."""
    definitions: Mapping[str, Any] = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    found = []
    for name in getattr(item, "fixturenames", ()):
        result = getattr((definitions.get(name) or [None])[-1], "cached_result", None)
        if result is not None and isinstance(result[0], LiveGui) and result[2] is None:
            found.append(result[0])
    return found


class Factory:
    """Makes handles of more apps. What the fixture ``live_gui_factory`` is."""

    def __init__(self, session: Opener, command: Any, environment: Mapping[str, SystemString]) -> None:
        self._session = session
        self._command = command
        self._environment = environment
        self._made: dict[str, LiveGui] = {}
        #: What came of those that could not be started: told to every test that needs them.
        self._failed: dict[str, LiveGuiError] = {}

    def __call__(
        self,
        name: str,
        command: SystemString | Iterable[SystemString] | None = None,
        env: Mapping[str, SystemString] | None = None,
    ) -> LiveGui:
        """The app of this name: started by the first call, and the same handle from then on.

        Args:
            name: what reports call it, as ``server``.
            command: its command line; that of ``live_gui_command`` if it is left out.
            env: added to its environment, and to ``live_gui_env``.
        """
        if not name:
            raise ValueError("live_gui_factory('', …): expected a name, which reports call the app by")
        if name in self._failed:
            raise self._failed[name].with_traceback(None)
        if name not in self._made:
            environment = {**self._environment, **(env or {})}
            try:
                self._made[name] = self._session.open(command or self._command, environment, name)
            except LiveGuiError as error:
                self._failed[name] = error
                raise
        return self._made[name]

    def close(self) -> None:
        """End them all, the last one first."""
        while self._made:
            self._session.close(self._made.popitem()[1])


class Overrides:
    """Gives every conftest, and every test file, that overrides ``live_gui_command`` an app of its own."""

    def __init__(self, root: Path, make_fixture: Callable[[str], Any]) -> None:
        self._root = root
        self._make_fixture = make_fixture
        #: How many there are.
        self.count = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_plugin_registered(self, plugin: object) -> None:
        file = getattr(plugin, "__file__", None)
        if file is not None and Path(file).name == "conftest.py":
            folder = Path(file).parent
            self._give(plugin, "" if folder == self._root else folder.name)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        if isinstance(collector, pytest.Module) and _names_the_command(collector.path):
            try:
                module: ModuleType = collector.obj
            except (Exception, pytest.skip.Exception, pytest.fail.Exception):  # noqa: BLE001
                pass  # told when it is collected
            else:
                self._give(module, Path(str(collector.path)).stem)
        return (yield)

    def _give(self, module: object, name: str) -> None:
        its = vars(module)
        if _COMMAND in its and "live_gui" not in its:
            self.count += 1
            setattr(module, "live_gui", self._make_fixture(name))  # noqa: B010


def _names_the_command(file: Path) -> bool:
    try:
        return _COMMAND.encode() in file.read_bytes()
    except OSError:
        return False


def fixture_of_its_own(open_and_close: Callable[..., Iterator[LiveGui]]) -> Callable[[str], Any]:
    """Makes fixtures ``live_gui`` for parts of a suite."""

    def make(name: str) -> Any:
        @pytest.fixture(scope="session")
        def live_gui(live_gui_command: Any, live_gui_env: Any) -> Iterator[LiveGui]:
            """The app under test of this part of the suite."""
            yield from open_and_close(live_gui_command, live_gui_env, name)

        return live_gui

    return make
