"""The apps of one pytest process. Usually there is one; with a client and a server, for example, several."""

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
    """Makes handles, and ends the processes behind them."""

    def open(
        self,
        command: SystemString | Iterable[SystemString],
        environment: Mapping[str, SystemString],
        name: str = "",
    ) -> LiveGui:
        """Make a handle and start its first process."""

    def close(self, handle: LiveGui) -> None:
        """End the handle's process and everything that it started."""


class App:
    """What the plugin knows about one handle."""

    def __init__(
        self, name: str, native: NativeLive, handle: LiveGui, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.native = native
        self.handle = handle
        #: Added to the app's environment.
        self.environment = dict(environment)


class Several:
    """Presents several apps as one. If a test uses some of them, any of these may take the test down."""

    def __init__(self, apps: Sequence[App], used: Sequence[App]) -> None:
        self._apps = apps
        self._in_use = used

    def _used(self) -> list[NativeLive]:
        return [app.native for app in self._in_use]

    def arm(self) -> None:
        """Let the apps that the test uses interrupt it."""
        for native in self._used():
            native.arm()

    def disarm(self) -> None:
        """Let no app interrupt the test."""
        for app in self._apps:
            app.native.disarm()

    def is_ringing(self) -> bool:
        """Whether one of the apps has something to report to the test."""
        return any(native.is_ringing() for native in self._used())

    def is_healthy(self) -> bool:
        """Whether all apps are fit to be tested."""
        return all(native.is_healthy() for native in self._used())

    def verdict_on_running(self) -> LiveGuiError | None:
        """The error with which the test should fail, if there is one."""
        verdicts = (native.verdict_on_running() for native in self._used())
        return next((verdict for verdict in verdicts if verdict is not None), None)

    def confirm(self) -> LiveGuiError | None:
        """The same, after querying the apps again."""
        verdicts = (native.confirm() for native in self._used())
        return next((verdict for verdict in verdicts if verdict is not None), None)

    def has_ended_in_order(self) -> bool:
        """Whether all that can be reported of the apps is that they ended normally."""
        bad = [native for native in self._used() if native.verdict_on_running() is not None]
        return bool(bad) and all(native.has_ended_in_order() for native in bad)

    def lacks_prior_state(self, id: str, file: str, prior: str | None) -> str | None:
        """Why none of the apps has the state that a test requires."""
        lacks = [app.native.lacks_prior_state(id, file, prior) for app in self._apps]
        return None if None in lacks else lacks[0]

    def notes(self) -> list[tuple[str, str, int, str, str]]:
        """The notes of all apps."""
        return [note for app in self._apps for note in app.native.notes()]

    def remark(self, remark: str) -> None:
        """Add a remark to the first app."""
        self._apps[0].native.remark(remark)


def front(apps: list[App], used: list[App]) -> Any:
    """What the plugin and the alarm work with: the only app, or all apps with the ones in use."""
    return None if not apps else apps[0].native if len(apps) == 1 else Several(apps, used)


def words_of(command: SystemString | Iterable[SystemString]) -> tuple[str | list[str], str]:
    """A command line as the native side expects it, and as text for people."""
    if isinstance(command, str):
        return command, command
    given = enumerate([command] if isinstance(command, os.PathLike) else command)
    words = [system_string(word, f"{_COMMAND}[{number}]") for number, word in given]
    return words, shlex.join(words)


def needed_by(item: pytest.Item) -> list[LiveGui]:
    """The handles among a test's fixtures that are set up already; a set-up handles its own."""
    definitions: Mapping[str, Any] = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    found = []
    for name in getattr(item, "fixturenames", ()):
        result = getattr((definitions.get(name) or [None])[-1], "cached_result", None)
        if result is not None and isinstance(result[0], LiveGui) and result[2] is None:
            found.append(result[0])
    return found


def behind(request: pytest.FixtureRequest) -> list[LiveGui]:
    """The handles that the fixtures of a test have led to so far, also those asked for by name."""
    active: Mapping[str, Any] = getattr(request, "_fixture_defs", {})
    results = [getattr(definition, "cached_result", None) for definition in list(active.values())]
    return [result[0] for result in results if result and isinstance(result[0], LiveGui)]


class Factory:
    """Makes handles for more apps. The fixture ``live_gui_factory`` returns it."""

    def __init__(self, session: Opener, command: Any, environment: Mapping[str, SystemString]) -> None:
        self._session = session
        self._command = command
        self._environment = environment
        self._made: dict[str, LiveGui] = {}
        #: Why an app could not be started, by its name. Every test that needs the app gets this error.
        self._failed: dict[str, LiveGuiError] = {}

    def __call__(
        self,
        name: str,
        command: SystemString | Iterable[SystemString] | None = None,
        env: Mapping[str, SystemString] | None = None,
    ) -> LiveGui:
        """Return the app with this name. The first call starts it; later calls return the same handle.

        Args:
            name: the app's name in reports, for example ``server``.
            command: its command line. Default: that of ``live_gui_command``.
            env: variables to add to its environment, on top of ``live_gui_env``.
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
        """End all apps, the last one first."""
        while self._made:
            self._session.close(self._made.popitem()[1])


class Overrides:
    """Gives each conftest and each test file that overrides ``live_gui_command`` a separate app."""

    def __init__(self, root: Path, make_fixture: Callable[[str], Any]) -> None:
        self._root = root
        self._make_fixture = make_fixture
        #: How many overrides there are.
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
                pass  # pytest reports it when it collects the file
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
    """Returns a function that makes a fixture ``live_gui`` for one part of a suite."""

    def make(name: str) -> Any:
        @pytest.fixture(scope="session")
        def live_gui(live_gui_command: Any, live_gui_env: Any) -> Iterator[LiveGui]:
            """The app under test of this part of the suite."""
            yield from open_and_close(live_gui_command, live_gui_env, name)

        return live_gui

    return make
